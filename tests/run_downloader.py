#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the downloader and the file server from outside, on loopback.

First the two with each other: every byte, connections that are used again, requests that must be
refused. Then the downloader against an odd or hostile server in Python: chunked bodies, no length,
cut off, silent, endless headers, no HTTP at all, connections that are dead when they are used
again. After each run this checks the exit status, the output, that no sanitizer has reported, and
that no unfinished file is left. At the end nginx serves and curl requests; if one is not installed,
a line says so.

usage: run_downloader.py --examples FOLDER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import contextlib
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

SLOWER = float(os.environ.get("RONDO_SLOW", "1"))  # stretches every bound on a slow machine
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
BODY = random.Random(1).randbytes(300_000)


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


# -- an odd and hostile server ---------------------------------------------------------------------
def head(status="200 OK", **fields):
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


class OddServer:
    """Chooses its answer by the first segment of the path; counts connections and requests."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.connections = self.requests = 0
        self.ended = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def close(self):
        self.ended.set()
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer = self.listener.accept()[0]
                self.connections += 1
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        peer.settimeout(30 * SLOWER)
        with contextlib.suppress(OSError), peer:
            while True:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = peer.recv(4096)
                    if not part:
                        return
                    request += part
                self.requests += 1
                manner = request.split(b" ")[1].decode().strip("/").split("/")[0]
                if not getattr(self, manner)(peer):
                    return

    def plain(self, peer):
        peer.sendall(head(Content_Length=len(BODY)) + BODY)
        return True

    def empty(self, peer):
        peer.sendall(head(Content_Length=0))
        return True

    def chunked(self, peer):
        peer.sendall(head(Transfer_Encoding="chunked"))
        chance = random.Random(2)
        rest = BODY
        while rest:
            size = min(len(rest), chance.randrange(1, 20_000))
            peer.sendall(b"%x;why=not\r\n" % size + rest[:size] + b"\r\n")
            rest = rest[size:]
        peer.sendall(b"0\r\nSome-Trailer: x\r\n\r\n")
        return True

    def until_close(self, peer):
        peer.sendall(head(Connection="close") + BODY)
        return False

    def bytewise(self, peer):
        """The head byte by byte, interim answers before it."""
        for byte in b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + head(Content_Length=3):
            peer.sendall(bytes([byte]))
        peer.sendall(b"abc")
        return True

    def fades(self, peer):
        """Says that the connection stays open, and closes it."""
        peer.sendall(head(Content_Length=len(BODY)) + BODY)
        return False

    def truncated(self, peer):
        peer.sendall(head(Content_Length=len(BODY)) + BODY[:1000])
        return False

    def truncated_chunks(self, peer):
        peer.sendall(head(Transfer_Encoding="chunked") + b"10\r\n12345")
        return False

    def missing(self, peer):
        peer.sendall(head("404 Not Found", Content_Length=4) + b"none")
        return True

    def moved(self, peer):
        peer.sendall(head("302 Found", Location="/plain/moved", Content_Length=0))
        return True

    def moved_away(self, peer):
        peer.sendall(head("302 Found", Location="ftp://elsewhere/", Content_Length=0))
        return True

    def in_part(self, peer):
        peer.sendall(head("206 Partial Content", Content_Length=1) + b"x")
        return True

    def terse(self, peer):
        """As small and old servers do: no reason, a folded field, spaces behind the size."""
        peer.sendall(b"HTTP/1.1 200\r\nX: a\r\n b\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.sendall(b"3   \r\nabc\r\n0 \r\n\r\n")
        return True

    def endless_head(self, peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")

    def not_http(self, peer):
        peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        return self.hangs(peer)

    def two_lengths(self, peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")
        return True

    def says_nothing(self, peer):
        return False

    def resets(self, peer):
        peer.sendall(head(Content_Length=len(BODY)) + BODY[:1000])
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def hangs(self, peer):
        self.ended.wait(60)
        return False

    def begins(self, peer):
        """Half of a file, and then nothing more."""
        peer.sendall(head(Content_Length=len(BODY)) + BODY[: len(BODY) // 2])
        return self.hangs(peer)


# -- running ---------------------------------------------------------------------------------------
class Result:
    def __init__(self, status, said, complained):
        self.status, self.said, self.complained = status, said, complained
        self.all = said + complained


class Test:
    """A folder, the programs and the odd server, made anew for each test."""

    def __init__(self, examples, scratch):
        self.examples, self.scratch = examples, scratch
        self.out = scratch / "out"
        self.out.mkdir()
        self.odd = OddServer()

    def start(self, *arguments, **options):
        command = [str(self.examples / "downloader"), "-o", str(self.out), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options)

    def end(self, process, status, stdin=None):
        try:
            said, complained = process.communicate(stdin, timeout=60 * SLOWER)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"the downloader did not end: {process.communicate()}") from None
        result = Result(process.returncode, said, complained)
        expect(not SANITIZER.search(result.all), f"a sanitizer speaks: {result.all}")
        expect(result.status == status, f"status {result.status}, not {status}: {result.all}")
        expect(not list(self.out.glob(".*.part")), f"left: {list(self.out.iterdir())}")
        return result

    def run(self, status, *arguments, stdin=None):
        return self.end(self.start(*arguments, stdin=subprocess.PIPE), status, stdin)

    def get(self, status, *paths):
        return self.run(status, *map(self.odd.url, paths))

    def is_there(self, name, body=BODY):
        path = self.out / name
        expect(path.is_file() and path.read_bytes() == body, f"{name} differs from the served file")

    def is_not_there(self, *names):
        for name in names:
            expect(not (self.out / name).exists(), f"{name} is there, but has failed")

    @contextlib.contextmanager
    def file_server(self, root):
        command = [str(self.examples / "file_server"), "-p", "0", str(root)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as server:
            try:
                line = server.stdout.readline()
                found = re.search(r"http://127\.0\.0\.1:(\d+)/$", line.strip())
                expect(found, f"the file server said {line!r}: {server.poll()}")
                yield int(found[1])
                server.send_signal(signal.SIGINT)
                _, complained = server.communicate(timeout=10 * SLOWER)
                expect(not complained, f"the file server complains: {complained}")
                expect(server.returncode in (0, 130), f"its status is {server.returncode}")
            finally:
                server.kill()


# -- the tests -------------------------------------------------------------------------------------
def every_byte(test):
    """Files of all sizes from our own server; then again, over idle connections."""
    there = test.scratch / "there"
    there.mkdir()
    for number, size in enumerate([0, 1, 1000, 4096, 65536, 131072, 131073, 300_000, 5_000_000]):
        (there / f"{number}.bin").write_bytes(random.Random(number).randbytes(size))
    for number in range(100):
        (there / f"small_{number}").write_text(f"{number}\n")
    with test.file_server(there) as port:
        urls = "".join(f"http://127.0.0.1:{port}/{path.name}\n" for path in there.iterdir())
        listed = test.scratch / "list"
        listed.write_text("# a comment\n\n" + urls)
        for arguments in ["-j", "1"], ["-j", "16"], ["-j", "300", "-f"]:
            if "-f" not in arguments:
                for path in test.out.iterdir():
                    path.unlink()
            result = test.run(0, *arguments, "-i", str(listed))
            expect("109 files" in result.said and "0 failed" in result.said, result.said)
            for path in there.iterdir():
                test.is_there(path.name, path.read_bytes())
        test.run(0, "-f", "-i", "-", stdin=urls)


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=10 * SLOWER) as peer:
        peer.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := peer.recv(65536):
                answer += part
        return answer


def file_server_answers(test):
    """GET, HEAD, several requests in one segment, and what it refuses."""
    (test.out / "a.txt").write_bytes(b"hello")
    (test.out / "index.html").write_bytes(b"<p>")
    (test.out / "folder").mkdir()
    os.mkfifo(test.out / "fifo")
    (test.scratch / "secret").write_text("secret")
    with test.file_server(test.out) as port:
        def get(target, method="GET", more="Connection: close\r\n"):
            return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()

        answer = ask(port, get("/a.txt"))
        expect(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        expect(answer.endswith(b"\r\n\r\nhello") and b"content-length: 5\r\n" in answer, answer)
        answer = ask(port, get("/a.txt", "HEAD"))
        expect(b"content-length: 5\r\n" in answer and answer.endswith(b"\r\n\r\n"), answer)
        answer = ask(port, get("/a.txt", more="") + get("/", more="") + get("/a.txt"))
        expect(answer.count(b"HTTP/1.1 200 OK") == 3 and answer.count(b"hello") == 2, answer)
        for target in "/none", "/folder/", "/fifo", "/../secret", "/%2e%2e/secret", "/.git":
            answer = ask(port, get(target))
            expect(answer.startswith(b"HTTP/1.1 404 "), f"{target}: {answer}")
        expect(ask(port, get("/a.txt", "POST")).startswith(b"HTTP/1.1 405 "), "POST")
        expect(ask(port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 "), "nonsense")
        endless = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000
        expect(ask(port, endless).startswith(b"HTTP/1.1 431 "), "an endless head")
        idle = socket.create_connection(("127.0.0.1", port), timeout=10 * SLOWER)
        idle.sendall(b"GET /a")  # SIGINT comes in the middle of this request
    idle.close()


def odd_but_right(test):
    manners = "plain empty chunked until_close bytewise fades moved terse".split()
    test.get(0, *(f"{manner}/{manner}" for manner in manners))
    for manner in "plain chunked until_close fades moved".split():
        test.is_there(manner)
    test.is_there("terse", b"abc")
    test.is_there("empty", b"")
    test.is_there("bytewise", b"abc")


WRONG = {
    "truncated": "after 1000 of 300000 bytes",
    "truncated_chunks": "closed the connection",
    "missing": "404 Not Found",
    "moved_away": "a redirect to ftp: is not followed",
    "in_part": "206 Partial Content: this is not the whole file",
    "endless_head": "longer than 65536 bytes",
    "not_http": "does not speak HTTP/1",
    "two_lengths": "several content-length fields",
    "says_nothing": "without a response",
    "resets": "Connection reset by peer",
}


def each_wrong_alone(test):
    """Each has status 1 and a reason, and leaves no file."""
    for manner, reason in WRONG.items():
        result = test.get(1, f"{manner}/{manner}")
        expect(f"{manner}  failed: " in result.said and reason in result.said, result.all)
        test.is_not_there(manner)


def the_others_go_on(test):
    """All wrong answers at once, and right ones between them, which arrive."""
    paths = []
    for number, manner in enumerate(WRONG):
        paths += [f"{manner}/{manner}", f"plain/right_{number}"]
    urls = ["ftp://a/", "http://127.0.0.1:1/refused", *map(test.odd.url, paths)]
    result = test.run(1, "-j", "8", *urls)
    expect("ftp is not supported" in result.said, result.said)
    expect("Connection refused" in result.said, result.said)
    expect(f"{len(WRONG) + 2} failed" in result.said, result.said)
    for number in range(len(WRONG)):
        test.is_there(f"right_{number}")


def connections_are_used_again(test):
    test.run(0, "-j", "4", *(test.odd.url(f"plain/{number}") for number in range(40)))
    expect(test.odd.requests == 40, f"{test.odd.requests} requests")
    expect(test.odd.connections <= 4, f"{test.odd.connections} connections for 40 files")


def dead_when_used_again(test):
    """Each answer promises an open connection but closes it: every file is requested once more."""
    test.run(0, "-j", "2", *(test.odd.url(f"fades/{number}") for number in range(20)))
    for number in range(20):
        test.is_there(str(number))


def names(test):
    """Equal names get different files, and hostile names stay in the folder."""
    paths = ["plain/a", "chunked/a", "plain/..%2f..%2fb", "plain/.hidden", "plain/", "plain/%0ac"]
    test.get(0, *paths)
    expected = {"a", "a.2", "_._.._b", "_hidden", "index.html", "_c"}
    got = {path.name for path in test.out.iterdir()}
    expect(got == expected, f"the names are {got}")
    expect({path.name for path in test.scratch.iterdir()} == {"out"}, "something is outside")


def nothing_is_overwritten(test):
    """An existing file stays, and so does the target of a .part link; -f replaces both."""
    elsewhere = test.scratch / "elsewhere"
    elsewhere.write_text("mine")
    (test.out / "a").write_text("old")
    result = test.get(1, "plain/a", "plain/c")
    expect("a  failed: " in result.said and "File exists" in result.said, result.said)
    test.is_there("a", b"old")
    test.is_there("c")
    expect(test.odd.requests == 1, "it asked for what it could not keep")

    (test.out / ".b.part").symlink_to(elsewhere)
    link = test.start(test.odd.url("plain/b"))
    expect("File exists" in link.communicate(timeout=60 * SLOWER)[0], "a link was followed")
    expect(link.returncode == 1 and (test.out / ".b.part").is_symlink(), "the link has gone")

    test.run(0, "-f", test.odd.url("plain/a"), test.odd.url("plain/b"))
    test.is_there("a")
    test.is_there("b")
    expect(elsewhere.read_text() == "mine", "a link was followed")


def names_of_parts(test):
    """A URL that ends in .part is a name like any other."""
    test.get(0, "plain/a.iso", "plain/a.iso.part", "chunked/a.iso.part.part")
    for name in "a.iso", "a.iso.part", "a.iso.part.part":
        test.is_there(name)


def killed(test):
    """Files of a killed run are replaced by the next run, but not while a run still writes them."""
    for how in signal.SIGTERM, signal.SIGHUP, signal.SIGKILL:
        process = test.start(test.odd.url("begins/x"))
        give_up = time.monotonic() + 30 * SLOWER
        while not (test.out / ".x.part").exists() or (test.out / ".x.part").stat().st_size == 0:
            expect(time.monotonic() < give_up, f"only {list(test.out.iterdir())}")
            time.sleep(0.01)
        other = test.start(test.odd.url("plain/x"))
        expect("busy" in other.communicate(timeout=60 * SLOWER)[0], "two runs write one part")
        process.send_signal(how)
        process.communicate(timeout=60 * SLOWER)
        test.run(0, test.odd.url("plain/x"))
        test.is_there("x")
        (test.out / "x").unlink()


def reader_goes_away(test):
    """As in `downloader ... | head -1`: the next run completes the files."""
    urls = [test.odd.url(f"plain/{number}") for number in range(40)]
    process = test.start("-j", "2", *urls)
    process.stdout.readline()
    process.stdout.close()
    process.stderr.close()
    process.wait(timeout=60 * SLOWER)
    test.run(0, "-f", *urls)
    for number in range(40):
        test.is_there(str(number))


def usage(test):
    for arguments in [], ["-j", "0", "u"], ["--nonsense"], ["-i", str(test.scratch / "none")]:
        result = test.run(2, *arguments)
        expect(result.complained.startswith("downloader: ") and not result.said, result.all)
    expect(test.run(0, "--help").said.startswith("usage: downloader"), "--help")
    blocked = test.scratch / "file"
    blocked.write_text("")
    test.run(2, "-o", str(blocked), "http://a/")


def quiet(test):
    result = test.run(1, "-q", test.odd.url("plain/a"), test.odd.url("missing/b"))
    expect(result.said == "" and result.complained == "b  failed: 404 Not Found\n", result.all)


def interrupted(test):
    """SIGINT while some downloads are done, some unfinished and some silent: status 130, and only
    whole files are left."""
    urls = [test.odd.url(f"plain/{number}") for number in range(4)]
    for manner in "begins", "hangs":
        urls += [test.odd.url(f"{manner}/{manner}_{number}") for number in range(3)]
    process = test.start("-j", "20", *urls)
    give_up = time.monotonic() + 30 * SLOWER
    while len(list(test.out.glob(".begins*.part"))) < 3 or not (test.out / "3").exists():
        expect(time.monotonic() < give_up, f"only {list(test.out.iterdir())}")
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    result = test.end(process, 130)
    expect("6 not finished" in result.said, result.said)
    got = {path.name for path in test.out.iterdir()}
    expect(got == {"0", "1", "2", "3"}, f"there are {got}")


def on_a_terminal(test):
    """Bars are redrawn while a download runs; the summary comes at the end."""
    terminal, child_side = pty.openpty()
    termios.tcsetwinsize(child_side, (24, 80))
    command = [str(test.examples / "downloader"), "-o", str(test.out)]
    command += [test.odd.url("plain/a"), test.odd.url("begins/b")]
    with subprocess.Popen(command, stdin=child_side, stdout=child_side, stderr=child_side) as child:
        os.close(child_side)
        said = b""
        give_up = time.monotonic() + 30 * SLOWER
        while time.monotonic() < give_up:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    said += os.read(terminal, 65536)
                except OSError:  # the child has ended
                    break
            if said.count(b"\x1b[J") == 3 and child.poll() is None:
                child.send_signal(signal.SIGINT)
        expect(child.wait(10 * SLOWER) == 130, f"status {child.returncode}: {said}")
    os.close(terminal)
    expect(b"1/2 files" in said and b" 50%" in said, f"no bars: {said}")
    expect(b"1 file, 439.5 KiB in" in said and b"1 not finished" in said, f"no summary: {said}")


# -- real peers ------------------------------------------------------------------------------------
def random_files(folder):
    folder.mkdir()
    for number, size in enumerate([0, 1, 4096, 65537, 300_000, 5_000_000]):
        (folder / f"{number}.bin").write_bytes(random.Random(number).randbytes(size))
    return sorted(folder.iterdir())


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
    access_log off; keepalive_requests 7; root {folder}/there;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port}; location /gone {{ return 410; }} }}
}}
"""


def nginx_serves(test):
    """Compares every byte from nginx, which ends each connection after seven requests."""
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not nginx:
        return print("        no nginx here: not tried")
    files = random_files(test.scratch / "there")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    test.scratch.chmod(0o755)  # nginx that root has started serves as another user
    (test.scratch / "conf").write_text(NGINX.format(folder=test.scratch, port=port))
    command = [nginx, "-p", str(test.scratch), "-c", str(test.scratch / "conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as server:
        try:
            deadline = time.monotonic() + 10 * SLOWER
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                expect(server.poll() is None, server.stderr.read())
                expect(time.monotonic() < deadline, "nginx does not listen")
                time.sleep(0.01)
            urls = [f"http://127.0.0.1:{port}/{path.name}" for path in files]
            test.run(0, "-j", "4", *urls)
            for path in files:
                test.is_there(path.name, path.read_bytes())
            for _ in range(4):  # connections that nginx closes are replaced
                test.run(0, "-f", "-j", "2", *urls)
            result = test.run(1, f"http://127.0.0.1:{port}/gone/x", urls[0], "-f")
            expect("410" in result.all, result.all)
        finally:
            server.terminate()
            server.communicate(timeout=10 * SLOWER)
    return None


def curl_asks(test):
    """curl gets every byte from our own server, one file at a time and four at a time."""
    if not shutil.which("curl"):
        return print("        no curl here: not tried")
    files = random_files(test.scratch / "there")
    with test.file_server(test.scratch / "there") as port:
        for parallel in [], ["--parallel", "--parallel-max", "4"]:
            command = ["curl", "-sS", "--fail", "--remote-name-all", *parallel]
            urls = [f"http://127.0.0.1:{port}/{path.name}" for path in files]
            done = subprocess.run([*command, *urls], cwd=test.out, timeout=60 * SLOWER,
                                  capture_output=True, check=False)  # fmt: skip
            expect(done.returncode == 0, done.stderr)
            for path in files:
                test.is_there(path.name, path.read_bytes())
        missing = subprocess.run(["curl", "-sS", "--fail", f"http://127.0.0.1:{port}/none"],
                                 timeout=60 * SLOWER, capture_output=True, check=False)  # fmt: skip
        expect(missing.returncode == 22 and b"404" in missing.stderr, missing)
    return None


TESTS = [
    every_byte, file_server_answers, odd_but_right, each_wrong_alone, the_others_go_on,
    connections_are_used_again, dead_when_used_again, names, nothing_is_overwritten, names_of_parts,
    killed, reader_goes_away, usage, quiet,
    interrupted, on_a_terminal, nginx_serves, curl_asks,
]  # fmt: skip


def main():
    arguments = argparse.ArgumentParser(description="runs the downloader and the file server")
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("names", nargs="*")
    options = arguments.parse_args()
    if not (options.examples / "downloader").is_file():
        print("the downloader was not built")
        return 77
    passed = failed = 0
    for test in TESTS:
        if options.names and test.__name__ not in options.names:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            context = Test(options.examples, pathlib.Path(scratch))
            try:
                test(context)
                passed += 1
                print(f"ok      {test.__name__}", flush=True)
            except Failed as what:
                failed += 1
                print(f"FAILED  {test.__name__}: {what}", flush=True)
            finally:
                context.odd.close()
    print(f"{passed} passed, {failed} failed")
    if os.environ.get("RONDO_TALLY"):
        with open(os.environ["RONDO_TALLY"], "a") as tally:
            tally.write(f"{passed} {failed} 0 downloader\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
