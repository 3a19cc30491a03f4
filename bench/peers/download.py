# SPDX-License-Identifier: MIT
"""Downloads a list of URLs with aiohttp, as its documentation has it.

usage: download.py LIST FOLDER JOBS [CERTIFICATES]

LIST has a URL and a name in each line."""

import asyncio
import pathlib
import ssl
import sys

import aiohttp


async def download(session, url, path):
    async with session.get(url) as response:
        response.raise_for_status()
        with open(path, "wb") as file:
            async for chunk in response.content.iter_chunked(256 * 1024):
                file.write(chunk)


async def worker(session, lines, folder):
    for line in lines:
        url, name = line.split()
        await download(session, url, folder / name)


async def main(list_file, folder, jobs, certificates=None):
    trust = ssl.create_default_context(cafile=certificates) if certificates else None
    lines = iter(pathlib.Path(list_file).read_text().splitlines())
    connector = aiohttp.TCPConnector(limit=int(jobs), ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as session:
        workers = (worker(session, lines, pathlib.Path(folder)) for _ in range(int(jobs)))
        await asyncio.gather(*workers)


asyncio.run(main(*sys.argv[1:]))
