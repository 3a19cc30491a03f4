#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every ```cpp block of README.md and docs/*.md compiles.

A block with an #include is compiled as it is. Any other block is put into a namespace after the
headers that a reader would expect. A block that is marked ```cpp (fragment) is put into the body of
a coroutine there. Nothing is run: the author of a page checks the output that it shows.

usage: check_docs.py [--root FOLDER] [PAGE.md ...]
Exit status 0 or 1; the last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

PROLOGUE = """#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>
#include <fmt/core.h>
#include <rondo/rondo.hpp>
using namespace std::chrono_literals;
"""
BLOCK = re.compile(r"^```cpp[ \t]*(\(fragment\))?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path):
    """(line of the first line of code, translation unit) for each block of a page."""
    text = path.read_text()
    for match in BLOCK.finditer(text):
        fragment, code = match.groups()
        line = text.count("\n", 0, match.start(2)) + 1
        place = f'#line {line} "{path.name}"\n'
        if "#include" in code:
            yield line, place + code
        elif fragment:
            body = f"rondo::task<> fragment() {{\n{place}{code}\nco_return;\n}}"
            yield line, f"{PROLOGUE}namespace page {{\n{body}\n}}\n"
        else:
            yield line, f"{PROLOGUE}namespace page {{\n{place}{code}\n}}\n"


def compile_unit(root, unit):
    command = [
        os.environ.get("CXX", "g++"),
        "-std=c++20",
        "-fsyntax-only",
        "-fno-diagnostics-color",
        f"-I{root / 'include'}",
        "-x",
        "c++",
        "-",
    ]
    done = subprocess.run(
        command, input=unit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return (
        "" if done.returncode == 0 else done.stdout or f"the compiler ended with {done.returncode}"
    )


def main():
    arguments = argparse.ArgumentParser(description="compiles the code of the docs")
    arguments.add_argument(
        "--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent
    )
    arguments.add_argument("pages", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()
    root = options.root

    pages = options.pages or [path for path in [root / "README.md"] if path.exists()] + sorted(
        (root / "docs").glob("*.md")
    )
    work = [(path, line, unit) for path in pages for line, unit in blocks(path)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(
        int(os.environ.get("RONDO_JOBS", os.cpu_count()))
    ) as pool:
        for (path, line, _), messages in zip(
            work, pool.map(lambda item: compile_unit(root, item[2]), work)
        ):
            if messages:
                failed += 1
                print(f"{os.path.relpath(path)}:{line}: this block does not compile:\n{messages}")
    print(f"{len(work) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
