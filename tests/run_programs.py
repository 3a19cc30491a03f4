#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the programs of tests/programs from outside, as a user would.

Each is checked for its exit status, the lines it must print, a time limit, and nothing unexpected
on stderr (above all a sanitizer's report). 06 is the server of 07, over loopback; 08 and 16 are
servers, with clients in this script. 22 gets certificates that this script makes with openssl.

Then each runs again with SIGINT at a random moment: it must end within five seconds, with status 0,
1 or 130. Before `run` has installed its handler, and after run, a signal has its default effect:
then it is right that the program is killed. To know which case it is, the program is stopped while
the signal is sent. A blocked signal is not a handler: a program that starts threads blocks all
signals for a moment. The moments come from a seed that is printed; RONDO_SEED repeats them.

usage: run_programs.py --folder FOLDER [--rounds N] [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import atexit
import collections
import contextlib
import fcntl
import functools
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ECHO_PORT = 7007  # the programs contain it; the next one too
TIME_PORT = 3737
CAPITALS_PORT = 8080
TLS_PORT = 8443
TLS_PROGRAM = "22_tls_echo"
SLOWER = float(os.environ.get("RONDO_SLOW", "1"))  # stretches every bound on a slow machine
SIGINT_SECONDS = 5 * SLOWER
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")

# seconds: the sum of its sleeps; lines: patterns of lines that must occur in this order.
# port: that the program itself listens at; certificates: their paths are its arguments.
Program = collections.namedtuple(
    "Program",
    "seconds lines server stderr status port certificates",
    defaults=(False, "", 0, None, False),
)
PROGRAMS = {
    "01_hello": Program(1.0, ["Hello ...", "... world!"]),
    "02_gather": Program(0.25, ["9 rondo 4", "998001"]),
    "03_wait_first_completed": Program(0.04, ["lima answered first"]),
    "04_timeout": Program(4.0, ["too slow", "moved on"]),
    "05_task_group": Program(0.05, ["ada done", "grace done", "edsger done", "3 finished"]),
    "07_tcp_client": Program(0.0, ["<- hello", "<- world"], server=True),
    "09_offload": Program(0.0, [r"\.+", "348513 78498 3"]),
    "10_queue": Program(0.0, [f"(ann|bob) serves {n}" for n in range(1, 11)]),
    "12_embed": Program(
        0.28, ["weather 1", "weather 2", "tick", "weather 4", "tick", "tick", "tick", "closed"]
    ),
    "14_subprocess": Program(0.0, [r"exit 0: \d+ bytes", "apple", "fig", "pear", "exit 0"]),
    "15_process_pool": Program(0.0, ["3 3245 5133"]),
    "13_ensure_future": Program(
        0.2,
        [
            "first started",
            "second started",
            "second completed",
            "first completed",
            "callback: result of first",
            "result of first / result of second",
        ],
    ),
    TLS_PROGRAM: Program(0.0, ["<- hello"], port=TLS_PORT, certificates=True),
}
SERVER = "06_tcp_echo_server"
TIME_SERVER = "08_udp"
CAPITALS_SERVER = "16_every_core"
durations = {
    SERVER: 0.2,
    CAPITALS_SERVER: 0.2,
}  # the time of each undisturbed run; for a server, how long it runs


class Failed(Exception):
    pass


class Child:
    """A program with its output in files, so that it never waits for a reader."""

    def __init__(self, command, stdin=subprocess.DEVNULL):
        self.name = pathlib.Path(command[0]).name
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=stdin, stdout=self.out, stderr=self.err
        )

    def wait(self, seconds, what):
        """The exit status; a program that does not end is killed, which is a failure."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(
                f"{self.name} had not ended {seconds:.1f} s after {what}{self.said()}"
            ) from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @staticmethod
    def text(stream):
        """The content of the file. Keeps its position, which the child shares and may write at."""
        size = os.fstat(stream.fileno()).st_size
        return os.pread(stream.fileno(), size, 0).decode(errors="replace")

    def said(self):
        return "".join(
            f"\n    {line}"
            for line in (self.text(self.out) + self.text(self.err)).splitlines()[:60]
        )

    def judge_stderr(self, expected=""):
        """Fails unless stderr is `expected`; if that is None, only if a sanitizer has reported."""
        said = self.text(self.err)
        if SANITIZER.search(said) or (expected is not None and said.strip() != expected):
            raise Failed(f"{self.name} wrote something unexpected to stderr:{self.said()}")

    def interrupt(self):
        """Sends SIGINT; gives whether it had a handler and whether it was blocked."""
        os.kill(self.process.pid, signal.SIGSTOP)
        give_up = time.monotonic() + SIGINT_SECONDS
        status = ""
        while (
            "State:\tT" not in status and "State:\tZ" not in status and time.monotonic() < give_up
        ):
            time.sleep(0.001)
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        masks = {
            name: int(mask, 16)
            for name, mask in re.findall(r"^Sig(Cgt|Blk):\s*(\w+)", status, re.MULTILINE)
        }
        bit = 1 << (signal.SIGINT - 1)
        caught, blocked = (bool(masks.get(name, 0) & bit) for name in ("Cgt", "Blk"))
        os.kill(self.process.pid, signal.SIGINT)
        os.kill(self.process.pid, signal.SIGCONT)
        return caught, blocked


def enter_own_network():
    """Restarts this script in a network namespace that has only a loopback, so that the programs'
    ports are free. If that is not allowed, takes a lock, so that one such script runs at a time."""
    if os.environ.get("RONDO_OWN_NETWORK") == str(os.getpid()):
        with socket.socket() as any_socket:  # SIOCSIFFLAGS: lo up
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
        return
    for unshare in ["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]:
        if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            os.environ["RONDO_OWN_NETWORK"] = str(os.getpid())  # exec keeps it
            os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    global only_one  # the lock is released when this process ends
    only_one = open(pathlib.Path(tempfile.gettempdir()) / "rondo-network.lock", "w")
    fcntl.flock(only_one, fcntl.LOCK_EX)


@contextlib.contextmanager
def own_port(port):
    """Makes test runs on this machine use the programs' port one at a time."""
    with open(pathlib.Path(tempfile.gettempdir()) / f"rondo-port-{port}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        give_up = time.monotonic() + 10 * SLOWER
        while True:
            try:
                socket.create_server(("127.0.0.1", port)).close()
                break
            except OSError as error:  # the kernel ends a ring some time after its process
                if time.monotonic() > give_up:
                    raise Failed(f"another program has 127.0.0.1:{port} ({error})") from None
                time.sleep(0.02)
        yield


def wait_for_text(child, pattern):
    """Waits until its output matches; gives the last match."""
    give_up = time.monotonic() + 10 * SLOWER
    while time.monotonic() < give_up:
        found = re.findall(pattern, child.text(child.out))
        if found:
            return found[-1]
        time.sleep(0.01)
    raise Failed(f"{child.name} did not print {pattern!r}{child.said()}")


def wait_for_port(server, port):
    give_up = time.monotonic() + 10 * SLOWER
    while True:
        if server.process.poll() is not None or time.monotonic() > give_up:
            raise Failed(f"{server.name} does not accept connections{server.said()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)


@contextlib.contextmanager
def running_server(folder, stderr="", name=SERVER, port=ECHO_PORT):
    """06 while it accepts; at the end SIGINT must end it."""
    with own_port(port):
        server = Child([str(folder / name)])
        try:
            wait_for_port(server, port)
            yield server
            end_by_sigint(server, must_handle=True, stderr=stderr)
        finally:
            server.kill()


def end_by_sigint(child, must_handle=False, stderr=""):
    caught, blocked = child.interrupt()
    status = child.wait(SIGINT_SECONDS, "SIGINT")
    if must_handle and not (caught or blocked):
        raise Failed(f"{child.name} had no handler for SIGINT while its loop ran")
    if status == -signal.SIGINT and not caught:
        return
    if status not in (0, 1, 130):
        raise Failed(f"{child.name} ended with status {status} on SIGINT{child.said()}")
    child.judge_stderr(stderr)


@functools.cache
def certificates():
    """Paths of a chain for localhost, its key, and the authority that issued it."""
    folder = tempfile.mkdtemp(prefix="rondo-certificates-")
    atexit.register(shutil.rmtree, folder)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    authority = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority for tests"]
    own = ["-keyout", "key.pem", "-out", "request", "-subj", "/CN=localhost"]
    pathlib.Path(folder, "names").write_text("subjectAltName=DNS:localhost")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "names", "-out", "chain.pem"]
    for command in (
        ["req", "-x509", *curve, *authority],
        ["req", *curve, *own],
        ["x509", "-req", "-in", "request", *signing],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return [f"{folder}/{file}" for file in ("chain.pem", "key.pem", "ca.pem")]


def command_of(folder, name, program):
    return [str(folder / name), *(certificates() if program.certificates else [])]


def surroundings(folder, program, stderr=""):
    """The server that the program needs, or its own port, while it runs."""
    if program.server:
        return running_server(folder, stderr=stderr)
    return own_port(program.port) if program.port else contextlib.nullcontext()


def check_run(folder, name, program):
    with surroundings(folder, program):
        began = time.monotonic()
        child = Child(command_of(folder, name, program))
        status = child.wait((10 + 3 * program.seconds) * SLOWER, "its start")
        took = time.monotonic() - began
    if status != program.status:
        raise Failed(f"{name} ended with status {status}{child.said()}")
    child.judge_stderr(program.stderr)
    said = iter(child.text(child.out).splitlines())
    for line in program.lines:
        if not any(re.fullmatch(line, one) for one in said):  # consumes: in this order
            raise Failed(f"{name} did not print {line!r} in its place{child.said()}")
    durations[name] = took
    if took < program.seconds:
        raise Failed(f"{name} took {took:.3f} s, less than it says it sleeps")


def check_refused(folder):
    """07 without its server: one line on stderr with the address and the reason."""
    with own_port(ECHO_PORT):
        child = Child([str(folder / "07_tcp_client")])
        status = child.wait(20 * SLOWER, "its start")
    if status != 1:
        raise Failed(f"07_tcp_client without a server ended with status {status}{child.said()}")
    child.judge_stderr(f"connect localhost:{ECHO_PORT}: Connection refused")


def check_echo(folder):
    """06 with several clients at once: it echoes all bytes, though one client resets."""
    with running_server(folder, stderr=None):  # stderr has the reset, with the peer's address
        peers = [
            socket.create_connection(("127.0.0.1", ECHO_PORT), timeout=10 * SLOWER)
            for _ in range(8)
        ]
        payload = random.Random(7).randbytes(100_000)
        peers[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peers[0].sendall(b"and gone")
        peers.pop(0).close()  # a reset
        for peer in peers:
            peer.sendall(payload[:50_000])
        for peer in peers:
            got = b""
            while len(got) < 50_000:
                part = peer.recv(65536)
                if not part:
                    raise Failed(f"{SERVER} hung up after {len(got)} bytes")
                got += part
            if got != payload[:50_000]:
                raise Failed(f"{SERVER} changed what it echoed")
            peer.shutdown(socket.SHUT_WR)
            if peer.recv(1) != b"":
                raise Failed(f"{SERVER} did not end a connection after its peer's end")
            peer.close()


def check_time_server(folder):
    """08: each datagram, an empty one too, is answered with the time; SIGINT ends it."""
    server = Child([str(folder / TIME_SERVER)])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.connect(("127.0.0.1", TIME_PORT))
            asker.settimeout(0.05)
            give_up = time.monotonic() + 10 * SLOWER
            answers = []
            while len(answers) < 3:
                if server.process.poll() is not None or time.monotonic() > give_up:
                    raise Failed(f"{TIME_SERVER} does not answer{server.said()}")
                with contextlib.suppress(OSError):  # not there yet
                    asker.send(b"what time is it?"[: 16 * (len(answers) % 2)])
                    answers.append(int(asker.recv(100)))
            if sorted(answers) != answers:
                raise Failed(f"{TIME_SERVER} goes back in time: {answers}")
        end_by_sigint(server, must_handle=True)
    finally:
        server.kill()


def check_every_core(folder):
    """16: many clients at once get their text in capitals; there is one loop per core."""
    with running_server(folder, name=CAPITALS_SERVER, port=CAPITALS_PORT) as server:
        names = [
            thread.read_text().strip()
            for thread in pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/comm")
        ]
        loops = sum(name.startswith("rondo-loop-") for name in names)
        if loops != len(os.sched_getaffinity(0)):
            raise Failed(f"{server.name} has the threads {names}")
        peers = [
            socket.create_connection(("127.0.0.1", CAPITALS_PORT), timeout=10 * SLOWER)
            for _ in range(100)
        ]
        for number, peer in enumerate(peers):
            peer.sendall(f"hello, number {number}\n".encode() * 100)
            peer.shutdown(socket.SHUT_WR)
        for number, peer in enumerate(peers):
            got = b""
            while part := peer.recv(65536):
                got += part
            if got != f"HELLO, NUMBER {number}\n".encode() * 100:
                raise Failed(f"{server.name} answered {got[:100]!r} to number {number}")
        idle = peers[:3]
        for peer in peers[3:]:
            peer.close()
    for peer in idle:
        peer.close()


def check_sigint(folder, name, program, part):
    """SIGINT after `part` of its time. After an early one the last line must not be printed."""
    after = part * durations.get(name, program.seconds)
    with surroundings(folder, program, stderr=None):
        child = Child(command_of(folder, name, program))
        try:
            time.sleep(after)
            if child.process.poll() is None:
                end_by_sigint(child)
                if (
                    after < program.seconds - 0.5 * SLOWER
                    and re.search(f"^{program.lines[-1]}$", child.text(child.out), re.MULTILINE)
                ):
                    raise Failed(f"{name} went on to its end after SIGINT{child.said()}")
            elif child.process.returncode != 0:
                raise Failed(f"{name} ended with status {child.process.returncode}{child.said()}")
        finally:
            child.kill()


def check_server_sigint(folder, name, port, part):
    """SIGINT to the server, soon after its start and with connections open."""
    with own_port(port):
        server = Child([str(folder / name)])
        peers = []
        try:
            time.sleep(part * durations[name])
            with contextlib.suppress(OSError):
                for _ in range(3):
                    peers.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                    peers[-1].sendall(b"x" * 1000)
            end_by_sigint(server)
        finally:
            server.kill()
            for peer in peers:
                peer.close()


def checks(folder, names, rounds, chance):
    """(title, function) for each check."""
    for name in names:
        if name == SERVER:
            yield f"{name}: echoes", lambda: check_echo(folder)
        elif name == TIME_SERVER:
            yield f"{name}: answers", lambda: check_time_server(folder)
        elif name == CAPITALS_SERVER:
            yield f"{name}: answers in capitals", lambda: check_every_core(folder)
        else:
            program = PROGRAMS[name]
            yield f"{name}: runs", lambda name=name, program=program: check_run(
                folder, name, program
            )
        if name == "07_tcp_client":
            yield f"{name}: refused", lambda: check_refused(folder)
    for name in names:
        if name == TIME_SERVER:
            continue
        for _ in range(rounds):
            part = chance.uniform(0, 1.1)
            title = f"{name}: SIGINT at {part:.0%} of its time"
            if name in (SERVER, CAPITALS_SERVER):
                port = ECHO_PORT if name == SERVER else CAPITALS_PORT
                yield title, lambda name=name, port=port, part=part: check_server_sigint(
                    folder, name, port, part
                )
            else:
                program = PROGRAMS[name]
                yield title, lambda name=name, program=program, part=part: check_sigint(
                    folder, name, program, part
                )


skipped = []  # titles


def skip(title, why):
    """Says that a check is not run, and why; it is counted as skipped."""
    skipped.append(title)
    print(f"skipped {title}: {why}", flush=True)


def run(todo, name):
    """Runs each (title, function), prints its result, and at the end the failures again. Gives the
    exit status."""
    passed = 0
    failures = []
    for title, function in todo:
        try:
            function()
            passed += 1
            print(f"ok      {title}", flush=True)
        except Failed as what:
            failures.append(f"FAILED  {title}: {what}")
            print(failures[-1], flush=True)
        except Exception as what:  # an answer that the check did not think of
            failures.append(f"FAILED  {title}: {type(what).__name__}: {what}")
            print(failures[-1], flush=True)
    failed = len(failures)
    print("\n".join([*failures, f"{passed} passed, {failed} failed"]))
    if os.environ.get("RONDO_TALLY"):
        with open(os.environ["RONDO_TALLY"], "a") as tally:
            tally.write(f"{passed} {failed} {len(skipped)} {name}\n")
    return 1 if failed else 0


def main():
    arguments = argparse.ArgumentParser(description="runs the programs of tests/programs")
    arguments.add_argument(
        "--folder", type=pathlib.Path, required=True, help="the folder of the binaries"
    )
    arguments.add_argument("--rounds", type=int, default=3, help="SIGINTs for each program")
    all_names = sorted([*PROGRAMS, SERVER, TIME_SERVER, CAPITALS_SERVER])
    arguments.add_argument("names", nargs="*", default=all_names)
    options = arguments.parse_args()
    enter_own_network()
    if not (options.folder / TLS_PROGRAM).exists():  # built without OpenSSL
        options.names = [name for name in options.names if name != TLS_PROGRAM]

    seed = int(os.environ.get("RONDO_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"moments of SIGINT from RONDO_SEED={seed}", flush=True)
    all_checks = checks(options.folder, options.names, options.rounds, random.Random(seed))
    return run(all_checks, "programs")


if __name__ == "__main__":
    sys.exit(main())
