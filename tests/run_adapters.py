#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests of examples/adapters, and its programs, against real servers.

Each server is started in a private temporary folder, on a Unix socket or a loopback of its own, and
its process is ended before this script ends. If a library or a server is not installed, one line
says so, and nothing is counted.

usage: run_adapters.py --folder FOLDER --examples FOLDER [curl | pg ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from run_programs import (  # noqa: E402
    SLOWER,
    Child,
    Failed,
    enter_own_network,
    run,
    skip,
    wait_for_port,
)

HTTP_PORT = 7095
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 256; }}
http {{
    access_log off; default_type text/plain;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port}; root {folder};
        location /slow {{ alias {folder}/big; limit_rate 1k; }}
    }}
}}
"""


def find(name):
    """A server's binary: Debian installs some of them outside PATH."""
    places = [os.environ.get("PATH", ""), "/usr/sbin"]
    places += sorted(map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join(places))


@contextlib.contextmanager
def served(command, is_ready, stop=signal.SIGTERM):
    """Runs a server during the block; it is always ended, by its process id."""
    server = Child(command)
    try:
        give_up = time.monotonic() + 30 * SLOWER
        while not is_ready(server):
            if server.process.poll() is not None or time.monotonic() > give_up:
                raise Failed(f"{server.name} does not serve{server.said()}")
            time.sleep(0.02)
        yield
    finally:
        if server.process.poll() is None:
            server.process.send_signal(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(20 * SLOWER)
        server.kill()


@contextlib.contextmanager
def http_server(folder):
    (folder / "small").write_bytes(b"small\n")
    (folder / "big").write_bytes(os.urandom(1 << 20))
    config = folder / "nginx.conf"
    text = NGINX.format(folder=folder, port=HTTP_PORT)
    if os.getuid() == 0:
        text = "user root;" + text
    config.write_text(text)

    def is_ready(server):
        wait_for_port(server, HTTP_PORT)
        return True

    command = [find("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(config)]
    with served(command, is_ready, signal.SIGQUIT):
        yield {"RONDO_HTTP": f"http://127.0.0.1:{HTTP_PORT}"}


@contextlib.contextmanager
def postgres_server(folder):
    as_user = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    made = subprocess.run(
        [*as_user, find("initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-N",
         "--no-locale", "-E", "UTF8"],
        capture_output=True, text=True, timeout=120 * SLOWER, cwd=folder,
    )
    if made.returncode != 0:
        raise Failed(f"initdb: {made.stdout}{made.stderr}")
    command = [
        *as_user, find("postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses=",
        "-c", "fsync=off", "-c", "shared_buffers=16MB",
    ]
    conninfo = f"host={folder} user=postgres dbname=postgres"
    ready = [find("pg_isready"), "-q", "-h", str(folder), "-U", "postgres"]
    # On SIGINT it ends its sessions without waiting for them.
    with served(command, lambda _: subprocess.run(ready).returncode == 0, signal.SIGINT):
        yield {"RONDO_PG": conninfo}


# library: (server, its binary, the example, its arguments, what it prints, an example that fails)
ADAPTERS = {
    "curl": (http_server, "nginx", "curl_get",
             lambda of: [of["RONDO_HTTP"] + "/small", "http://127.0.0.1:1/"],
             ["200  6 bytes  ", "perform http://127.0.0.1:1/: "], 0),
    "pg": (postgres_server, "postgres", "pg_query",
           lambda of: [of["RONDO_PG"], "select 1, 'one' union all select 2, 'two'"],
           ["1 | one", "2 | two"], 0),
}


def check_program(command, must_print, status):
    child = Child(command)
    if child.wait(30 * SLOWER, "its start") != status:
        raise Failed(f"{child.name} ended with another status than {status}{child.said()}")
    child.judge_stderr()
    said = child.text(child.out).splitlines()
    for wanted in must_print:
        if not any(line.startswith(wanted) for line in said):
            raise Failed(f"{child.name} did not print {wanted!r}{child.said()}")


def check_adapter(library, folder, examples):
    server, _, example, arguments, must_print, status = ADAPTERS[library]
    with tempfile.TemporaryDirectory(prefix="rondo-") as scratch:
        with server(pathlib.Path(scratch)) as where:
            os.environ.update(where)
            child = Child([str(folder / f"adapter_{library}")])
            if child.wait(120 * SLOWER, "its start") != 0:
                raise Failed(f"its tests failed{child.said()}")
            if (examples / example).is_file():
                check_program([str(examples / example), *arguments(where)], must_print, status)


def checks(names, folder, examples):
    for library in names:
        if not (folder / f"adapter_{library}").is_file():
            skip(f"adapter {library}", "its library is not installed")
        elif find(ADAPTERS[library][1]) is None:
            skip(f"adapter {library}", f"{ADAPTERS[library][1]} is not installed")
        else:
            yield f"adapter {library}: against {ADAPTERS[library][1]}", lambda library=library: (
                check_adapter(library, folder, examples)
            )


def main():
    arguments = argparse.ArgumentParser(description="runs the adapters against real servers")
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("names", nargs="*", default=list(ADAPTERS))
    options = arguments.parse_args()
    enter_own_network()
    return run(checks(options.names, options.folder, options.examples), "adapters")


if __name__ == "__main__":
    sys.exit(main())
