#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our sockets, files and programs beside liburing used by hand and libuv, interleaved.

usage: bench/compare_io.py [BUILD] [--rounds N]

BUILD is a meson build folder of a release build, as for compare.py. Medians in µs of an operation, on two
processors; figures of one run compare with each other only.
"""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True

from compare_pools import print_table  # noqa: E402

CASES = ("connect_accept", "udp_datagram", "spawn_wait", "file_read4k", "file_read4k_qd32", "file_read1m")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    folder = args.build.resolve() / "bench"
    sides = {"rondo": [folder / "micro"], "liburing": [folder / "raw_io"], "libuv": [folder / "uv_io"]}
    print_table({name: command for name, command in sides.items() if command[0].exists()}, CASES, args.rounds)


if __name__ == "__main__":
    main()
