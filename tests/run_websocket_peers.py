#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""WebSocket with peers that others have written: Chromium, and aiohttp on both sides.

The page of the example chat is opened in a headless Chromium, over TLS with a certificate that this
script makes: two tabs talk, EventSource and fetch work, a reload and a new server reconnect, the
server's end is seen. A peer that is not installed is counted as skipped, and named.

usage: run_websocket_peers.py --examples FOLDER --programs FOLDER [--screenshot FILE]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import base64
import hashlib
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from browser import Browser, find_browser  # noqa: E402
from run_http_peers import python_with_aiohttp  # noqa: E402
from run_programs import (  # noqa: E402
    SLOWER,
    Child,
    Failed,
    certificates,
    end_by_sigint,
    enter_own_network,
    run,
    wait_for_port,
)

PORT = 7086
PEER_PORT = 7087
TEXTS = ("hello Bob", "hello Ann, schön ♪", "<b>not bold</b>", "x" * 3000)


def key_hash(chain):
    """The hash of the certificate's public key, by which the browser is told to trust it."""
    key = subprocess.run(["openssl", "x509", "-in", chain, "-pubkey", "-noout"],
                         check=True, capture_output=True).stdout  # fmt: skip
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"],
                         input=key, check=True, capture_output=True).stdout  # fmt: skip
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def start_chat(folder, chain, key):
    child = Child([str(folder / "chat"), str(PORT), chain, key])
    wait_for_port(child, PORT)
    return child


def say(page, text):
    page.evaluate(f"by('text').value = {text!r}; document.forms[0].requestSubmit()")


def has_line(text):
    return f"[...by('lines').children].some(e => e.textContent == {text!r})"


def connected(name):
    return f"by('state').textContent == 'connected as {name}'"


def check_chat(folder, screenshot):
    chain, key, _ = certificates()
    server = start_chat(folder, chain, key)
    try:
        trust = f"--ignore-certificate-errors-spki-list={key_hash(chain)}"
        with Browser(trust) as browser:
            pages = {
                name: browser.open(f"https://localhost:{PORT}/?room=music&name={name}")
                for name in ("Ann", "Bob")
            }
            talk(pages, screenshot)
            reload(pages)
            seen_end(pages, server)
            server = start_chat(folder, chain, key)
            for name, page in pages.items():
                page.wait_for(connected(name))
        end_by_sigint(server, must_handle=True)
    finally:
        server.kill()


def talk(pages, screenshot):
    ann, bob = pages["Ann"], pages["Bob"]
    for name, page in pages.items():
        page.wait_for(connected(name))
        page.wait_for("by('guests').textContent == 'guests: 2'")  # by server-sent events
        page.wait_for("by('rooms').textContent == 'music (2)'")  # by fetch
    for text, speaker in zip(TEXTS, (ann, bob, ann, bob)):
        say(speaker, text)
        name = "Ann" if speaker is ann else "Bob"
        for page in pages.values():
            page.wait_for(has_line(f"{name}: {text}"))
        if screenshot is not None and text == TEXTS[1]:
            ann.screenshot(screenshot, 560, 420)
    protocol = ann.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    if protocol not in ("http/1.1", "h2"):
        raise Failed(f"the page came over {protocol}")


def reload(pages):
    pages["Bob"].evaluate("window.isOld = true")
    pages["Bob"].call("Page.reload")
    pages["Bob"].wait_for(f"!window.isOld && {connected('Bob')}")
    pages["Ann"].wait_for(has_line("* Bob has left"))
    say(pages["Ann"], "welcome back")
    pages["Bob"].wait_for(has_line("Ann: welcome back"))


def seen_end(pages, server):
    for page in pages.values():
        page.evaluate("codes = []; socket.addEventListener('close', e => codes.push(e.code))")
    end_by_sigint(server, must_handle=True)
    for page in pages.values():
        page.wait_for("codes[0] == 1001")


# -- aiohttp -------------------------------------------------------------------------------------
AIOHTTP_SERVER = """
import sys
from aiohttp import WSMsgType, web
async def echo(request):
    socket = web.WebSocketResponse(protocols=("echo",))
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.data.startswith("close "):
            _, code, reason = message.data.split()
            await socket.close(code=int(code), message=reason.encode())
        else:
            await socket.send_str(message.data)
    return socket
app = web.Application()
app.router.add_get("/echo", echo)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
AIOHTTP_CLIENT = """
import asyncio, sys
import aiohttp
async def ask(web, path, compress):
    url = f"http://127.0.0.1:{sys.argv[1]}{path}"
    async with web.ws_connect(url, compress=compress, protocols=("a", "echo")) as socket:
        said = [socket.protocol or "-", str(socket.compress)]
        await socket.ping(b"?")
        for size in 0, 1, 125, 126, 65535, 65536, 1000000:
            await socket.send_str("a" * size)
            await socket.send_bytes(b"\\xff" * size)
            text, data = await socket.receive(), await socket.receive()
            good = text.data == "a" * size and data.data == b"\\xff" * size
            said.append("ok" if good else f"WRONG {text} {data}"[:100])
            if path == "/small" and size == 125:
                await socket.send_str("a" * 1001)
                await socket.receive()
                said.append(str(socket.close_code))
                break
        await socket.close()
        print(*said)
async def main():
    async with aiohttp.ClientSession() as web:
        await ask(web, "/echo", 0)
        await ask(web, "/echo", 15)
        await ask(web, "/context", 15)
        await ask(web, "/small", 0)
asyncio.run(main())
"""


def must_say(command, expected):
    child = Child(command)
    status = child.wait(30 * SLOWER, "its start")
    if status != 0 or child.text(child.out) != expected:
        raise Failed(f"status {status}, not as expected:{child.said()}")
    child.judge_stderr()


def check_aiohttp_server(folder):
    server = Child([python_with_aiohttp(), "-c", AIOHTTP_SERVER, str(PEER_PORT)])
    try:
        wait_for_port(server, PEER_PORT)
        rest = " ok" * 7 + " 4321 enough\n"
        must_say(
            [str(folder / "websocket_peer"), "ask", f"ws://127.0.0.1:{PEER_PORT}/echo"],
            f"echo plain{rest}" + 2 * f"echo compressed{rest}",
        )
    finally:
        server.kill()


def check_aiohttp_client(folder):
    server = Child([str(folder / "websocket_peer"), "serve", str(PEER_PORT)])
    try:
        wait_for_port(server, PEER_PORT)
        rest = " ok" * 7 + "\n"
        must_say(
            [python_with_aiohttp(), "-c", AIOHTTP_CLIENT, str(PEER_PORT)],
            f"echo 0{rest}echo 15{rest}- 15{rest}- 0 ok ok ok 1009\n",
        )
        end_by_sigint(server, must_handle=True)
    finally:
        server.kill()


def main():
    arguments = argparse.ArgumentParser(description="WebSocket with peers of others")
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("--programs", type=pathlib.Path, required=True)
    arguments.add_argument("--screenshot", help="writes a picture of the page")
    options = arguments.parse_args()
    examples, programs = options.examples.resolve(), options.programs.resolve()
    chromium, aiohttp = find_browser(), python_with_aiohttp()
    todo = [
        ("chat in a browser: two tabs, a reload, a new server", chromium, examples / "chat",
         lambda: check_chat(examples, options.screenshot)),
        ("aiohttp as the server", aiohttp, programs / "websocket_peer",
         lambda: check_aiohttp_server(programs)),
        ("aiohttp as the client", aiohttp, programs / "websocket_peer",
         lambda: check_aiohttp_client(programs)),
    ]  # fmt: skip
    enter_own_network()
    ready = []
    for title, peer, program, check in todo:
        if peer is None:
            print(f"skipped {title}: the peer is not installed")
        elif not program.exists():
            print(f"skipped {title}: {program.name} was not built")
        else:
            ready.append((title, check))
    return run(ready, "websocket_peers", skipped=len(todo) - len(ready))


if __name__ == "__main__":
    sys.exit(main())
