#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every public header compiles alone, and <rondo/rondo.hpp> is light.

Alone: without a warning, with each compiler that --compilers names (g++ if it is not given, for
the sake of time). A header that a source of the library includes first is compiled alone there,
and is left out here unless --all is given. Light: parsing it takes at most 1.8 times as long as
parsing only the standard headers that rondo's headers name, in the same run. Both are compiled in
turn several times, and the medians of the compiler's processor time are compared. So other work
on the machine disturbs little.

usage: check_headers.py [--root FOLDER] [--rounds N] [--compilers g++,clang++] [--all]
Exit status 0 or 1; the last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

RATIO_MAX = 1.8
COMPILERS = "g++"
FLAGS = (
    "-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion "
    "-Wnon-virtual-dtor -Werror"
).split()
INCLUDED = re.compile(r'^#include [<"]([^>"]+)[>"]', re.MULTILINE)
STANDARD = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<((?!rondo/)[^>]+)>", re.MULTILINE)


def compile_text(compiler, root, text):
    """The compiler's messages; empty if there are none."""
    command = [compiler, *FLAGS, f"-I{root / 'include'}", "-x", "c++", "-"]
    done = subprocess.run(command, input=text, text=True, stderr=subprocess.PIPE)
    return "" if done.returncode == 0 else done.stderr or f"{compiler} ended with {done.returncode}"


def compile_alone(compiler, root, header):
    return compile_text(compiler, root, f"#include <{header}>\n")


def included_first(root):
    """The headers with which a source of the library begins."""
    texts = (path.read_text() for path in (root / "runtime").rglob("*.cpp"))
    return {found.group(1) for found in map(INCLUDED.search, texts) if found}


def processor_seconds(compiler, root, source):
    command = [compiler, "-std=c++20", "-fsyntax-only", f"-I{root / 'include'}", str(source)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def parse_time(compiler, root, folder, rounds):
    """(median of ours, median of the standard headers that ours name)"""
    names = set()
    for path in (root / "include/rondo").rglob("*.hpp"):
        found = STANDARD.findall(path.read_text())
        names.update(name for name in found if not name.endswith(".hpp"))
    sources = {
        "ours": "#include <rondo/rondo.hpp>\n",
        "standard": "".join(f"#include <{name}>\n" for name in sorted(names)),
    }
    times = {name: [] for name in sources}
    for name, text in sources.items():
        (folder / f"{name}.cpp").write_text(text)
    for _ in range(rounds + 1):  # the first warms the page cache
        for name in sources:
            times[name].append(processor_seconds(compiler, root, folder / f"{name}.cpp"))
    return statistics.median(times["ours"][1:]), statistics.median(times["standard"][1:])


def main():
    arguments = argparse.ArgumentParser(
        description="checks the public headers, see the head of this file"
    )
    arguments.add_argument(
        "--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent
    )
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--compilers", default=COMPILERS)
    arguments.add_argument("--all", action="store_true")
    options = arguments.parse_args()
    root = options.root

    compilers = [name for name in options.compilers.split(",") if shutil.which(name)]
    headers = sorted(
        str(path.relative_to(root / "include")) for path in (root / "include/rondo").rglob("*.hpp")
    )
    for header in headers:
        if "#pragma once" not in (root / "include" / header).read_text():
            sys.exit(f"{header} has no #pragma once")
    if not options.all:
        headers = [header for header in headers if header not in included_first(root)]
    work = [(compiler, header) for header in headers for compiler in compilers]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(
        int(os.environ.get("RONDO_JOBS", os.cpu_count()))
    ) as pool:
        for (compiler, header), messages in zip(
            work, pool.map(lambda item: compile_alone(item[0], root, item[1]), work)
        ):
            if messages:
                print(f"<{header}> does not compile alone with {compiler}:\n{messages}")
            passed, failed = passed + (not messages), failed + bool(messages)

    if (root / "include/rondo/rondo.hpp").exists() and not failed:
        with tempfile.TemporaryDirectory() as folder:
            for compiler in compilers:
                ours, standard = parse_time(compiler, root, pathlib.Path(folder), options.rounds)
                heavy = ours > RATIO_MAX * standard
                print(
                    f"{compiler} parses <rondo/rondo.hpp> in {ours:.2f} s, its standard headers "
                    f"alone in {standard:.2f} s, ratio {ours / standard:.2f} (at most {RATIO_MAX})"
                    f"{': TOO HEAVY' if heavy else ''}"
                )
                passed, failed = passed + (not heavy), failed + heavy
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
