#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the examples from outside, as a newcomer would.

The head of an example's source has its output, indented, and exactly that is checked: these lines
in this order; "..." stands for any number of other lines. The exit status must be 0 and stderr
empty. verification_code gets typed input; the echo pair, and rondo-get and its file server,
run against each other.

usage: run_examples.py --folder FOLDER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from run_programs import (  # noqa: E402
    SLOWER,
    Child,
    Failed,
    certificates,
    end_by_sigint,
    enter_own_network,
    run,
    wait_for_port,
    wait_for_text,
)
import http_examples  # noqa: E402

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "examples"
SHOWN = re.compile(r"^//     (.*)$", re.MULTILINE)
# The numbers that these print depend on time or on chance.
NUMBERS_VARY = {"embed", "producer_consumer", "retry_with_jitter", "three_ways"}


def must_print(name):
    """A pattern for each line, in order; None if other lines may come in between."""
    source = f"hosts/{name.removeprefix('host_')}" if name.startswith("host_") else name
    lines = SHOWN.findall((SOURCES / f"{source}.cpp").read_text())
    for line in lines:
        pattern = re.escape(line)
        if name in NUMBERS_VARY:
            pattern = re.sub(r"\d+", r"\\d+", pattern)
        yield None if line == "..." else re.compile(pattern)


def judge_output(child, patterns):
    said = iter(child.text(child.out).splitlines())
    gap = False
    for pattern in patterns:
        if pattern is None:
            gap = True
            continue
        found = any(map(pattern.fullmatch, said)) if gap else pattern.fullmatch(next(said, ""))
        if not found:
            raise Failed(
                f"{child.name} did not print {pattern.pattern!r} in its place{child.said()}"
            )
        gap = False
    rest = list(said)
    if rest and not gap:
        raise Failed(f"{child.name} printed more than the head of its source says{child.said()}")


def check_example(folder, name):
    child = Child([str(folder / name)])
    status = child.wait(30 * SLOWER, "its start")
    if status != 0:
        raise Failed(f"{name} ended with status {status}{child.said()}")
    child.judge_stderr()
    judge_output(child, must_print(name))


def check_verification_code(folder, typed_at_the_end, answer):
    """Types a wrong code, then nothing until the code changes, then the right one or the end."""
    child = Child([str(folder / "verification_code"), "1"], stdin=subprocess.PIPE)
    try:
        typist = child.process.stdin
        typist.write(b"not ")
        typist.flush()
        first = wait_for_text(child, r"the code is (\d{4})")
        typist.write(b"a code\n")
        typist.flush()
        wait_for_text(child, r"wrong\n")
        wait_for_text(child, rf"the code is {first}[^$]*the code is (?!{first})\d{{4}}")
        while typed_at_the_end and child.process.poll() is None:  # the code may change meanwhile
            code = wait_for_text(child, r"the code is (\d{4})")
            typist.write(f"{code}\n".encode())
            typist.flush()
            time.sleep(0.05 * SLOWER)
        typist.close()
    except BrokenPipeError:
        pass  # it has ended: the right code was typed
    finally:
        status = child.wait(10 * SLOWER, "the end of its input")
    if status != 0 or child.text(child.out).splitlines()[-1] != answer:
        raise Failed(f"verification_code ended with status {status}{child.said()}")
    child.judge_stderr()


def check_downloader(folder):
    """The downloader against the file server: the files are equal; a missing file gives status 1,
    and the others arrive all the same."""
    port = 7080
    with tempfile.TemporaryDirectory() as scratch:
        there, here = pathlib.Path(scratch) / "there", pathlib.Path(scratch) / "here"
        there.mkdir()
        here.mkdir()
        for number, size in enumerate([0, 1, 1000, 4096, 65536, 65537, 300_000, 2_000_000]):
            (there / f"{number}.bin").write_bytes(random.Random(number).randbytes(size))
        server = Child([str(folder / "file_server"), "-p", str(port), str(there)])
        try:
            wait_for_port(server, port)
            names = [path.name for path in sorted(there.iterdir())]
            for extra, expected in ([], 0), (["missing"], 1):
                urls = [f"http://127.0.0.1:{port}/{name}" for name in [*extra, *names]]
                child = Child([str(folder / "rondo-get"), "-j", "4", "-d", str(here), *urls])
                status = child.wait(60 * SLOWER, "its start")
                if status != expected:
                    raise Failed(f"rondo-get ended with status {status}{child.said()}")
                child.judge_stderr(None)
                for name in names:
                    if (here / name).read_bytes() != (there / name).read_bytes():
                        raise Failed(f"{name} differs from the served file{child.said()}")
                    (here / name).unlink()
            end_by_sigint(server, must_handle=True, stderr=None)
        finally:
            server.kill()


def check_echo_pair(folder):
    port = 7081
    server = Child([str(folder / "echo_server"), str(port)])
    try:
        wait_for_port(server, port)
        client = Child([str(folder / "echo_client"), "127.0.0.1", str(port), "ut", "re", "mi"])
        status = client.wait(30 * SLOWER, "its start")
        said = client.text(client.out)
        if status != 0 or not all(word in said for word in ("ut", "re", "mi")):
            raise Failed(f"echo_client ended with status {status}{client.said()}")
        client.judge_stderr()
        end_by_sigint(server, must_handle=True, stderr=None)
    finally:
        server.kill()


def check_tls_echo(folder):
    """Server and client; the certificate is read again on SIGHUP; a wrong name is refused."""
    port = 7083
    chain, key, authority = certificates()
    server = Child([str(folder / "tls_echo"), "serve", chain, key, str(port)])
    try:
        wait_for_port(server, port)
        for _ in range(2):
            client = Child(
                [str(folder / "tls_echo"), "ask", authority, "localhost", str(port), "ut re"]
            )
            status = client.wait(30 * SLOWER, "its start")
            said = client.text(client.out)
            expect(status == 0 and said == f"TLS 1.3, localhost:{port}\n<- ut re\n", client)
            client.judge_stderr()
            server.process.send_signal(signal.SIGHUP)
            give_up = time.monotonic() + 10 * SLOWER
            while "new certificate" not in server.text(server.out):
                expect(time.monotonic() < give_up, server)
                time.sleep(0.01)
        wrong = Child([str(folder / "tls_echo"), "ask", chain, "127.0.0.1", str(port), "x"])
        expect(wrong.wait(30 * SLOWER, "its start") == 1, wrong)
        wrong.judge_stderr(
            f"handshake 127.0.0.1:{port}: host name mismatch: wanted 127.0.0.1, certificate is for "
            "localhost"
        )
        end_by_sigint(server, must_handle=True, stderr=None)
    finally:
        server.kill()


def check_port_scanner(folder):
    """It finds the listening port, and refuses to scan other machines."""
    port = 7082
    server = Child([str(folder / "echo_server"), str(port)])
    try:
        wait_for_port(server, port)
        scanner = Child([str(folder / "port_scanner"), str(port - 300), str(port + 300)])
        status = scanner.wait(30 * SLOWER, "its start")
        said = scanner.text(scanner.out).splitlines()
        if status != 0 or f"127.0.0.1:{port} is open" not in said or "of 601 ports" not in said[-1]:
            raise Failed(f"port_scanner ended with status {status}{scanner.said()}")
        scanner.judge_stderr()
        for arguments in (["1", "2", "192.0.2.1"], ["1", "2", "localhost"], ["2", "1"], ["1"]):
            refused = Child([str(folder / "port_scanner"), *arguments])
            if refused.wait(30 * SLOWER, "its start") != 2 or refused.text(refused.out):
                raise Failed(f"port_scanner {' '.join(arguments)} was not refused{refused.said()}")
        end_by_sigint(server, must_handle=True, stderr=None)
    finally:
        server.kill()


def talk(port, *lines, until=None):
    """Sends lines to a server, shuts down writing, and gives the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10 * SLOWER) as peer:
        for line in lines:
            peer.sendall(line)
        if until is None:
            peer.shutdown(socket.SHUT_WR)
        said = b""
        while until is None or until not in said:
            part = peer.recv(65536)
            if not part:
                break
            said += part
        return said


def expect(condition, child):
    if not condition:
        raise Failed(f"{child.name} did not behave as expected{child.said()}")


@contextlib.contextmanager
def serving(folder, name, *arguments, port):
    server = Child([str(folder / name), *map(str, arguments)])
    try:
        wait_for_port(server, port)
        yield server
        end_by_sigint(server, must_handle=True, stderr=None)
    finally:
        server.kill()


def check_upper_server(folder):
    with serving(folder, "upper_server", 7083, port=7083) as server:
        expect(talk(7083, b"hello\nw", b"orld\n") == b"HELLO\nWORLD\n", server)
        idle = socket.create_connection(("127.0.0.1", 7083), timeout=10 * SLOWER)
        idle.sendall(b"in the middle")
    expect("all have gone" in server.text(server.out), server)
    idle.close()


def check_every_core(folder):
    """100 clients at once; at the end each loop prints the number of its connections."""
    with serving(folder, "every_core", 7097, port=7097) as server:
        peers = [
            socket.create_connection(("127.0.0.1", 7097), timeout=10 * SLOWER) for _ in range(100)
        ]
        for peer in peers:
            peer.sendall(b"many words\n")
        for peer in peers:
            with peer, peer.makefile("rb") as answers:
                expect(answers.readline() == b"MANY WORDS\n", server)
    printed = re.findall(r"^loop \d+: (\d+) connections$", server.text(server.out), re.M)
    served = [int(n) for n in printed]
    expect(sum(served) == 101, server)  # one more from wait_for_port
    expect(len(served) == len(os.sched_getaffinity(0)), server)


def check_prefork_server(folder):
    """Many clients at once; then workers crash, one after the other, and are replaced."""
    crashes = []
    with serving(folder, "prefork_server", 7098, 3, port=7098) as server:
        for _ in range(40):
            expect(re.fullmatch(rb"worker [012]: HELLO\n", talk(7098, b"hello\n")), server)
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", 7098), timeout=10 * SLOWER) as peer:
                with peer.makefile("rb") as answers:
                    peer.sendall(b"who\n")
                    crashes.append(int(answers.readline().split(b":")[0].split()[1]))
                    peer.sendall(b"crash\n")
                    expect(answers.read() == b"", server)  # nothing but the end
            expect(re.fullmatch(rb"worker [012]: HELLO\n", talk(7098, b"hello\n")), server)
        wait_for_text(server, rf"(?s)(another one.*){{{len(crashes)}}}")
    lines = [f"worker {n} ended with -9; another one takes its place" for n in crashes]
    printed = server.text(server.out).splitlines()
    expect(sorted(printed[:-1]) == sorted(lines), server)
    expect(printed[-1] == "all workers have ended", server)


def check_chat_room(folder):
    with serving(folder, "chat_room", 7084, port=7084) as server:
        ann, bob = (
            socket.create_connection(("127.0.0.1", 7084), timeout=10 * SLOWER) for _ in "ab"
        )
        ann.sendall(b"ann\n")
        wait = b""
        while b"your name? " not in wait:
            wait += ann.recv(1000)
        bob.sendall(b"bob\n")
        heard = b""
        while b"* bob came in\n" not in heard:
            heard += ann.recv(1000)
        ann.sendall(b"good morning\n")
        heard = b""
        while b"ann: good morning\n" not in heard:
            heard += bob.recv(1000)
        ann.close()
        while b"* ann has left\n" not in heard:
            heard += bob.recv(1000)
        bob.close()


def check_proxy_and_netcat(folder):
    """netcat through proxy to upper_server, with shutdowns of one direction."""
    with serving(folder, "upper_server", 7085, port=7085):
        with serving(folder, "proxy", 7086, "127.0.0.1", 7085, port=7086):
            with tempfile.TemporaryFile() as text:
                text.write(b"many words\n" * 1000)
                text.seek(0)
                cat = Child([str(folder / "netcat"), "127.0.0.1", "7086"], stdin=text)
                status = cat.wait(30 * SLOWER, "its start")
                expect(status == 0 and cat.text(cat.out) == "MANY WORDS\n" * 1000, cat)
                cat.judge_stderr()
    refused = Child([str(folder / "netcat"), "127.0.0.1", "7085"])
    expect(refused.wait(30 * SLOWER, "its start") == 1, refused)
    refused.judge_stderr("connect 127.0.0.1:7085: Connection refused")


def check_xargs(folder):
    with tempfile.TemporaryFile() as lines:
        lines.write("".join(f"{n}\n" for n in range(50)).encode())
        lines.seek(0)
        every = Child([str(folder / "xargs"), "8", "echo", "number"], stdin=lines)
        status = every.wait(30 * SLOWER, "its start")
        said = sorted(every.text(every.out).splitlines())
        expect(status == 0 and said == sorted(f"number {n}" for n in range(50)), every)
        every.judge_stderr()
        lines.seek(0)
        failing = Child([str(folder / "xargs"), "8", "false"], stdin=lines)
        expect(failing.wait(30 * SLOWER, "its start") == 123, failing)
        lines.seek(0)
        missing = Child([str(folder / "xargs"), "8", "no-such-program"], stdin=lines)
        expect(missing.wait(30 * SLOWER, "its start") == 127, missing)
        missing.judge_stderr(None)


def check_udp_chat(folder):
    pipe = subprocess.PIPE
    ann = Child([str(folder / "udp_chat"), "7087", "7088"], stdin=pipe)
    bob = Child([str(folder / "udp_chat"), "7088", "7087"], stdin=pipe)
    try:
        give_up = time.monotonic() + 10 * SLOWER
        while "7087 says: hello" not in bob.text(bob.out):
            expect(time.monotonic() < give_up, bob)
            ann.process.stdin.write(b"hello\n")  # again, until bob's socket exists
            ann.process.stdin.flush()
            time.sleep(0.02)
        for each in ann, bob:
            each.process.stdin.close()
            expect(each.wait(10 * SLOWER, "the end of its input") == 0, each)
    finally:
        ann.kill()
        bob.kill()


def check_tail_follow(folder):
    with tempfile.TemporaryDirectory() as scratch:
        log = pathlib.Path(scratch) / "log"
        log.write_text("before\n")
        tail = Child([str(folder / "tail_follow"), str(log)])
        try:
            give_up = time.monotonic() + 10 * SLOWER
            number = 0
            while "line" not in tail.text(tail.out):  # until it watches the file
                expect(time.monotonic() < give_up, tail)
                number += 1
                with log.open("a") as to:
                    to.write(f"line {number}\n")
                time.sleep(0.02)
            log.rename(pathlib.Path(scratch) / "log.1")
            log.write_text("after the rotation\n")
            while "after the rotation" not in tail.text(tail.out):
                expect(time.monotonic() < give_up, tail)
                time.sleep(0.02)
            expect("before" not in tail.text(tail.out), tail)
            end_by_sigint(tail, must_handle=True)
        finally:
            tail.kill()


def checks(folder, names):
    """(title, function) for the examples that were built."""
    for name in names:
        yield f"example {name}: prints the output of its head", lambda name=name: check_example(
            folder, name
        )
    yield "example verification_code: the right code", lambda: check_verification_code(
        folder, True, "welcome"
    )
    yield "example verification_code: the end of the input", lambda: check_verification_code(
        folder, False, "nobody is there any more"
    )
    yield "examples echo_server and echo_client: echo", lambda: check_echo_pair(folder)
    if (folder / "tls_echo").is_file():  # it needs OpenSSL
        yield "example tls_echo: both sides, and a new certificate", lambda: check_tls_echo(folder)
    yield "example port_scanner: the port of echo_server", lambda: check_port_scanner(folder)
    yield "example upper_server: capitals, and a graceful end", lambda: check_upper_server(folder)
    yield "example every_core: the kernel spreads the connections", lambda: check_every_core(folder)
    yield "example prefork_server: workers that crash are replaced", lambda: check_prefork_server(
        folder
    )
    yield "example chat_room: guests come, speak and leave", lambda: check_chat_room(folder)
    yield "examples netcat and proxy: through both", lambda: check_proxy_and_netcat(folder)
    yield "example xargs: every line, and how it ended", lambda: check_xargs(folder)
    yield "example udp_chat: two talk", lambda: check_udp_chat(folder)
    yield "example tail_follow: appended lines, and a rotation", lambda: check_tail_follow(folder)
    for name, (title, check) in http_examples.CHECKS.items():
        if (folder / name).exists():  # https_get needs OpenSSL, api_client nlohmann's header
            yield f"example {name}: {title}", lambda check=check: check(folder)
    if (folder / "rondo-get").is_file():
        yield "examples rondo-get and file_server: every byte", lambda: check_downloader(folder)


def main():
    arguments = argparse.ArgumentParser(description="runs the examples")
    arguments.add_argument(
        "--folder", type=pathlib.Path, required=True, help="the folder of the binaries"
    )
    not_alone = {
        "chat", "chat_room", "echo_client", "echo_server", "every_core", "file_server", "netcat", "port_scanner",
        "prefork_server", "proxy", "reverse_proxy", "sse_clock", "tail_follow", "tls_echo",
        "redis_ping", "udp_chat", "upper_server", "verification_code", "work_queue", "xargs",
    }  # fmt: skip
    not_alone |= http_examples.CHECKS.keys()
    alone = sorted({path.stem for path in SOURCES.glob("*.cpp")} - not_alone)
    arguments.add_argument("names", nargs="*", default=alone)
    options = arguments.parse_args()
    if options.names is alone:  # also those inside another loop, if its library is installed
        alone += sorted(path.name for path in options.folder.glob("host_*") if path.is_file())
    enter_own_network()
    return run(checks(options.folder, options.names), "examples")


if __name__ == "__main__":
    sys.exit(main())
