#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the programs of tests/natural, each in a process of its own, on the ring in real time and on
the simulator with several seeds in virtual time. None may take five seconds. The head of each has
its output, indented, and exactly that must come; stderr must be empty.

usage: run_natural.py --program RUNNER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import concurrent.futures
import os
import pathlib
import sys

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from run_programs import SLOWER, Child, Failed, enter_own_network, run  # noqa: E402

SOURCES = pathlib.Path(__file__).resolve().parent / "natural"
LIMIT = 5 * SLOWER
SEEDS = [os.environ["RONDO_SEED"]] if "RONDO_SEED" in os.environ else ["1", "2", "3"]


def head_of(name):
    """The output that its source shows; whether it runs on the simulator."""
    text = (SOURCES / f"{name}.cpp").read_text()
    head = text[: text.index("\n#include")].splitlines()
    shown = [line[2:].removeprefix("     ") for line in head if line.startswith("//     ")]
    return "".join(f"{line}\n" for line in shown), "// Runs on: ring and simulator" in head


def check(runner, name, where):
    expected, _ = head_of(name)
    child = Child([str(runner), name, *where])
    child.name = f"{name} on {'the ring' if where == ['ring'] else 'the simulator'}"
    status = child.wait(LIMIT, "its start")
    if status != 0:
        raise Failed(f"{child.name} ended with status {status}{child.said()}")
    child.judge_stderr()
    said = child.text(child.out)
    wanted = expected if where == ["ring"] else f"{expected}\f" * len(where)
    if said != wanted:
        raise Failed(f"{child.name} did not print the head of its source{child.said()}")


def check_everywhere(runner, name):
    expected, simulated = head_of(name)
    if not expected:
        raise Failed(f"{name} shows no output at its head")
    check(runner, name, ["ring"])
    if simulated:
        check(runner, name, SEEDS)


def main():
    arguments = argparse.ArgumentParser(description="runs the programs of tests/natural")
    arguments.add_argument("--program", type=pathlib.Path, required=True, help="the runner")
    everything = sorted(path.stem for path in SOURCES.glob("*.cpp") if path.stem != "runner")
    arguments.add_argument("names", nargs="*", default=everything)
    options = arguments.parse_args()
    enter_own_network()
    # Most of the time they sleep, so several run at a time.
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        ended = {
            name: pool.submit(check_everywhere, options.program, name) for name in options.names
        }
        return run([(f"natural {name}", ended[name].result) for name in options.names], "natural")


if __name__ == "__main__":
    sys.exit(main())
