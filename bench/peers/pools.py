#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cases pool_rtt, pool_submit_1, process_rtt and process_many of `micro` on Python's
ThreadPoolExecutor and ProcessPoolExecutor; as many calls as take a second or so.

usage: pools.py CASE | list
"""

import concurrent.futures
import json
import sys
import time


def plus_one(n):
    return n + 1


def in_turn(pool, count):
    for i in range(count):
        pool.submit(plus_one, i).result()


def at_once(pool, count):
    for one in [pool.submit(plus_one, i) for i in range(count)]:
        one.result()


threads, processes = concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor
CASES = {
    "pool_rtt": (threads, 1, in_turn, 20_000),
    "pool_submit_1": (threads, 2, at_once, 50_000),
    "process_rtt": (processes, 1, in_turn, 5_000),
    "process_many": (processes, 2, at_once, 20_000),
}


def main():
    case = sys.argv[1] if len(sys.argv) == 2 else ""
    if case == "list":
        print(*CASES, sep="\n")
    elif case in CASES:
        kind, workers, work, count = CASES[case]
        with kind(workers) as pool:
            at_once(pool, workers)  # they run already
            began = time.monotonic_ns()
            work(pool, count)
            ns = (time.monotonic_ns() - began) / count
        print(json.dumps({"bench": case, "value": ns, "n": count}))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
