# SPDX-License-Identifier: MIT
"""The examples of the HTTP client, against servers of Python's standard library, and against the
example api_server; sse_clock and reverse_proxy, asked by others. run_examples.py runs these."""

import contextlib
import http.server
import pathlib
import re
import ssl
import subprocess
import tempfile
import threading
import urllib.request

from run_programs import SLOWER, Child, Failed, certificates, end_by_sigint, wait_for_port


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, *fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


class Pages(Quiet):
    links = {
        "/": '<a href="a.html">a</a> <a href="/b/?q=1#x">b</a> <a href="http://other.example/">o</a>',
        "/a.html": '<a href="/">home</a> <a href="missing">m</a> <a href="mailto:me">me</a>',
        "/b/?q=1": '<a href="../moved">moved</a>',
        "/end": "the end\n",
    }

    def do_GET(self):
        if self.path == "/moved":
            self.answer(302, "", ("location", "/end"))
        elif self.path in self.links:
            self.answer(200, self.links[self.path], ("content-type", "text/html"))
        else:
            self.answer(404, "none")


class Events(Quiet):
    """Two connections with two events each, of which the second begins where the first was cut."""

    def do_GET(self):
        last = int(self.headers["last-event-id"] or 0)
        if self.headers["accept"] != "text/event-stream" or last > 3:
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number in (last + 1, last + 2):
            self.wfile.write(f"retry: 20\nid: {number}\nevent: tick\ndata: {number}!\n\n".encode())
        self.close_connection = True


class Forms(Quiet):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        parts = body.split(b"--" + boundary)[1:-1]
        lines = []
        for part in parts:
            head, _, content = part.partition(b"\r\n\r\n")
            name = head.partition(b'filename="')[2].partition(b'"')[0].decode()
            lines.append(f"{name or 'field'} {len(content) - 2}\n")
        self.answer(200, "".join(lines))


@contextlib.contextmanager
def server(handler, certificate=None):
    """Gives the URL of a server, which ends with the block."""
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
    serving.handle_error = lambda *_: None
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        host = "https://localhost" if certificate else "http://127.0.0.1"
        yield f"{host}:{serving.server_address[1]}"
    finally:
        serving.shutdown()
        serving.server_close()


def must_print(command, expected, status=0, stderr=""):
    child = Child([str(part) for part in command])
    ended = child.wait(30 * SLOWER, "its start")
    if ended != status or child.text(child.out) != expected:
        raise Failed(f"{child.name} ended with {ended}, wanted {expected!r}{child.said()}")
    child.judge_stderr(stderr)


def check_https_get(folder):
    chain, key, authority = certificates()
    with server(Pages, (chain, key)) as url:
        shown = "200 OK from /end\nredirected by 302 /moved\nthe end\n"
        must_print([folder / "https_get", f"{url}/moved", authority], shown)
        wrong = url.replace("localhost", "127.0.0.1")
        must_print(
            [folder / "https_get", wrong, authority], "", 1,
            f"handshake {wrong[8:]}: host name mismatch: wanted 127.0.0.1, certificate is for "
            f"localhost: GET {wrong}/",
        )  # fmt: skip


def check_api_client(folder):
    port = 7085
    serving = Child([str(folder / "api_server"), str(port)])
    try:
        wait_for_port(serving, port)
        must_print(
            [folder / "api_client", f"http://127.0.0.1:{port}"],
            "POST /notes: 201\nGET /notes: 200\n- buy milk\nDELETE /notes/1: 204\n"
            "GET /notes/1: 404\n/notes/1 is gone: 404\n",
        )
    finally:
        serving.kill()


def check_crawl_links(folder):
    with server(Pages) as url:
        pages = "200 /\n200 /a.html\n200 /b/?q=1\n404 /missing\n200 /moved\n"
        must_print([folder / "crawl_links", url], pages)
        must_print([folder / "crawl_links", url, "1"], "200 /\n")


def check_upload(folder):
    with server(Forms) as url, tempfile.TemporaryDirectory() as scratch:
        small, large = pathlib.Path(scratch, "small.txt"), pathlib.Path(scratch, "large.bin")
        small.write_text("hello")
        large.write_bytes(bytes(3_000_000))
        child = Child([str(folder / "upload"), url, str(small), str(large)])
        status = child.wait(30 * SLOWER, "its start")
        lines = child.text(child.out).splitlines()
        sent = int(lines[0].split()[1]) if lines else 0
        rest = ["field 1", "small.txt 5", "large.bin 3000000"]
        if status != 0 or lines[1:] != rest or not 3_000_005 < sent < 3_002_000:
            raise Failed(f"upload ended with {status}{child.said()}")
        child.judge_stderr()
        must_print(
            [folder / "upload", url, f"{scratch}/none"],
            f"failed: open {scratch}/none: No such file or directory\n", 1,
            f"open {scratch}/none: No such file or directory",
        )  # fmt: skip


def check_sse_client(folder):
    with server(Events) as url:
        must_print([folder / "sse_client", url], "".join(f"{n} tick: {n}!\n" for n in range(1, 5)))


class Named(Quiet):
    """Says its port and what it was asked; gives an upload back."""

    def do_GET(self):
        self.answer(200, f"{self.server.server_address[1]} {self.path}", ("x-own", "kept"))

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        if self.headers["transfer-encoding"] == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            self.answer(201, b"".join(pieces).decode())
        else:
            self.answer(201, self.rfile.read(int(self.headers["content-length"])).decode())


def curl(*arguments):
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def reverse_proxy(folder, port, *arguments):
    proxy = Child([str(folder / "reverse_proxy"), *arguments])
    try:
        wait_for_port(proxy, port)
        yield proxy
        end_by_sigint(proxy, must_handle=True)
    finally:
        proxy.kill()


def check_reverse_proxy(folder):
    chain, key, authority = certificates()
    dead = "http://127.0.0.1:9"
    shown = ["-w", " %{http_code} %{http_version}"]
    text = "upload " * 50000
    for port, tls in ("7088", []), ("7089", ["--tls", chain, key]):
        url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        ask = [*shown, "--cacert", authority, "--http2"] if tls else shown
        version = "2" if tls else "1.1"
        with server(Named) as one, reverse_proxy(folder, int(port), *tls, port, dead, one) as proxy:
            name = one.rpartition(":")[2]
            for _ in range(3):
                said = curl(*ask, f"{url}/a?b=1")
                if said != f"{name} /a?b=1 200 {version}":
                    raise Failed(f"the proxy gave {said!r}{proxy.said()}")
            with tempfile.NamedTemporaryFile("w") as body:
                body.write(text)
                body.flush()
                said = curl(*ask, "--data-binary", f"@{body.name}", f"{url}/up")
            if said != f"{text} 201 {version}":
                raise Failed(f"the proxy gave {said[-100:]!r} for an upload{proxy.said()}")
    with reverse_proxy(folder, 7088, "7088", dead) as proxy:
        said = curl(*shown, "-o", "/dev/null", "http://127.0.0.1:7088/")
        if said != " 503 1.1":
            raise Failed(f"without a backend the proxy gave {said!r}{proxy.said()}")


def check_sse_clock(folder):
    port = 7090
    clock = Child([str(folder / "sse_clock"), str(port)])
    try:
        wait_for_port(clock, port)
        if "EventSource" not in curl(f"http://127.0.0.1:{port}/"):
            raise Failed("sse_clock has no page")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=20) as events:
            kind = events.headers["content-type"]
            lines = [events.readline().decode() for _ in range(4)]
        event = r"data: [0-9]{2}:[0-9]{2}:[0-9]{2}\n"
        if kind != "text/event-stream" or not re.fullmatch(f"{event}\n{event}\n", "".join(lines)):
            raise Failed(f"sse_clock said {kind} {lines}")
        end_by_sigint(clock, must_handle=True)
    finally:
        clock.kill()


CHECKS = {
    "https_get": ("a redirect over TLS, and a wrong name", check_https_get),
    "api_client": ("the notes of api_server", check_api_client),
    "crawl_links": ("every page of a site once", check_crawl_links),
    "upload": ("two files in a form, and one that is missing", check_upload),
    "sse_client": ("events over three connections", check_sse_client),
    "sse_clock": ("its page, and two events", check_sse_clock),
    "reverse_proxy": ("HTTP/1.1, HTTP/2, an upload, dead backends", check_reverse_proxy),
}
