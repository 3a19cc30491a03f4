#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our pools of threads and processes with Boost.Asio, std::async, Python and Go,
interleaved.

usage: bench/compare_pools.py [BUILD] [--rounds N]

BUILD is a meson build folder of a release build, as for compare.py. A peer that is not installed is
left out. Medians in µs of a call, on two processors; figures of one run compare with each other
only.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from compare import on  # noqa: E402

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
CASES = ("pool_rtt", "pool_await_rtt", "pool_rtt_async", "pool_submit_1", "pool_submit_2",
         "pool_submit_8", "process_rtt", "process_many")


def programs(build, folder):
    """The command of each side that is there."""
    found = {"rondo": [build / "bench/micro"], "Boost.Asio": [build / "bench/asio_pools"]}
    found = {name: command for name, command in found.items() if command[0].exists()}
    found["Python"] = [sys.executable, PEERS / "pools.py"]
    if shutil.which("go"):
        binary = pathlib.Path(folder) / "pools"
        subprocess.run(["go", "build", "-o", binary, PEERS / "pools.go"], check=True)
        found["Go"] = [binary]
    return found


def run_case(command, case):
    done = subprocess.run([*command, case], stdout=subprocess.PIPE, text=True, check=True,
                          preexec_fn=on(0, 1))
    return json.loads(done.stdout.splitlines()[-1])["value"] / 1000


def print_table(sides, cases, rounds):
    """A row for each case, with the median of each side (its command) that has it, in µs."""
    listed = {
        name: subprocess.run(
            [*command, "list"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split()
        for name, command in sides.items()
    }
    print(f"{'us a call':16}" + "".join(f"{name:>12}" for name in sides))
    for case in cases:
        runs = {name: [] for name in sides if case in listed[name]}
        for _ in range(rounds):
            for name, values in runs.items():
                values.append(run_case(sides[name], case))
        cells = (
            f"{statistics.median(runs[name]):12.2f}" if name in runs else f"{'-':>12}"
            for name in sides
        )
        print(f"{case:16}" + "".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_table(programs(args.build.resolve(), folder), CASES, args.rounds)


if __name__ == "__main__":
    main()
