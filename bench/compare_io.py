#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our sockets, files and programs with plain liburing and libuv, interleaved.

usage: bench/compare_io.py [BUILD] [--rounds N]

BUILD is a meson build folder of a release build, as for compare.py. Medians in µs of an operation,
on two processors; compare only figures of one run.
"""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True

from compare_pools import print_table  # noqa: E402

CASES = ("connect_accept", "udp_datagram", "spawn_wait", "file_read4k", "file_read4k_qd32",
         "file_read1m")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    folder = args.build.resolve() / "bench"
    programs = {"rondo": "micro", "liburing": "raw_io", "libuv": "uv_io"}
    sides = {name: [folder / file] for name, file in programs.items() if (folder / file).exists()}
    print_table(sides, CASES, args.rounds)


if __name__ == "__main__":
    main()
