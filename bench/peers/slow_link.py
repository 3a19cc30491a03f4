# SPDX-License-Identifier: MIT
"""A proxy of TCP that makes a fast link slow: 20 ms each way, and for one segment of 1,448 bytes in
a hundred the 40 ms more that a loss costs (its repetition is asked for and sent), for which all
that follows waits. A new connection costs a round trip. The first connection loses the same
segments of its stream in each run, however they are sent; so do the second and the others.

usage: slow_link.py PORT TO_PORT [PORT TO_PORT ...]"""

import asyncio
import logging
import random
import sys

DELAY = 0.02
SEGMENT = 1448
LOSS = 0.01


async def carry(reader, writer, chance, begin):
    """Moves one direction. A queue between: how long a byte travels stops no byte behind it."""
    travelling = asyncio.Queue(4096)

    async def read():
        arrival, position = begin, 0
        while data := await reader.read(65536):
            now = asyncio.get_running_loop().time()
            arrival = max(arrival, now + DELAY)
            while data:
                if position % SEGMENT == 0 and chance.random() < LOSS:
                    arrival += 2 * DELAY
                piece = data[:SEGMENT - position % SEGMENT]
                await travelling.put((arrival, piece))
                position, data = position + len(piece), data[len(piece):]
        await travelling.put((arrival, b""))

    async def write():
        while True:
            arrival, data = await travelling.get()
            wait = arrival - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            if travelling.empty() or travelling._queue[0][0] > arrival:
                await writer.drain()

    await asyncio.gather(read(), write())


async def serve(port, to_port):
    count = 0

    async def accepted(reader, writer):
        nonlocal count
        count += 1
        there, back = random.Random(2 * count), random.Random(2 * count + 1)
        begin = asyncio.get_running_loop().time() + 2 * DELAY
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to_port)
            await asyncio.gather(carry(reader, there_writer, there, begin),
                                 carry(there_reader, writer, back, begin))
            there_writer.close()
        except (OSError, RuntimeError):
            pass
        writer.close()

    await (await asyncio.start_server(accepted, "127.0.0.1", port, limit=65536)).serve_forever()


async def main(ports):
    await asyncio.gather(*(serve(port, to) for port, to in zip(ports[::2], ports[1::2])))


logging.disable(logging.WARNING)  # of connections that are closed while bytes travel
asyncio.run(main([int(word) for word in sys.argv[1:]]))
