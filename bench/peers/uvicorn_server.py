# SPDX-License-Identifier: MIT
"""The server of bench_http_server.cpp as an application of ASGI on uvicorn: plain HTTP/1.1 and TLS.

usage: uvicorn_server.py PORT TLS_PORT FOLDER

uvicorn takes httptools and uvloop if they are installed. Files go out in pieces of 64 KiB, as
Starlette's FileResponse sends them, but are read without a thread.
"""

import asyncio
import pathlib
import sys

import uvicorn

PIECE = 65536
FOLDER = pathlib.Path(sys.argv[3])


async def start(send, status, *headers):
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def send_file(send, path):
    left = path.stat().st_size
    await start(send, 200, (b"content-length", b"%d" % left))
    with path.open("rb", buffering=0) as source:
        while piece := source.read(PIECE):
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


async def site(scope, _receive, send):
    path = FOLDER / pathlib.PurePath(scope["path"]).name
    if scope["path"] == "/hello":
        await start(send, 200, (b"content-type", b"text/plain; charset=utf-8"),
                    (b"content-length", b"13"))
        await send({"type": "http.response.body", "body": b"Hello, world\n"})
    elif path.is_file():
        await send_file(send, path)
    else:
        await start(send, 404, (b"content-length", b"0"))
        await send({"type": "http.response.body"})


def server(port, **identity):
    config = uvicorn.Config(site, port=int(port), lifespan="off", access_log=False,
                            log_level="error", timeout_keep_alive=60, **identity)
    config.setup_event_loop()
    made = uvicorn.Server(config)
    made.install_signal_handlers = lambda: None  # both servers end with the process
    return made


async def serve(*servers):
    await asyncio.gather(*(each.serve() for each in servers))


asyncio.run(serve(server(sys.argv[1]),
                  server(sys.argv[2], ssl_certfile=FOLDER / "../chain.pem",
                         ssl_keyfile=FOLDER / "../key.pem")))
