# SPDX-License-Identifier: MIT
"""Shared by the drivers of rondo-get: an odd and hostile server, a server of files that change, and
a run of rondo-get that is checked from outside."""

import argparse
import contextlib
import functools
import json
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from run_programs import SANITIZER, SLOWER, Failed, run

BODY = random.Random(1).randbytes(300_000)


def expect(condition, what):
    if not condition:
        raise Failed(what)


def wait_until(condition, what, seconds=30):
    """Waits for something that another process does."""
    give_up = time.monotonic() + seconds * SLOWER
    while not condition():
        expect(time.monotonic() < give_up, what() if callable(what) else what)
        time.sleep(0.01)


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
        self.heard = []  # the first line of each request, or what came instead
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
                        self.heard += [request] if request else []
                        return
                    request += part
                self.requests += 1
                self.heard.append(request.split(b"\r\n")[0])
                if request.startswith(b"HEAD "):
                    disposition = 'attachment; filename="../../name.txt"'
                    peer.sendall(head(Content_Length=len(BODY), Content_Disposition=disposition))
                    continue
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

    def cut(self, peer):
        """More than what counts as headway, but never all, and no range."""
        peer.sendall(head(Content_Length=len(BODY)) + BODY[:200_000])
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

    def busy(self, peer):
        """Twice busy, then the file."""
        self.refusals = getattr(self, "refusals", 0) + 1
        if self.refusals > 2:
            return self.plain(peer)
        peer.sendall(head("503 Service Unavailable", Retry_After="1", Content_Length=0))
        return True

    def hangs(self, peer):
        self.ended.wait(60)
        return False

    def begins(self, peer):
        """Half of a file, and then nothing more."""
        peer.sendall(head(Content_Length=len(BODY)) + BODY[: len(BODY) // 2])
        return self.hangs(peer)


# -- a server of files that change -----------------------------------------------------------------
class ServedFile:
    """`validator`: "etag", "weak", "date" or "none"."""

    def __init__(self, body, validator="etag", ranges=True):
        self.body, self.validator, self.ranges = body, validator, ranges
        self.version = 1
        self.length = True  # whether the length is told

    def change(self, body):
        self.body = body
        self.version += 1

    def fields(self):
        result = {}
        if self.validator in ("etag", "weak"):
            result["ETag"] = ("W/" if self.validator == "weak" else "") + f'"v{self.version}"'
        if self.validator == "date":
            result["Last-Modified"] = f"Sun, 06 Nov 1994 08:49:{self.version:02} GMT"
        if self.ranges:
            result["Accept-Ranges"] = "bytes"
        return result

    def part(self, first, last):
        """The fields and the body of a range."""
        part = {"Content-Range": f"bytes {first}-{last}/{len(self.body)}"}
        return {**part, "Content-Length": last + 1 - first}, self.body[first : last + 1]


class FileServer:
    """Serves `files`, name to ServedFile, with ranges and If-Range. `rate`: bytes a second on each
    connection. `answers` counts the responses by status, `sent` their bytes. The requests with the
    numbers `unanswered` get no answer, the next `busy` ones 503. After `stalls_after` bytes no
    connection gets any more. `pauses` says how long to wait before a piece is sent."""

    def __init__(self, files, rate=None):
        self.files, self.rate, self.step = files, rate, 16384
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.answers = {}
        self.sent = 0
        self.requests = 0
        self.unanswered, self.busy = (), 0
        self.dies_after = self.stalls_after = None  # bytes
        self.pauses = None
        self.ended = threading.Event()
        self.peers = set()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def url(self, name, host="127.0.0.1"):
        return f"http://{host}:{self.port}/{name}"

    def close(self):
        self.ended.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def die(self):
        """Ends all connections, refuses new ones, and is there again a moment later."""
        self.dies_after = None
        self.close()
        for peer in list(self.peers):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

        def revive():
            self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            self.accept(self.listener)

        threading.Timer(0.3, revive).start()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                peer = listener.accept()[0]
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        self.peers.add(peer)
        peer.settimeout(30 * SLOWER)
        with contextlib.suppress(OSError, ValueError), peer:
            while True:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = peer.recv(4096)
                    if not part:
                        return
                    request += part
                lines = request.decode("latin1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                asked = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                self.answer(peer, method, self.files.get(target[1:]), asked)

    def answer(self, peer, method, file, asked):
        self.requests += 1
        if self.requests in self.unanswered:
            self.ended.wait()
        if self.busy > 0:
            self.busy -= 1
            self.count(503)
            return peer.sendall(head("503 Service Unavailable", Content_Length=0))
        if file is None:
            self.count(404)
            return peer.sendall(head("404 Not Found", Content_Length=0))
        body, fields = file.body, file.fields()
        fields["Date"] = "Mon, 07 Nov 1994 08:49:37 GMT"
        status = "200 OK"
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("range", ""))
        validators = fields.get("ETag"), fields.get("Last-Modified")
        current = [value.lower() for value in validators if value]
        if found and file.ranges and asked.get("if-range") in [None, *current]:
            first, last = int(found[1]), min(int(found[2] or len(body)), len(body) - 1)
            if first >= len(body):
                self.count(416)
                return peer.sendall(head("416 Range Not Satisfiable", Content_Length=0))
            more, body = file.part(first, last)
            fields.update(more)
            status = "206 Partial Content"
        self.count(int(status[:3]))
        if file.length:
            fields.setdefault("Content-Length", len(body))
        else:
            fields.pop("Content-Length", None)
            fields["Connection"] = "close"
        peer.sendall(head(status, **fields))
        if method == "GET":
            self.send(peer, body)
        if not file.length:
            raise ValueError
        return None

    def count(self, status):
        self.answers[status] = self.answers.get(status, 0) + 1

    def send(self, peer, body):
        step = self.step
        began = time.monotonic()
        for at in range(0, len(body), step):
            if self.stalls_after is not None and self.sent >= self.stalls_after:
                self.ended.wait()
            if self.pauses:
                time.sleep(self.pauses())
            peer.sendall(body[at : at + step])
            self.sent += min(step, len(body) - at)
            if self.dies_after is not None and self.sent >= self.dies_after:
                self.die()
            if self.rate:
                time.sleep(max(0, began + (at + step) / self.rate - time.monotonic()))


# -- running ---------------------------------------------------------------------------------------
class Result:
    def __init__(self, status, said, complained):
        self.status, self.said, self.complained = status, said, complained
        self.all = said + complained

    def objects(self):
        """The lines of --json."""
        return [json.loads(line) for line in self.said.splitlines()]


class Test:
    """A folder, the programs and the odd server, made anew for each test."""

    def __init__(self, examples, scratch):
        self.examples, self.scratch = examples, scratch
        self.out = scratch / "out"
        self.out.mkdir()
        self.odd = OddServer()
        self.servers = []

    def serve(self, rate=None, **files):
        """A FileServer of bodies or ServedFiles."""
        made = {name: file if isinstance(file, ServedFile) else ServedFile(file)
                for name, file in files.items()}  # fmt: skip
        self.servers.append(FileServer(made, rate))
        return self.servers[-1]

    def close(self):
        self.odd.close()
        for server in self.servers:
            server.close()

    def command(self, *arguments):
        """Failures are not repeated unless the arguments say so: the last -r counts."""
        return [str(self.examples / "rondo-get"), "-r0", "-d", str(self.out), *arguments]

    def start(self, *arguments, **options):
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(*arguments), stdout=pipe, stderr=pipe, text=True, **options
        )

    def end(self, process, status, stdin=None):
        try:
            said, complained = process.communicate(stdin, timeout=60 * SLOWER)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"rondo-get did not end: {process.communicate()}") from None
        result = Result(process.returncode, said, complained)
        expect(not SANITIZER.search(result.all), f"a sanitizer speaks: {result.all}")
        expect(result.status == status, f"status {result.status}, not {status}: {result.all}")
        hidden = [path.name for path in self.out.glob(".*")]
        expect(not hidden, f"left: {hidden}")
        return result

    def run(self, status, *arguments, stdin=None):
        return self.end(self.start(*arguments, stdin=subprocess.PIPE), status, stdin)

    def get(self, status, *paths):
        return self.run(status, *map(self.odd.url, paths))

    def names(self):
        return {path.name for path in self.out.iterdir()}

    def is_there(self, name, body=BODY):
        path = self.out / name
        expect(path.is_file() and path.read_bytes() == body, f"{name} differs from the served file")

    def is_not_there(self, *names):
        for name in names:
            expect(not (self.out / name).exists(), f"{name} is there, but has failed")

    def is_alone(self, *names):
        expect(self.names() == set(names), f"there are {sorted(self.names())}")

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


def main(what, name, tests):
    arguments = argparse.ArgumentParser(description=what)
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("names", nargs="*")
    options = arguments.parse_args()
    if not (options.examples / "rondo-get").is_file():
        print("rondo-get was not built")
        return 77

    def attempt(test):
        with tempfile.TemporaryDirectory() as scratch:
            context = Test(options.examples, pathlib.Path(scratch))
            try:
                test(context)
            finally:
                context.close()

    chosen = [test for test in tests if not options.names or test.__name__ in options.names]
    return run([(test.__name__, functools.partial(attempt, test)) for test in chosen], name)
