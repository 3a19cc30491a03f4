#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that wrong code does not compile, and its diagnostics. Each .cpp file here has cases.

    // expect: REGULAR EXPRESSION       a diagnostic; several lines: each must occur
    // expect(g++): ...                 for one compiler, if the diagnostics differ
    // compiler: g++                    only with this compiler
    // flags: -std=c++17                with these flags too
    #ifndef CONTROL
        the offending lines
        a line;  // expect: ...         this line must give one error, with this text
            // expect: ...              the next line must, if such a comment is too long for it
    #endif

Every file is compiled twice, without generating code. As it is, it must fail with those texts. With
CONTROL defined it must succeed: so the case fails for its stated reason, not for a missing include.
If lines have their own text, there must be one error for each. Warnings are errors, so a discarded
task is an error.

<rondo/rondo.hpp> is precompiled once for each compiler, for the cases without flags of their own.
That saves a minute in total.

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
import tempfile

COMPILERS = ("g++", "clang++")
FLAGS = "-std=c++20 -Wall -Wextra -Werror -fno-diagnostics-color".split()
NO_LIMIT = {"g++": "-fmax-errors=0", "clang++": "-ferror-limit=0"}
# The context lines of a g++ diagnostic, before its error line.
CONTEXT = re.compile(r"^(In file included|\S+: (In|At) |\S+:\d+:\d+:   )")
ERROR = re.compile(r": (fatal )?error: ")


def compile_text(compiler, root, *arguments):
    """(did it compile, the compiler's messages)"""
    includes = [f"-I{root / 'include'}", f"-I{root}"]
    command = [compiler, *FLAGS, NO_LIMIT[compiler], *includes, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout


def precompile(compiler, root, folder):
    """The arguments that make a case begin with the library's headers. None if they do not compile:
    then each case fails, with the messages."""
    header = folder / compiler / "begin.hpp"
    header.parent.mkdir()
    header.write_text("#include <rondo/rondo.hpp>\n")
    made = header.with_suffix(".hpp.gch" if compiler == "g++" else ".hpp.pch")
    compiles, _ = compile_text(compiler, root, "-x", "c++-header", str(header), "-o", str(made))
    if not compiles:
        return []
    return ["-include", str(header)] if compiler == "g++" else ["-include-pch", str(made)]


def errors_in(messages):
    """Each error of the compiler with its context: g++ prints that before the error, clang++ in
    notes after it."""
    errors, before, current = [], [], None
    for line in messages.split("\n"):
        if ERROR.search(line):
            current = before + [line]
            errors.append(current)
            before = []
        elif CONTEXT.match(line):
            before.append(line)
        elif current is not None:
            current.append(line)
    return ["\n".join(lines) for lines in errors]


def unmet(path, text, expected, messages):
    """A sentence if the messages are not the expected ones; empty if they are."""
    missing = [what for what in expected if not re.search(what, messages)]
    if missing:
        return f"fails, but not with /{missing[0]}/:\n{messages}"
    errors = errors_in(messages)
    lines = re.findall(r"^.*$", text, re.MULTILINE)
    own = [(n, re.search(r"(\S.*| +)// expect: (.*\S)", line)) for n, line in enumerate(lines, 1)]
    own = [(n + match.group(1).isspace(), match.group(2)) for n, match in own if match]
    for number, what in own:
        here = re.compile(rf"{re.escape(path.name)}:{number}:")
        if not any(here.search(error) and re.search(what, error) for error in errors):
            about = "\n".join(error for error in errors if here.search(error))
            return f"line {number}: no error says /{what}/:\n{about}"
    if own and len(errors) != len(own):
        return f"{len(errors)} errors for {len(own)} lines:\n{messages}"
    return ""


def check(compiler, root, path, begin):
    """A sentence if the case fails; empty if it passes."""
    text = path.read_text()
    expected = re.findall(rf"^// expect(?:\({re.escape(compiler)}\))?: (.*\S)", text, re.MULTILINE)
    if "// expect" not in text:
        return "has no line `// expect: REGULAR EXPRESSION`"
    flags = " ".join(re.findall(r"^// flags: (.*\S)", text, re.MULTILINE)).split()
    arguments = [*(flags or begin), "-fsyntax-only", str(path)]
    compiles, messages = compile_text(compiler, root, "-DCONTROL", *arguments)
    if not compiles:
        return f"its control does not compile:\n{messages}"
    compiles, messages = compile_text(compiler, root, *arguments)
    return "compiles" if compiles else unmet(path, text, expected, messages)


def main():
    here = pathlib.Path(__file__).resolve().parent
    arguments = argparse.ArgumentParser(description="runs the cases that must not compile")
    arguments.add_argument("--root", type=pathlib.Path, default=here.parent.parent)
    arguments.add_argument("cases", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()

    compilers = [compiler for compiler in COMPILERS if shutil.which(compiler)]
    work = []
    for path in options.cases or sorted(here.glob("*.cpp")):
        only = re.findall(r"^// compiler: (\S+)", path.read_text(), re.MULTILINE)
        work += [(compiler, path) for compiler in compilers if compiler in (only or COMPILERS)]
    failed = 0
    jobs = int(os.environ.get("RONDO_JOBS", os.cpu_count()))
    pools = concurrent.futures.ThreadPoolExecutor
    with tempfile.TemporaryDirectory() as folder, pools(jobs) as pool:
        scratch = pathlib.Path(folder)
        made = pool.map(lambda each: precompile(each, options.root, scratch), compilers)
        begin = dict(zip(compilers, made))
        ends = pool.map(lambda item: check(item[0], options.root, item[1], begin[item[0]]), work)
        for (compiler, path), what in zip(work, ends):
            if what:
                failed += 1
                print(f"{path.name} with {compiler}: {what}")
    print(f"{len(work) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
