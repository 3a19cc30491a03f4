#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs nc, socat and Python's asyncio and socket against our examples.

They are clients of upper_server (TCP and a Unix socket), servers for netcat (the same), and clients
of the programs' time server (UDP). If a tool is not installed, a line says so.

usage: run_peers.py --examples FOLDER --programs FOLDER
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import asyncio
import contextlib
import os
import pathlib
import random
import shutil
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
    end_by_sigint,
    enter_own_network,
    run,
    wait_for_port,
)

LINES = b"".join(b"some words %d\n" % n for n in range(2000))
PORT = 7090


def expect(condition, what):
    if not condition:
        raise Failed(what)


def tool(*command):
    """Its whole output for LINES as input; None if it is not installed."""
    if not shutil.which(command[0]):
        print(f"        {command[0]} is not installed: not tried")
        return None
    done = subprocess.run(
        command, input=LINES, capture_output=True, timeout=60 * SLOWER, check=False
    )
    expect(done.returncode == 0, f"{command}: {done}")
    return done.stdout


@contextlib.contextmanager
def upper_server(examples, where, ready):
    server = Child([str(examples / "upper_server"), where])
    try:
        ready(server)
        yield
        end_by_sigint(server, must_handle=True, stderr=None)
    finally:
        server.kill()


def wait_for_file(child, path):
    give_up = time.monotonic() + 10 * SLOWER
    while not path.exists():
        expect(child.process.poll() is None and time.monotonic() < give_up, child.said())
        time.sleep(0.01)


async def asyncio_client(reader, writer):
    async def send():
        for at in range(0, len(LINES), 777):
            writer.write(LINES[at : at + 777])
            await writer.drain()
        writer.write_eof()

    sending = asyncio.ensure_future(send())
    said = await reader.read()
    await sending
    writer.close()
    await writer.wait_closed()
    return said


def as_clients_tcp(examples, _programs):
    with upper_server(examples, str(PORT), lambda s: wait_for_port(s, PORT)):
        nc = ["nc", "-N", "127.0.0.1", str(PORT)]
        socat = ["socat", "-t10", "-", f"TCP:127.0.0.1:{PORT}"]
        for command in nc, socat:
            said = tool(*command)
            expect(said in (None, LINES.upper()), f"{command[0]} got {said and len(said)} bytes")

        async def talk():
            return await asyncio_client(*await asyncio.open_connection("127.0.0.1", PORT))

        expect(asyncio.run(talk()) == LINES.upper(), "asyncio got something else")


def as_clients_unix(examples, _programs):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "socket"
        with upper_server(examples, f"unix:{path}", lambda s: wait_for_file(s, path)):
            said = tool("socat", "-t10", "-", f"UNIX-CONNECT:{path}")
            expect(said in (None, LINES.upper()), "socat got something else")

            async def talk():
                return await asyncio_client(*await asyncio.open_unix_connection(str(path)))

            expect(asyncio.run(talk()) == LINES.upper(), "asyncio got something else")
        expect(not path.exists(), "the socket's file is still there")


async def upper_in_python(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def netcat_against(start, *arguments):
    server = await start()
    async with server:
        child = await asyncio.create_subprocess_exec(
            *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(child.communicate(LINES), 60 * SLOWER)
        expect(child.returncode == 0 and said == LINES.upper(), f"netcat got {len(said)} bytes")


def as_servers(examples, _programs):
    netcat = str(examples / "netcat")
    asyncio.run(
        netcat_against(
            lambda: asyncio.start_server(upper_in_python, "127.0.0.1", PORT + 1),
            netcat, "127.0.0.1", str(PORT + 1),
        )
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        asyncio.run(
            netcat_against(
                lambda: asyncio.start_unix_server(upper_in_python, path), netcat, f"unix:{path}"
            )
        )
    if not shutil.which("socat"):
        return print("        no socat here: not tried")
    listening = f"TCP-LISTEN:{PORT + 2},bind=127.0.0.1,fork,reuseaddr"
    with subprocess.Popen(["socat", listening, "EXEC:cat"]) as server:
        try:
            wait_for_port(Server(server), PORT + 2)
            done = subprocess.run(
                [netcat, "127.0.0.1", str(PORT + 2)], input=LINES, capture_output=True,
                timeout=60 * SLOWER, check=False,
            )  # fmt: skip
            expect(done.returncode == 0 and done.stdout == LINES, f"{len(done.stdout)} bytes")
        finally:
            server.terminate()
    return None


class Server:
    """The part of a child that wait_for_port uses."""

    def __init__(self, process):
        self.process, self.name = process, "socat"

    def said(self):
        return ""


def by_udp(_examples, programs):
    server = Child([str(programs / "08_udp")])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.05)
            give_up = time.monotonic() + 10 * SLOWER
            answers = 0
            while answers < 100:
                expect(time.monotonic() < give_up, "no answers")
                with contextlib.suppress(OSError):
                    asker.sendto(random.randbytes(answers), ("127.0.0.1", 3737))
                    int(asker.recv(100))
                    answers += 1
        if shutil.which("socat"):
            done = subprocess.run(
                ["socat", "-t2", "-", "UDP:127.0.0.1:3737"], input=b"time?", capture_output=True,
                timeout=60 * SLOWER, check=False,
            )  # fmt: skip
            expect(done.stdout.strip().isdigit(), f"socat got {done}")
        else:
            print("        no socat here: not tried")
        end_by_sigint(server, must_handle=True)
    finally:
        server.kill()


TESTS = [as_clients_tcp, as_clients_unix, as_servers, by_udp]


def main():
    arguments = argparse.ArgumentParser(description="our examples and real peers")
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("--programs", type=pathlib.Path, required=True)
    options = arguments.parse_args()
    enter_own_network()
    os.environ.setdefault("LC_ALL", "C")
    todo = [
        (f"peers {test.__name__}", lambda test=test: test(options.examples, options.programs))
        for test in TESTS
    ]
    return run(todo, "peers")


if __name__ == "__main__":
    sys.exit(main())
