#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The delay that other clients of our HTTP server see during an attack, and its memory.

usage: bench/http_attacks.py [BUILD] [--seconds N] [--rounds N] [--nginx] [ATTACK...]

A polite client asks for "/hello" over one kept connection, first alone and then beside an attack,
in each round. Printed, as medians of the rounds: the median and the 99th percentile of its waits,
how much more the latter is than in quiet, and how busy the server was, of 1; then the most memory
of the server, and the seconds that it kept the connection that lasted longest. Limits longer than
--seconds do not show there.
--nginx attacks nginx instead: what is slow there too is the machine, or the attack's nature.

The server has one processor and both kinds of clients the other. The server and the polite client
have a real-time priority, attackers the lowest one: otherwise the client waits for the attackers,
and the server for whatever else the machine runs. That needs CAP_SYS_NICE (root has it); a line
says so if it is missing.
"""

import argparse
import contextlib
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import http_servers  # noqa: E402
from compare import on  # noqa: E402
from compare_http import certificates  # noqa: E402
from http_servers import PORT, processor_seconds, resident_bytes  # noqa: E402

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def get_block(path):
    """HPACK of a GET, without Huffman codes."""
    return b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x01\x09localhost"


def h2_hello(window=65535):
    return PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window))


# -- the attacks: the first bytes of a connection, and what it sends again and again ---------------
class Attack:
    """Connections at a time, their first bytes, then pieces, one each `every` seconds."""

    def __init__(self, connections, first, pieces=(b"",), every=0.0, reads=True):
        self.connections, self.first, self.pieces = connections, first, pieces
        self.every, self.reads = every, reads


def streams(make):
    """Pieces that use up the numbers of streams, a hundred at a time."""
    return [b"".join(make(2 * number + 1) for number in range(at, at + 100))
            for at in range(0, 20000, 100)]


HEAD = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n"
ATTACKS = {
    "slow_heads": Attack(500, HEAD, [b"x", b":", b"y", b"\r\n"], 0.1),
    "slow_bodies": Attack(500, b"POST /hello HTTP/1.1\r\nhost: localhost\r\n"
                          b"content-length: 999999\r\n\r\n", [b"x"], 0.1),
    "pipelining": Attack(50, b"", [(HEAD + b"\r\n") * 100], reads=False),
    "half_requests": Attack(200, HEAD + b"x: " + b"y" * 100000),
    "unread_files": Attack(200, b"GET /medium HTTP/1.1\r\nhost: localhost\r\n\r\n", reads=False),
    "rapid_reset": Attack(20, h2_hello(), streams(
        lambda stream: frame(HEADERS, END_STREAM | END_HEADERS, stream, get_block(b"/medium")) +
        frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))),
    "continuations": Attack(20, h2_hello() + frame(HEADERS, END_STREAM, 1, get_block(b"/hello")),
                            [frame(CONTINUATION, 0, 1, b"\0\x01a\x01b" * 100)] * 100),
    "settings": Attack(20, h2_hello(), [frame(SETTINGS, 0, 0) * 100]),
    "pings": Attack(20, h2_hello(), [frame(PING, 0, 0, b"12345678") * 100]),
    "window_0": Attack(100, h2_hello(0) + b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, stream, get_block(b"/medium"))
        for stream in range(1, 200, 2))),
}


class Attacker:
    """One connection; a new one takes its place when the server closes it."""

    def __init__(self, attack):
        self.attack, self.peer, self.due = attack, None, 0.0
        self.out, self.next = b"", 0

    def connect(self):
        self.peer = socket.socket()
        self.peer.setblocking(False)
        self.peer.connect_ex(("127.0.0.1", PORT))
        self.out, self.next = self.attack.first, 0
        self.due = time.monotonic() + 0.01

    def turn(self, now):
        if self.peer is None:
            self.connect()
        if now < self.due:
            return
        try:
            if not self.out:
                self.out = self.attack.pieces[self.next % len(self.attack.pieces)]
                self.next += 1
                self.due = now + self.attack.every
            if self.out:
                self.out = self.out[self.peer.send(self.out):]
            if self.attack.reads and not self.peer.recv(65536):
                raise ConnectionResetError
        except BlockingIOError:
            pass
        except OSError:
            self.peer.close()
            self.peer = None


def attack(name):
    """Never returns: it is ended by its parent."""
    os.nice(19)
    attackers = [Attacker(ATTACKS[name]) for _ in range(ATTACKS[name].connections)]
    while True:
        for each in attackers:
            each.turn(time.monotonic())
        time.sleep(0.001)


# -- the polite client -----------------------------------------------------------------------------
class Lives:
    """How long the server keeps connections, looked at once a second."""

    def __init__(self, own_port):
        self.own_port, self.seen, self.longest, self.due = own_port, {}, 0.0, 0.0

    def look(self, now):
        if now < self.due:
            return
        self.due = now + 1
        open_ports = set()
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            here, there = (int(address.partition(":")[2], 16) for address in words[1:3])
            if here == PORT and there not in (0, self.own_port) and words[9] != "0":  # has an inode
                open_ports.add(there)
        self.seen = {port: self.seen.get(port, now) for port in open_ports}
        self.longest = max([self.longest, *(now - since for since in self.seen.values())])


@contextlib.contextmanager
def prompt(*processes):
    """Lets them run as soon as they can, on their processors."""
    try:
        for process in processes:
            os.sched_setscheduler(process, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        print("no real-time priority: the waits count those for other programs", file=sys.stderr)
    try:
        yield
    finally:
        for process in processes:
            os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))


def waits(server, seconds):
    """Of the polite client's requests: the median, the 99th percentile, in milliseconds. Of the
    server: the most bytes, the longest life of another connection."""
    taken, most = [], 0
    with socket.create_connection(("127.0.0.1", PORT)) as peer, \
            prompt(os.getpid(), server.pid):
        peer.settimeout(30)
        lives = Lives(peer.getsockname()[1])
        end, used = time.monotonic() + seconds, processor_seconds(server.pid)
        while time.monotonic() < end:
            lives.look(time.monotonic())
            before = time.monotonic()
            peer.sendall(HEAD + b"\r\n")
            said = b""
            while b"Hello, world" not in said:
                piece = peer.recv(65536)
                if not piece:
                    sys.exit("the server closed the polite client's connection")
                said += piece
            taken.append((time.monotonic() - before) * 1000)
            most = max(most, resident_bytes(server.pid))
            time.sleep(0.001)
    taken.sort()
    return {"median": statistics.median(taken), "p99": taken[int(len(taken) * 0.99)],
            "busy": (processor_seconds(server.pid) - used) / seconds,
            "bytes": most, "longest": lives.longest}


def row(name, runs, ratios):
    middle = {key: statistics.median(run[key] for run in runs) for key in ("median", "p99", "busy")}
    ratio = f"{statistics.median(ratios):.1f}" if ratios else ""
    most = max(run["bytes"] for run in runs) / 2**20
    longest = max(run["longest"] for run in runs)
    print(f"| {name} | {middle['median']:.3f} | {middle['p99']:.3f} | {ratio} | {middle['busy']:.2f} | {most:.1f} | "
          f"{longest:.0f} |", flush=True)


def quiet(start, seconds):
    with start() as server:
        return waits(server, seconds)


def attacked(name, start, seconds):
    with start() as server:
        attacker = subprocess.Popen([sys.executable, __file__, "--attack", name])
        time.sleep(1)
        try:
            return waits(server, seconds)
        finally:
            attacker.kill()
            attacker.wait()


def compare(start, args):
    print("| attack | median, ms | p99, ms | p99 / quiet | busy | MiB | longest, s |\n| --- |" +
          " ---: |" * 6)
    alone = []
    for name in args.attacks:
        runs, ratios = [], []
        for _ in range(args.rounds):
            alone.append(quiet(start, args.seconds))
            runs.append(attacked(name, start, args.seconds))
            ratios.append(runs[-1]["p99"] / alone[-1]["p99"])
        row(name, runs, ratios)
    row("none", alone, [])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("attacks", nargs="*", default=[*ATTACKS])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nginx", action="store_true")
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args()
    if args.attack:
        attack(args.attack)
    with tempfile.TemporaryDirectory(prefix="rondo-attacks-") as name:
        folder = pathlib.Path(name)
        certificates(folder)
        http_servers.make_files(folder / "files")
        command = [args.build.resolve() / "bench/http_server", PORT, http_servers.TLS_PORT,
                   folder / "files"]
        on(0)()
        compare(lambda: http_servers.start("nginx" if args.nginx else "rondo", command, folder),
                args)


if __name__ == "__main__":
    main()
