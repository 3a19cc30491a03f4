#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions of one wait and of a select of three, with valgrind's callgrind.

Each case runs twice with different counts; the difference, divided by the difference of the counts,
is the cost of one. The cost of putting the item is subtracted.

usage: count_instructions.py BUILD
"""

import pathlib
import re
import subprocess
import sys
import tempfile

LEAST, MOST = 10_000, 30_000


def instructions(program, case, count):
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", program, case,
             str(count)],
            check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def cost(program, case):
    more, less = (instructions(program, case, count) for count in (MOST, LEAST))
    return (more - less) / (MOST - LEAST)


def main():
    program = str(pathlib.Path(sys.argv[1]) / "bench" / "waits")
    put = cost(program, "put")
    one = cost(program, "one") - put
    print(f"a queue's next() that is ready           {one:7.0f} instructions")
    for case, text in (("three_ready", "select of three that are ready"),
                       ("third_ready", "select of which the third is ready")):
        each = cost(program, case) - put
        print(f"{text:40} {each:7.0f}  {each / one:5.1f} x")
    one = cost(program, "suspended")
    each = cost(program, "none_ready")
    print(f"a queue's next() that suspends           {one:7.0f} instructions, with its putter")
    print(f"select of which none is ready            {each:7.0f}  {each / one:5.1f} x")


if __name__ == "__main__":
    main()
