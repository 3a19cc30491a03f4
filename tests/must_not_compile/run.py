#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What must not compile, and why: each .cpp file of this folder is a case.

    // expect: REGULAR EXPRESSION       the diagnostic; several lines: each must occur
    // expect(g++): ...                 the same for one compiler, where they say it differently
    // compiler: g++                    only with this one
    #ifndef CONTROL
        the offending line
    #endif

Every case is compiled twice, only as far as the diagnostics: as it stands, which must fail with
that text; and with CONTROL defined, which must succeed, so that the case fails for the reason it
names and not for a missing include. Warnings are errors, so that a discarded task is one.

usage: run.py [--root FOLDER] [CASE.cpp ...]
Exit status 0 or 1; the last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

COMPILERS = ("g++", "clang++")


def compile_case(compiler, root, path, *arguments):
    command = [
        compiler,
        "-std=c++20",
        "-fsyntax-only",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fno-diagnostics-color",
        f"-I{root / 'include'}",
        f"-I{root}",
        *arguments,
        str(path),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout


def check(compiler, root, path):
    """A sentence where the case does not hold; empty where it does."""
    expected = re.findall(
        rf"^// expect(?:\({re.escape(compiler)}\))?: (.*\S)", path.read_text(), re.MULTILINE
    )
    if not expected:
        return "has no line `// expect: REGULAR EXPRESSION`"
    compiles, messages = compile_case(compiler, root, path, "-DCONTROL")
    if not compiles:
        return f"its control does not compile:\n{messages}"
    compiles, messages = compile_case(compiler, root, path)
    if compiles:
        return "compiles"
    missing = [text for text in expected if not re.search(text, messages)]
    return f"fails, but not with /{missing[0]}/:\n{messages}" if missing else ""


def main():
    here = pathlib.Path(__file__).resolve().parent
    arguments = argparse.ArgumentParser(description="runs the cases that must not compile")
    arguments.add_argument("--root", type=pathlib.Path, default=here.parent.parent)
    arguments.add_argument("cases", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()

    work = []
    for path in options.cases or sorted(here.glob("*.cpp")):
        only = re.findall(r"^// compiler: (\S+)", path.read_text(), re.MULTILINE)
        work += [(compiler, path) for compiler in only or COMPILERS if shutil.which(compiler)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(
        int(os.environ.get("RONDO_JOBS", os.cpu_count()))
    ) as pool:
        for (compiler, path), what in zip(
            work, pool.map(lambda item: check(item[0], options.root, item[1]), work)
        ):
            if what:
                failed += 1
                print(f"{path.name} with {compiler}: {what}")
    print(f"{len(work) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
