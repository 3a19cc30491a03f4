# SPDX-License-Identifier: MIT
"""The cases of bench_http.cpp with aiohttp.

usage: http_client.py small|large|idle URL [FOLDER] [CA]
"""

import asyncio
import ctypes
import json
import pathlib
import resource
import ssl
import statistics
import sys
import time

import aiohttp

BATCHES, BATCH, AT_ONCE, FILES, IDLE_CONNECTIONS = 5, 1000, 16, 4, 400


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e3


def resident():
    ctypes.CDLL(None).malloc_trim(0)
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


async def get(client, url, count):
    for _ in range(count):
        async with client.get(url) as response:
            body = await response.read()
            if response.status != 200 or len(body) != 4096:
                sys.exit("other bytes")


async def one_batch(client, url):
    counts = [len(range(i, BATCH, AT_ONCE)) for i in range(AT_ONCE)]
    await asyncio.gather(*(get(client, url, count) for count in counts))


async def save(client, url, path):
    async with client.get(url) as response:
        with open(path, "wb") as to:
            async for piece in response.content.iter_any():
                to.write(piece)


async def main(what, url, *rest):
    ca = next((each for each in rest if each.endswith(".pem")), None)
    secure = ssl.create_default_context(cafile=ca) if ca else None
    connector = aiohttp.TCPConnector(limit=IDLE_CONNECTIONS, ssl=secure)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as client:
        if what == "small":
            await one_batch(client, url)
            walls, cpus = [], []
            for _ in range(BATCHES):
                wall, used = time.perf_counter() * 1e3, cpu()
                await one_batch(client, url)
                walls.append(time.perf_counter() * 1e3 - wall)
                cpus.append(cpu() - used)
            print(json.dumps({"wall": statistics.median(walls), "cpu": statistics.median(cpus)}))
        elif what == "large":
            wall, used = time.perf_counter() * 1e3, cpu()
            await asyncio.gather(*(save(client, url, f"{rest[0]}/aio-{i}") for i in range(FILES)))
            print(json.dumps({"wall": time.perf_counter() * 1e3 - wall, "cpu": cpu() - used}))
        else:
            await get(client, url, 1)
            before = resident()
            await asyncio.gather(*(get(client, url, 1) for _ in range(IDLE_CONNECTIONS)))
            await asyncio.sleep(0.2)
            grown = (resident() - before) / IDLE_CONNECTIONS
            print(json.dumps({"bytes": grown, "connections": IDLE_CONNECTIONS}))


asyncio.run(main(*sys.argv[1:]))
