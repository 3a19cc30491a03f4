#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the programs of tests/programs that speak HTTP: clients against Python's http.server, plain
and over TLS with a certificate of this script's own; servers against curl.

usage: run_http_programs.py --folder FOLDER
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from http_examples import server  # noqa: E402
from run_programs import (  # noqa: E402
    SLOWER,
    Child,
    Failed,
    certificates,
    end_by_sigint,
    enter_own_network,
    run,
    skip,
    wait_for_port,
)

LARGE = bytes(range(256)) * 4096


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1)  # loses the race, and is cancelled
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/hello")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        bodies = {"/hello": b"hello\n", "/large": LARGE, "/slow": b"slow and long"}
        known = bodies.get(self.path)
        self.answer(200 if known is not None else 404, known or b"no such page\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        title = json.loads(body).get("title")
        authorized = self.headers["authorization"] == "Bearer secret"
        as_asked = self.path == "/v1/issues?labels=bug%2C%20urgent"
        if not (authorized and as_asked and self.headers["content-type"] == "application/json"):
            self.answer(500, b"")
        elif title:
            self.answer(201, json.dumps({"number": 7}).encode(), "application/json")
        else:
            self.answer(422, b"{}", "application/json")


def outcome(command, status=0, stderr="", cwd=None):
    """The lines that a program prints. Fails unless it ends with `status`."""
    here = os.getcwd()
    if cwd is not None:
        os.chdir(cwd)
    try:
        child = Child([str(part) for part in command])
    finally:
        os.chdir(here)
    ended = child.wait(20 * SLOWER, "its start")
    if ended != status:
        raise Failed(f"{child.name} ended with status {ended}{child.said()}")
    child.judge_stderr(stderr)
    return child.text(child.out).splitlines(), child


def must_be(lines, expected, child):
    if sorted(lines) != sorted(expected):
        raise Failed(f"{child.name} printed other lines than {expected}{child.said()}")


def check_downloader(folder):
    with server(Handler) as url, tempfile.TemporaryDirectory() as into:
        lines, child = outcome(
            [folder / "11_downloader", f"{url}/large", f"{url}/hello", f"{url}/moved", f"{url}/no"],
            stderr=f"{url}/no: 404 Not Found: GET {url}/no",
            cwd=into,
        )
        must_be(lines, [f"{len(LARGE)} bytes", "6 bytes", "6 bytes"], child)
        if pathlib.Path(into, "large").read_bytes() != LARGE:
            raise Failed("11_downloader: other bytes than the server's")


def check_first_answer(folder):
    with server(Handler) as url:
        lines, child = outcome([folder / "17_first_answer_wins", f"{url}/slow", f"{url}/hello"])
        must_be(lines, ["6 bytes"], child)
        lines, child = outcome([folder / "17_first_answer_wins", f"{url}/no", f"{url}/hello"])
        must_be(lines, ["6 bytes"], child)


def check_get(folder):
    with server(Handler) as url:
        lines, child = outcome([folder / "18_https_get", f"{url}/moved"])
        must_be(lines, ["200 text/plain", "hello"], child)
    with server(Handler, certificates()[:2]) as url:
        # Its authority is not trusted, and the program does not catch the error.
        _, child = outcome([folder / "18_https_get", f"{url}/hello"], status=-6, stderr=None)
        if "certificate" not in child.text(child.err):
            raise Failed(f"18_https_get did not name the certificate{child.said()}")


def check_api(folder):
    with server(Handler) as url:
        lines, child = outcome([folder / "19_api_client", f"{url}/v1"])
        must_be(lines, ["created 7", "422"], child)


def curl(*arguments, stdin=None):
    """The output of curl; fails unless it succeeds."""
    command = ["curl", "-sS", "--path-as-is", "--max-time", str(int(20 * SLOWER)), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise Failed(f"curl {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout


def must_give(url, expected, *arguments, stdin=None):
    said = curl(*arguments, url, stdin=stdin)
    if said != expected:
        raise Failed(f"{url} gave {said[:200]!r}, not {expected[:200]!r}")


def check_server(folder):
    with tempfile.TemporaryDirectory() as scratch:
        public = pathlib.Path(scratch, "public")
        public.mkdir()
        (public / "large").write_bytes(LARGE)
        (public / "index.html").write_bytes(b"<p>home\n")
        pathlib.Path(scratch, "secret").write_bytes(b"secret")
        (public / "out").symlink_to("../secret")
        here = os.getcwd()
        os.chdir(scratch)
        try:
            server = Child([str(folder / "20_http_server")])
        finally:
            os.chdir(here)
        try:
            wait_for_port(server, 8081)
            ask_server("http://127.0.0.1:8081")
            end_by_sigint(server, must_handle=True, stderr=None)
        finally:
            server.kill()


def ask_server(url):
    must_give(f"{url}/hello/Ann%20%26%20Bob", b"hello Ann & Bob\n")
    must_give(f"{url}/count", f"{3 * len(LARGE)} bytes\n".encode(), "--data-binary", "@-",
              stdin=3 * LARGE)  # fmt: skip
    must_give(f"{url}/count", f"{len(LARGE)} bytes\n".encode(), "-X", "POST", "-T", "-",
              stdin=LARGE)  # fmt: skip
    must_give(f"{url}/events", b"data: 1\n\ndata: 2\n\ndata: 3\n\n")
    must_give(f"{url}/static/", b"<p>home\n")
    must_give(f"{url}/static/large", LARGE)
    must_give(f"{url}/static/large", LARGE[1000:2001], "-r", "1000-2000")
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    for target, code in {
        "/static/out": b"404", "/static/../secret": b"404", "/static/%2e%2e/secret": b"404",
        "/nothing": b"404", "/count": b"405", "/static": b"308",
    }.items():  # fmt: skip
        must_give(f"{url}{target}", code, *status)
    # Two on one connection.
    must_give(f"{url}/hello/b", b"hello a\nhello b\n", f"{url}/hello/a")
    head = curl("-I", f"{url}/static/large").decode().lower()
    if f"content-length: {len(LARGE)}" not in head or "etag:" not in head:
        raise Failed(f"HEAD gave {head}")
    tag = head.split("etag: ")[1].split("\r")[0]
    must_give(f"{url}/static/large", b"304", "-H", f"if-none-match: {tag}", *status)


def check_websocket(folder):
    child = Child([str(folder / "21_websocket")])
    status = child.wait(15 * SLOWER, "its end")
    child.judge_stderr()
    if status != 0 or child.text(child.out) != "<- hello\n<- world\n":
        raise Failed(f"status {status}: {child.said()}")


def main():
    arguments = argparse.ArgumentParser(description="runs the programs that speak HTTP")
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    folder = arguments.parse_args().folder.resolve()
    enter_own_network()
    todo = [
        ("11_downloader: every byte, and one failure", check_downloader),
        ("17_first_answer_wins: the one that succeeds", check_first_answer),
        ("18_https_get: a page, and an unknown authority", check_get),
        ("19_api_client: JSON both ways, and a status", check_api),
        ("21_websocket: client and server, both of rondo", check_websocket),
    ]
    if shutil.which("curl"):
        todo.append(("20_http_server: asked by curl", check_server))
    else:
        skip("20_http_server", "curl is not installed")
    built = [each for each in todo if (folder / each[0].split(":")[0]).exists()]
    for title, _ in todo:
        if title not in [name for name, _ in built]:
            skip(title, "it was not built")
    return run([(t, lambda check=check: check(folder)) for t, check in built], "http_programs")


if __name__ == "__main__":
    sys.exit(main())
