# SPDX-License-Identifier: MIT
"""The servers of compare_http.py: starting them, the load of h2load, and what they cost."""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time

from compare import on

PORT, TLS_PORT = 8181, 8182
# Name: title, what h2load does. 64 or 1,000 connections that are kept, each with one request at a
# time; over HTTP/2 each with ten.
CASES = {
    "hello_64": ("hello, 64 connections", ["--h1", "-c64", "-n60000"], "/hello"),
    "hello_1000": ("hello, 1,000 connections", ["--h1", "-c1000", "-n60000"], "/hello"),
    "hello_tls": ("hello, 64 connections with TLS", ["--h1", "-c64", "-n40000"], "/hello"),
    "hello_h2": ("hello, HTTP/2, 64 × 10 streams, TLS", ["-c64", "-m10", "-n60000"], "/hello"),
    "file_64": ("file of 1 MiB, 64 connections", ["--h1", "-c64", "-n1500"], "/medium"),
    "handshakes": ("TLS handshakes, one request each", ["--h1", "-c500", "-n500"], "/hello"),
    "kept": ("an idle kept connection, bytes", None, "/hello"),
    "kept_tls": ("the same with TLS, bytes", None, "/hello"),
}
SECURE = ("hello_tls", "hello_h2", "handshakes", "kept_tls")
WITHOUT_HTTP2 = ("aiohttp", "uvicorn")
KEPT = 1000


def make_files(folder):
    folder.mkdir()
    (folder / "small").write_bytes(os.urandom(4096))
    (folder / "medium").write_bytes(os.urandom(1 << 20))
    (folder / "large").write_bytes(os.urandom(1 << 20) * 100)


@contextlib.contextmanager
def running(command, **how):
    """A server; it has ended when this has."""
    for port in (PORT, TLS_PORT):
        patience = 100  # the kernel takes down a ring, and what waits in it, after the process
        while listens(port):
            patience -= 1
            if patience == 0:
                sys.exit(f"another program listens on port {port}")
            time.sleep(0.01)
    server = subprocess.Popen(command, preexec_fn=on(1), **how)
    try:
        while server.poll() is None and not (listens(PORT) and listens(TLS_PORT)):
            time.sleep(0.01)
        if server.poll() is None:
            yield server
        if server.poll() is not None:
            sys.exit(f"{command[0]} has ended")
    finally:
        server.terminate()
        server.wait()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except ConnectionRefusedError:
        return False


def start_nginx(folder):
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
worker_rlimit_nofile 8192; events {{ worker_connections 4000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; keepalive_timeout 60;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{PORT}; listen 127.0.0.1:{TLS_PORT} ssl http2; root {folder}/files;
    ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
    location = /hello {{ default_type text/plain; return 200 "Hello, world\\n"; }}
  }}
}}""")
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not nginx:
        sys.exit("nginx is not installed")
    return running([nginx, "-e", "stderr", "-c", f"{folder}/nginx.conf"])


def start(side, command, folder):
    if side == "nginx":
        return start_nginx(folder)
    command = [str(word) for word in command]
    return running(command, env={**os.environ, "GOMAXPROCS": "1"}, stderr=subprocess.DEVNULL)


# -- what it costs ---------------------------------------------------------------------------------
def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def loaded(server, case):
    """Requests a second, and microseconds of the server's processor time for each."""
    _, arguments, path = CASES[case]
    secure = case in SECURE
    url = f"https://localhost:{TLS_PORT}{path}" if secure else f"http://127.0.0.1:{PORT}{path}"
    before = processor_seconds(server.pid)
    done = subprocess.run(["h2load", "-t1", *arguments, url], stdout=subprocess.PIPE, text=True,
                          check=True, preexec_fn=on(0))
    used = processor_seconds(server.pid) - before
    rate = float(re.search(r"([0-9.]+) req/s", done.stdout).group(1))
    succeeded = int(re.search(r"(\d+) succeeded", done.stdout).group(1))
    wanted = int(re.search(r"-n(\d+)", " ".join(arguments)).group(1))
    if succeeded != wanted:
        sys.exit(f"{case}: {succeeded} of {wanted} requests succeeded")
    return {"rate": rate, "cpu": used / wanted * 1e6}


def kept(server, case, folder):
    """Bytes that the server has grown by for each connection that was used once and stays open."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    request = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n"
    held = []

    def connect(count):
        for _ in range(count):
            port = TLS_PORT if case in SECURE else PORT
            peer = socket.create_connection(("127.0.0.1", port))
            if case in SECURE:
                peer = context.wrap_socket(peer, server_hostname="localhost")
            peer.sendall(request)
            said = b""
            while b"Hello, world" not in said:
                piece = peer.recv(65536)
                if not piece:
                    sys.exit(f"{case}: no reply")
                said += piece
            held.append(peer)

    connect(50)  # what is made once
    before = resident_bytes(server.pid)
    connect(KEPT)
    grown = resident_bytes(server.pid) - before
    for peer in held:
        peer.close()
    return {"bytes": grown / KEPT}


def shown(found):
    if "bytes" in found:
        return f"{found['bytes']:.0f}"
    return f"{found['rate']:.0f} / {found['cpu']:.1f}"


def compare(sides, cases, rounds, folder):
    if not shutil.which("h2load"):
        sys.exit("h2load is not installed (Debian: nghttp2-client)")
    print(f"| req/s / CPU µs each | {' | '.join(sides)} |\n| --- |{' ---: |' * len(sides)}")
    for case in cases:
        runs = {side: [] for side in sides}
        for _ in range(rounds):
            for side, command in sides.items():
                if side in WITHOUT_HTTP2 and case == "hello_h2":
                    continue
                with start(side, command, folder) as server:
                    found = kept(server, case, folder) if case.startswith("kept") else \
                        loaded(server, case)
                    runs[side].append(found)
        cells = []
        for side in sides:
            keys = runs[side][0] if runs[side] else ()
            middle = {key: statistics.median(run[key] for run in runs[side]) for key in keys}
            cells.append(shown(middle) if middle else "")
        print(f"| {CASES[case][0]} | {' | '.join(cells)} |", flush=True)
