# SPDX-License-Identifier: MIT
"""The server of bench_http_server.cpp with aiohttp: plain HTTP/1.1 and TLS.

usage: http_server.py PORT TLS_PORT FOLDER
"""

import asyncio
import ssl
import sys

from aiohttp import web


async def hello(_request):
    return web.Response(text="Hello, world\n")


async def main():
    port, tls_port, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    site = web.Application()
    site.router.add_get("/hello", hello)
    site.router.add_static("/", folder)
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity.load_cert_chain(folder + "/../chain.pem", folder + "/../key.pem")
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await web.TCPSite(runner, "127.0.0.1", tls_port, ssl_context=identity).start()
    await asyncio.Event().wait()


asyncio.run(main())
