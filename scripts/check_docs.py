#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every ```cpp block of README.md, CONTRIBUTING.md and docs/*.md compiles.

A block with an #include is compiled as it is. Any other block is put into a namespace after the
headers that a reader would expect. A block that is marked ```cpp (fragment) is put into the body of
a coroutine there. Nothing is run: the author of a page checks the output that it shows.

A test case that a page quotes must exist: "SUBJECT: ...", if SUBJECT is that of some case.

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
import tempfile

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
    """(first line of the code, can it share the prologue?, code) for each block of a page."""
    text = path.read_text()
    for match in BLOCK.finditer(text):
        fragment, code = match.groups()
        line = text.count("\n", 0, match.start(2)) + 1
        place = f'#line {line} "{path.name}"\n'
        if "#include" in code:
            yield line, False, place + code
        elif fragment:
            body = f"rondo::task<> fragment() {{\n{place}{code}\nco_return;\n}}"
            yield line, True, f"namespace page_{line} {{\n{body}\n}}\n"
        else:
            yield line, True, f"namespace page_{line} {{\n{place}{code}\n}}\n"


CASE = re.compile(r'(?:RONDO_TEST|TEST_CASE)\(\s*"([^"]*)"')


def unknown_cases(pages, cases):
    """Quoted test cases that do not exist, as sentences. pages: {path: text}."""
    subjects = {case.split(": ")[0] for case in cases if ": " in case}
    for path, text in pages.items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        prose = re.sub(r'`[^`"]*"[^`]*`', "", prose)  # a code span with a quote is no name
        for quoted in re.findall(r'"([^"]+)"', prose):
            name = " ".join(quoted.split())
            is_case = ": " in name and name.split(": ")[0] in subjects
            if is_case and not name.endswith("*") and name not in cases:
                yield f'{path}: quotes "{name}", which is no test case'


def check_cases(root, paths):
    """Prints the findings; gives their number."""
    sources = (root / "tests").rglob("test_*.cpp")
    cases = {" ".join(case.split()) for path in sources for case in CASE.findall(path.read_text())}
    findings = list(unknown_cases({path: path.read_text() for path in paths}, cases))
    for finding in findings:
        print(finding)
    return len(findings)


def compile_unit(root, unit, *arguments):
    """The compiler's messages; empty if it compiles."""
    command = [os.environ.get("CXX", "g++"), "-std=c++20", "-fsyntax-only"]
    command += ["-fno-diagnostics-color", f"-I{root / 'include'}", *arguments, "-x", "c++", "-"]
    done = subprocess.run(
        command, input=unit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return (
        "" if done.returncode == 0 else done.stdout or f"the compiler ended with {done.returncode}"
    )


def precompiled(root, folder):
    """The arguments that make a block with #include <rondo/rondo.hpp> begin with it, read from a
    file that the compiler parsed once. None if it does not compile: then each block says so."""
    header = folder / "begin.hpp"
    header.write_text("#include <rondo/rondo.hpp>\n")
    command = [os.environ.get("CXX", "g++"), "-std=c++20", f"-I{root / 'include'}"]
    command += ["-x", "c++-header", str(header), "-o", f"{header}.gch"]
    done = subprocess.run(command, stderr=subprocess.DEVNULL)
    return ["-include", str(header)] if done.returncode == 0 else []


def check_block(root, unit, begin):
    begins = begin if "#include <rondo/rondo.hpp>" in unit else []
    return compile_unit(root, unit, *begins)


def failures(root, path, begin):
    """(number of blocks, [(line, messages)]) of a page. Blocks that share a prologue are compiled
    together, and one by one only if that fails."""
    found = list(blocks(path))
    shared = [code for _, shares, code in found if shares]
    all_shared_well = shared and not check_block(root, PROLOGUE + "".join(shared), begin)
    bad = []
    for line, shares, code in found:
        if shares and all_shared_well:
            continue
        messages = check_block(root, PROLOGUE + code if shares else code, begin)
        if messages:
            bad.append((line, messages))
    return len(found), bad


def main():
    arguments = argparse.ArgumentParser(description="compiles the code of the docs")
    arguments.add_argument(
        "--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent
    )
    arguments.add_argument("pages", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()
    root = options.root

    top = [path for path in (root / "README.md", root / "CONTRIBUTING.md") if path.exists()]
    pages = options.pages or top + sorted((root / "docs").glob("*.md"))
    passed = failed = 0
    jobs = int(os.environ.get("RONDO_JOBS", os.cpu_count()))
    pools = concurrent.futures.ThreadPoolExecutor
    with tempfile.TemporaryDirectory() as folder, pools(jobs) as pool:
        begin = precompiled(root, pathlib.Path(folder))
        ends = pool.map(lambda page: failures(root, page, begin), pages)
        for path, (count, bad) in zip(pages, ends):
            for line, messages in bad:
                print(f"{os.path.relpath(path)}:{line}: this block does not compile:\n{messages}")
            passed, failed = passed + count - len(bad), failed + len(bad)
    unknown = check_cases(root, pages)
    passed, failed = passed + (unknown == 0), failed + unknown
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
