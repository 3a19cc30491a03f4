#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""WebSocket with peers that others have written: Chromium, and aiohttp and Node's ws on both sides.

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
import os
import pathlib
import shutil
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
    skip,
    wait_for_port,
    wait_for_text,
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
    try:
        wait_for_port(child, PORT)
    except BaseException:
        child.kill()
        raise
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


NODE_SERVER = """
const { WebSocketServer } = require("ws");
const how = { host: "127.0.0.1", port: +process.argv[1], perMessageDeflate: true };
new WebSocketServer({ ...how, handleProtocols: names => names.has("echo") && "echo" })
  .on("connection", socket => socket.on("message", (data, isBinary) => {
    const words = isBinary ? [] : data.toString().slice(0, 100).split(" ");
    if (words[0] == "close") socket.close(+words[1], words[2]);
    else socket.send(data, { binary: isBinary });
  }));
"""
NODE_CLIENT = """
const WebSocket = require("ws");
async function ask(path, names, perMessageDeflate) {
  const socket = new WebSocket(`ws://127.0.0.1:${process.argv[1]}${path}`, names,
                               { perMessageDeflate });
  const ended = new Promise(done => socket.on("close", done));
  await new Promise((done, failed) => socket.on("open", done).on("error", failed));
  const said = [socket.protocol || "-", socket.extensions ? "compressed" : "plain"];
  for (const size of [0, 1, 125, 126, 65535, 65536, 1000000]) {
    for (const sent of ["a".repeat(size), Buffer.alloc(size, 255)]) {
      const got = new Promise(done => socket.once("message", (data, isBinary) =>
        done(isBinary == (typeof sent != "string") && data.equals(Buffer.from(sent)))));
      socket.send(sent);
      said.push(await got ? "ok" : "WRONG");
    }
  }
  socket.close(1000);
  console.log(...said, await ended);
}
const names = ["a", "echo"];
ask("/echo", names, false).then(() => ask("/echo", names, true))
  .then(() => ask("/context", [], true));
"""
GUESTS = """
import asyncio, sys
import aiohttp
from yarl import URL
async def main():
    async with aiohttp.ClientSession() as web:
        at = f"http://127.0.0.1:{sys.argv[1]}/chat/music?name="
        ann, bob = await web.ws_connect(at + "Ann"), await web.ws_connect(at + "Bob")
        odd = await web.ws_connect(URL(at + "%ff", encoded=True))  # is no UTF-8
        while not odd.closed:
            await odd.receive()
        await (await web.ws_connect(at + "\u3042" * 14)).close()  # 42 bytes
        await ann.send_str("hello")
        lines = []
        while not lines or lines[-1] != "Ann: hello":
            lines.append(await bob.receive_str())
        print(*lines, sep="\\n", flush=True)
        await asyncio.gather(ann.receive_any_end(), bob.receive_any_end())
async def receive_any_end(self):
    while (await self.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
        pass
    print(self.close_code)
aiohttp.ClientWebSocketResponse.receive_any_end = receive_any_end
asyncio.run(main())
"""


def node_with_ws():
    """The command of a Node that has the package ws, of Debian or of its own."""
    node = shutil.which("node") or shutil.which("nodejs")
    os.environ["NODE_PATH"] = os.environ.get("NODE_PATH", "/usr/share/nodejs")
    if node is None:
        return None
    found = subprocess.run([node, "-e", "require('ws')"], stderr=subprocess.DEVNULL)
    return node if found.returncode == 0 else None


def must_say(command, expected):
    child = Child(command)
    status = child.wait(30 * SLOWER, "its start")
    if status != 0 or child.text(child.out) != expected:
        raise Failed(f"status {status}, not as expected:{child.said()}")
    child.judge_stderr()


def check_peer_as_server(folder, command):
    server = Child([*command, str(PEER_PORT)])
    try:
        wait_for_port(server, PEER_PORT)
        rest = " ok" * 7 + " 4321 enough\n"
        must_say(
            [str(folder / "websocket_peer"), "ask", f"ws://127.0.0.1:{PEER_PORT}/echo"],
            f"echo plain{rest}" + 2 * f"echo compressed{rest}",
        )
    finally:
        server.kill()


def check_peer_as_client(folder, command, expected):
    server = Child([str(folder / "websocket_peer"), "serve", str(PEER_PORT)])
    try:
        wait_for_port(server, PEER_PORT)
        must_say([*command, str(PEER_PORT)], expected)
        end_by_sigint(server, must_handle=True)
    finally:
        server.kill()


def check_aiohttp_client(folder):
    rest = " ok" * 7 + "\n"
    check_peer_as_client(folder, [python_with_aiohttp(), "-c", AIOHTTP_CLIENT],
                         f"echo 0{rest}echo 15{rest}- 15{rest}- 0 ok ok ok 1009\n")  # fmt: skip


def check_node_client(folder):
    rest = " ok" * 14 + " 1000\n"
    check_peer_as_client(folder, [node_with_ws(), "-e", NODE_CLIENT],
                         f"echo plain{rest}echo compressed{rest}- compressed{rest}")  # fmt: skip


def check_guests(folder):
    server = Child([str(folder / "chat"), str(PORT)])
    guests = None
    try:
        wait_for_port(server, PORT)
        guests = Child([python_with_aiohttp(), "-c", GUESTS, str(PORT)])
        wait_for_text(guests, "Ann: hello")
        end_by_sigint(server, must_handle=True)
        status = guests.wait(30 * SLOWER, "the server's end")
        lines = guests.text(guests.out).splitlines()
        long_name = "* " + "あ" * 13 + " came in"
        if status != 0 or lines[-2:] != ["1001", "1001"] or long_name not in lines:
            raise Failed(f"the guests heard {lines}{guests.said()}")
    finally:
        server.kill()
        if guests is not None:
            guests.kill()


def main():
    arguments = argparse.ArgumentParser(description="WebSocket with peers of others")
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("--programs", type=pathlib.Path, required=True)
    arguments.add_argument("--screenshot", help="writes a picture of the page")
    options = arguments.parse_args()
    examples, programs = options.examples.resolve(), options.programs.resolve()
    chromium, aiohttp, node = find_browser(), python_with_aiohttp(), node_with_ws()
    peer = programs / "websocket_peer"
    todo = [
        ("chat in a browser: two tabs, a reload, a new server", chromium, examples / "chat",
         lambda: check_chat(examples, options.screenshot)),
        ("chat without a browser: two guests of aiohttp", aiohttp, examples / "chat",
         lambda: check_guests(examples)),
        ("aiohttp as the server", aiohttp, peer,
         lambda: check_peer_as_server(programs, [aiohttp, "-c", AIOHTTP_SERVER])),
        ("aiohttp as the client", aiohttp, peer, lambda: check_aiohttp_client(programs)),
        ("Node's ws as the server", node, peer,
         lambda: check_peer_as_server(programs, [node, "-e", NODE_SERVER])),
        ("Node's ws as the client", node, peer, lambda: check_node_client(programs)),
    ]  # fmt: skip
    enter_own_network()
    ready = []
    for title, of_others, program, check in todo:
        if of_others is None:
            skip(title, "the peer is not installed")
        elif not program.exists():
            skip(title, f"{program.name} was not built")
        else:
            ready.append((title, check))
    return run(ready, "websocket_peers")


if __name__ == "__main__":
    sys.exit(main())
