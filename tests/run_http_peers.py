#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the client of librondo-http against servers and proxies that others have written.

nginx, nghttpd, haproxy, squid, tinyproxy, Python's http.server, aiohttp and openssl's s_server:
plain and over TLS, HTTP/1.1 and HTTP/2, kept connections, chunks, codings, redirects, uploads with
100-continue, ranges, CONNECT with a password, early answers, connections that are closed while they
are idle. If a peer is not installed, a line names it as skipped.

usage: run_http_peers.py --client PROGRAM
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from run_programs import (  # noqa: E402
    SLOWER,
    Child,
    Failed,
    certificates,
    enter_own_network,
    run,
    skip,
    wait_for_port,
)

SMALL = b"a small file\n" * 300
LARGE = bytes(range(256)) * 4096
AIOHTTP_SERVER = """
import asyncio, ssl, sys
from aiohttp import web
LARGE = bytes(range(256)) * 4096
async def length(request):
    return web.Response(text=str(len(await request.read())))
async def chunks(request):
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for n in range(0, len(LARGE), 7777):
        await response.write(LARGE[n:n + 7777])
    await response.write_eof()
    return response
async def coded(request):
    response = web.Response(body=LARGE)
    response.enable_compression(web.ContentCoding[request.match_info["coding"]])
    return response
async def close(request):
    response = web.Response(body=b"last one")
    response.force_close()
    return response
async def until_close(request):
    response = web.StreamResponse(headers={"connection": "close"})
    await response.prepare(request)
    await response.write(LARGE)
    return response
async def serve():
    app = web.Application(client_max_size=2 ** 20)
    app.router.add_route("*", "/length", length)
    app.router.add_get("/chunks", chunks)
    app.router.add_get("/coded/{coding}", coded)
    app.router.add_get("/close", close)
    app.router.add_get("/until_close", until_close)
    app.router.add_get("/moved", lambda r: web.HTTPTemporaryRedirect("/chunks"))
    runner = web.AppRunner(app, keepalive_timeout=1)
    await runner.setup()
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(sys.argv[2], sys.argv[3])
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]) + 1, ssl_context=secure).start()
    await asyncio.sleep(1000)
asyncio.run(serve())
"""


def line(status, body, connection="new|kept"):
    """The line that the client prints for a response."""
    return f"{status} {len(body)} {zlib.adler32(body)} ({connection})"


class Peers:
    def __init__(self, client, folder):
        self.client = client
        self.folder = folder  # readable by all: squid and nginx change their user
        files = folder / "files"
        files.mkdir()
        (files / "small.txt").write_bytes(SMALL)
        (files / "large.bin").write_bytes(LARGE)

    def ask(self, *steps, expected, options=()):
        """Runs the client, and compares its lines with patterns."""
        child = Child([str(self.client), "--ca", certificates()[2], *options, *steps])
        status = child.wait(15 * SLOWER, "its start")
        said = child.text(child.out).splitlines()
        child.judge_stderr()
        fits = len(said) == len(expected) and all(map(re.fullmatch, expected, said))
        if status != 0 or not fits:
            wanted = "".join(f"\n    {each}" for each in expected)
            raise Failed(f"status {status}; not as expected:{wanted}\n  but:{child.said()}")

    @contextlib.contextmanager
    def running(self, command, *ports, config=None):
        """A server from now on to the end of the block."""
        if config is not None:
            (self.folder / "config").write_text(config)
        server = Child(command)
        try:
            for port in ports:
                wait_for_port(server, port)
            yield
        finally:
            server.process.terminate()  # nginx ends its workers
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(5)
            server.kill()

    def nginx(self, location="", port=8101, http2=""):
        """nginx at `port`, over TLS at the next one; with HTTP/2 there if `http2` is "http2"."""
        chain, key, _ = certificates()
        folder = self.folder
        paths = "".join(
            f"{kind}_temp_path {folder}/nginx-{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = f"""
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit; user root;
events {{ worker_connections 200; }}
http {{
  access_log off; {paths}
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{port + 1} ssl {http2};
    ssl_certificate {chain}; ssl_certificate_key {key};
    root {folder}/files; keepalive_requests 50; keepalive_timeout 1s;
    gzip on; gzip_types *; gzip_min_length 10; client_max_body_size 10k;
    location /moved/ {{ return 302 /small.txt; }}
    location /plain/ {{ gzip off; alias {folder}/files/; }}
    location /put/ {{
      dav_methods PUT DELETE; alias {folder}/files/; client_max_body_size 10m;
    }}
    {location}
  }}
}}"""
        return self.running(
            ["nginx", "-e", "stderr", "-c", f"{folder}/config"], port, port + 1, config=config
        )


def check_nginx(peers, http2=""):
    with peers.nginx(http2=http2):
        for url in "http://127.0.0.1:8101", "https://localhost:8102":
            peers.ask(
                f"GET {url}/small.txt",
                f"GET {url}/moved/x",
                f"GET {url}/large.bin",
                f"GET {url}/plain/large.bin range=1000-1999",
                f"HEAD {url}/plain/large.bin",
                f"GET {url}/none",
                f"PUT {url}/put/new body=300000",
                f"PUT {url}/put/new chunked=300000",
                f"PUT {url}/put/new body=100000 header=expect:100-continue",
                f"GET {url}/put/new",
                f"GET {url}/plain/large.bin times=40",
                f"GET {url}/small.txt times=300",
                expected=[
                    line(200, SMALL, "new"),
                    line(200, SMALL, "kept"),
                    line(200, LARGE, "kept"),
                    line(206, LARGE[1000:2000], "kept"),
                    line(200, b"", "kept"),
                    r"404 \d+ \d+ kept",
                    "20[14] 0 1 kept",
                    "204 0 1 kept",
                    "204 0 1 kept",
                    line(200, b"b" * 100000, "kept"),
                    "40 of 40",
                    "300 of 300",
                ],
            )


def check_nginx_2(peers):
    """The same, over HTTP/2; each connection ends with a GOAWAY after 50 requests."""
    check_nginx(peers, "http2")
    check_nginx_early(peers, "http2")
    with peers.nginx(http2="http2"):
        peers.ask(
            "GET https://localhost:8102/small.txt version=2",
            "GET https://localhost:8102/small.txt version=1",
            "GET https://localhost:8102/large.bin version=2 times=100",
            expected=[line(200, SMALL, "new HTTP/2"), line(200, SMALL, "new HTTP/1.1"),
                      "100 of 100"],
        )


def check_nghttpd(peers):
    chain, key, _ = certificates()
    command = ["nghttpd", "-a", "127.0.0.1", "-d", f"{peers.folder}/files"]
    plain = peers.running([*command, "--no-tls", "8161"], 8161)
    secure = peers.running([*command, "--echo-upload", "8162", key, chain], 8162)
    with plain, secure:
        for url in "http://127.0.0.1:8161", "https://localhost:8162":
            peers.ask(
                f"GET {url}/small.txt version=2",
                f"GET {url}/large.bin version=2",
                f"HEAD {url}/large.bin version=2",
                f"GET {url}/none version=2",
                f"GET {url}/large.bin version=2 times=60",
                expected=[
                    line(200, SMALL, "new HTTP/2"),
                    line(200, LARGE, "kept HTTP/2"),
                    line(200, b"", "kept HTTP/2"),
                    r"404 \d+ \d+ kept HTTP/2",
                    "60 of 60",
                ],
            )
        url = "https://localhost:8162"
        peers.ask(
            f"GET {url}/small.txt",
            f"POST {url}/small.txt body=3000000",
            f"POST {url}/small.txt chunked=300000",
            f"GET {url}/small.txt version=1",
            expected=[
                line(200, SMALL, "new"),
                line(200, b"b" * 3000000, "kept"),
                line(200, b"c" * 300000, "kept"),
                "tls_error: .*|protocol_error: .*",
            ],
        )


def check_nginx_early(peers, http2=""):
    """413 before the body has been read, and connections that end while they are idle."""
    with peers.nginx(http2=http2):
        for url in "http://127.0.0.1:8101", "https://localhost:8102":
            peers.ask(
                f"POST {url}/small.txt body=30000000",
                f"POST {url}/small.txt chunked=30000000",
                f"GET {url}/small.txt",
                "wait 995",
                f"GET {url}/small.txt",
                "wait 1000",
                f"GET {url}/small.txt",
                "wait 1300",
                f"GET {url}/small.txt",
                expected=[r"413 \d+ \d+ new", r"405 \d+ \d+ (new|kept)"] + [line(200, SMALL)] * 3
                + [line(200, SMALL, "new")],
            )


def check_haproxy(peers):
    chain, key, _ = certificates()
    pathlib.Path(peers.folder, "both.pem").write_text(
        pathlib.Path(chain).read_text() + pathlib.Path(key).read_text()
    )
    config = f"""
global
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  timeout http-keep-alive 300ms
frontend all
  bind 127.0.0.1:8111
  bind 127.0.0.1:8112 ssl crt {peers.folder}/both.pem
  http-request deny deny_status 429 if {{ path /denied }}
  http-request redirect location /small.txt code 308 if {{ path /moved }}
  http-request reject if {{ path /dropped }}
  default_backend files
backend files
  server one 127.0.0.1:8101
"""
    with peers.nginx():  # it takes the config first
        own = peers.running(
            ["haproxy", "-f", f"{peers.folder}/config", "-db"], 8111, 8112, config=config
        )
        with own:
            for url in "http://127.0.0.1:8111", "https://localhost:8112":
                peers.ask(
                    f"GET {url}/small.txt",
                    f"POST {url}/moved body=10",
                    f"PUT {url}/put/other chunked=200000",
                    f"PUT {url}/put/other body=200000 header=expect:100-continue",
                    f"GET {url}/denied",
                    f"GET {url}/large.bin times=30",
                    "wait 400",
                    f"GET {url}/small.txt",
                    "wait 299",
                    f"GET {url}/small.txt",
                    f"POST {url}/denied body=20000000",
                    f"GET {url}/dropped",
                    f"GET {url}/small.txt",
                    expected=[
                        line(200, SMALL, "new"),
                        r"405 \d+ \d+ (new|kept)",
                        "20[14] 0 1 kept",
                        "204 0 1 kept",
                        r"429 \d+ \d+ kept",
                        "30 of 30",
                        line(200, SMALL, "new"),
                        line(200, SMALL),
                        r"429 \d+ \d+ (new|kept)",
                        "protocol_error: .*",
                        line(200, SMALL, "new"),
                    ],
                )


def through_proxy(peers, proxy):
    """Plain and by CONNECT, with and without the password."""
    small = f"GET http://127.0.0.1:8101/small.txt"
    secure = "GET https://localhost:8102"
    peers.ask(
        small,
        f"{secure}/small.txt",
        f"{secure}/large.bin",
        f"{secure}/large.bin times=20",
        "PUT https://localhost:8102/put/far chunked=100000",
        "GET http://127.0.0.1:1/",
        "GET https://localhost:1/",
        options=["--proxy", f"http://ada:secret@127.0.0.1:{proxy}"],
        expected=[
            line(200, SMALL, "new"),
            line(200, SMALL, "new"),
            line(200, LARGE, "kept"),
            "20 of 20",
            "20[14] 0 1 (kept|new)",
            r"50\d \d+ \d+ (kept|new)",
            r"connect_error: the proxy refused: 50\d .*: CONNECT localhost:1.*",
        ],
    )
    peers.ask(
        small,
        f"{secure}/small.txt",
        options=["--proxy", f"http://ada:wrong@127.0.0.1:{proxy}"],
        expected=[
            r"40[17] \d+ \d+ new",
            "connect_error: the proxy refused: 40[17] .*: CONNECT localhost:8102.*",
        ],
    )


def through_proxy_2(peers, proxy):
    """HTTP/2 by CONNECT."""
    with peers.nginx(http2="http2"):
        secure = "GET https://localhost:8102"
        peers.ask(
            f"{secure}/small.txt version=2",
            f"{secure}/large.bin version=2",
            f"{secure}/large.bin version=2 times=20",
            options=["--proxy", f"http://ada:secret@127.0.0.1:{proxy}"],
            expected=[
                line(200, SMALL, "new HTTP/2"),
                line(200, LARGE, "kept HTTP/2"),
                "20 of 20",
            ],
        )


def check_tinyproxy(peers):
    config = """
Port 8121
Listen 127.0.0.1
Timeout 20
BasicAuth ada secret
LogLevel Critical
"""
    own = peers.running(
        ["tinyproxy", "-d", "-c", f"{peers.folder}/config"], 8121, config=config
    )
    with own:
        with peers.nginx():
            through_proxy(peers, 8121)
        through_proxy_2(peers, 8121)


def check_squid(peers):
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", "secret"], capture_output=True, text=True, check=True
    )
    passwords = peers.folder / "passwords"
    passwords.write_text(f"ada:{hashed.stdout}")
    helper = next(pathlib.Path("/usr/lib").glob("**/basic_ncsa_auth"), "")
    config = f"""
http_port 127.0.0.1:8122
auth_param basic program {helper} {passwords}
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
access_log none
cache_log /dev/null
cache_store_log none
logfile_rotate 0
pid_filename none
shutdown_lifetime 0 seconds
coredump_dir {peers.folder}
pinger_enable off
dns_nameservers 127.0.0.1
hosts_file /etc/hosts
"""
    own = peers.running(["squid", "-N", "-f", f"{peers.folder}/config"], 8122, config=config)
    with own:
        with peers.nginx():
            through_proxy(peers, 8122)
        through_proxy_2(peers, 8122)


def check_http_server(peers):
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
    with peers.running([*command, "--directory", f"{peers.folder}/files", "8131"], 8131):
        url = "http://127.0.0.1:8131"
        peers.ask(
            f"GET {url}/small.txt",
            f"GET {url}/large.bin",
            f"HEAD {url}/large.bin",
            f"GET {url}/none",
            f"POST {url}/small.txt body=3000000",
            f"GET {url}/small.txt times=20",
            expected=[
                line(200, SMALL, "new"),
                line(200, LARGE, "new"),
                line(200, b"", "new"),
                r"404 \d+ \d+ new",
                r"501 \d+ \d+ new",
                "20 of 20",
            ],
        )


def python_with_aiohttp():
    """Debian's aiohttp is Debian's Python's."""
    for python in sys.executable, "/usr/bin/python3":
        with contextlib.suppress(OSError):
            found = subprocess.run([python, "-c", "import aiohttp"], stderr=subprocess.DEVNULL)
            if found.returncode == 0:
                return python
    return None


def check_aiohttp(peers):
    chain, key, _ = certificates()
    command = [python_with_aiohttp(), "-c", AIOHTTP_SERVER, "8141", chain, key]
    with peers.running(command, 8141, 8142):
        for url in "http://127.0.0.1:8141", "https://localhost:8142":
            peers.ask(
                f"GET {url}/chunks",
                f"GET {url}/moved",
                f"GET {url}/coded/gzip",
                f"GET {url}/coded/deflate",
                f"POST {url}/length body=500000",
                f"POST {url}/length chunked=500000",
                f"POST {url}/length body=5 header=expect:100-continue",
                f"GET {url}/chunks times=30",
                f"GET {url}/close",
                f"GET {url}/until_close",
                f"POST {url}/length body=5000000",
                "wait 1001",
                f"GET {url}/chunks",
                expected=[
                    line(200, LARGE, "new"),
                    line(200, LARGE, "kept"),
                    line(200, LARGE, "kept"),
                    line(200, LARGE, "kept"),
                    line(200, b"500000", "kept"),
                    line(200, b"500000", "kept"),
                    line(200, b"5", "kept"),
                    "30 of 30",
                    line(200, b"last one", "kept"),
                    line(200, LARGE),
                    r"413 \d+ \d+ (new|kept)",
                    line(200, LARGE),
                ],
            )


def check_s_server(peers):
    chain, key, _ = certificates()
    os.chdir(peers.folder / "files")  # -WWW serves the folder that it is in
    for port, version in (8151, "-tls1_3"), (8152, "-tls1_2"):
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", chain]
        with peers.running([*command, "-key", key, "-WWW", "-quiet", version], port):
            url = f"https://localhost:{port}"
            peers.ask(
                f"GET {url}/small.txt",
                f"GET {url}/large.bin",
                f"GET https://127.0.0.1:{port}/small.txt",
                f"GET http://localhost:{port}/small.txt",
                f"GET {url}/small.txt",
                expected=[
                    line(200, SMALL, "new"),
                    line(200, LARGE, "new"),
                    "tls_error: .*mismatch.*",
                    "protocol_error: .*",
                    line(200, SMALL, "new"),
                ],
            )


def main():
    arguments = argparse.ArgumentParser(description="runs the HTTP client against other servers")
    arguments.add_argument("--client", type=pathlib.Path, required=True)
    arguments.add_argument("only", nargs="*", help="names of peers")
    given = arguments.parse_args()
    client = given.client.absolute()  # a link, whose name tells the program which it is
    enter_own_network()
    os.environ["PATH"] += ":/usr/sbin"
    checks = [
        ("nginx", "nginx: files, codings, ranges, uploads, 300 requests", check_nginx),
        ("nginx", "nginx: early answers, and the end of idle connections", check_nginx_early),
        ("nginx", "nginx: the same over HTTP/2", check_nginx_2),
        ("nghttpd", "nghttpd: HTTP/2, plain and over TLS", check_nghttpd),
        ("haproxy", "haproxy: in front of nginx", check_haproxy),
        ("tinyproxy", "tinyproxy: with a password", check_tinyproxy),
        ("squid", "squid: with a password", check_squid),
        ("python3", "http.server of Python: HTTP/1.0", check_http_server),
        ("aiohttp", "aiohttp: chunks, codings, 100-continue", check_aiohttp),
        ("openssl", "openssl s_server: TLS 1.3 and 1.2", check_s_server),
    ]
    todo = []
    with tempfile.TemporaryDirectory(prefix="rondo-peers-") as folder:
        for name, title, check in checks:
            if given.only and name not in given.only:
                continue
            uses_nginx = check in (check_haproxy, check_tinyproxy, check_squid)
            there = shutil.which(name) if name != "aiohttp" else python_with_aiohttp()
            if not there or (uses_nginx and not shutil.which("nginx")):
                skip(title, "it is not installed")
                continue
            own = pathlib.Path(folder, str(len(todo)))
            own.mkdir()
            todo.append((title, lambda check=check, own=own: check(Peers(client, own))))
        for path in pathlib.Path(folder), *pathlib.Path(folder).iterdir():
            path.chmod(0o755)
        return run(todo, "http_peers")


if __name__ == "__main__":
    sys.exit(main())
