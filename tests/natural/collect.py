#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes sources of several natural programs each, since parsing the headers takes most of the time
of one. Each program becomes a namespace of its own name. Its main is the last function of its file;
it is renamed, and returns 0 at its end as a main does.

usage: collect.py PROGRAM.cpp... -- OUTPUT.cpp...
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^#include [<"][^>"]+[>"]$', re.MULTILINE)
MAIN = re.compile(r"^int main\(\) ", re.MULTILINE)


def parts_of(path):
    """Its includes; its namespace."""
    name, text = path.stem, path.read_text().rstrip()
    if len(MAIN.findall(text)) != 1 or not text.endswith("}"):
        sys.exit(f"{path}: `int main()` must be its last function")
    program = f"{name}::program" if "// Runs on: ring and simulator\n" in text else "nullptr"
    # The same number of lines as in the file, so that messages name the right one.
    body = INCLUDE.sub("", MAIN.sub("int start() ", text))[:-1] + " return 0; }"
    return INCLUDE.findall(text), (
        f'namespace {name} {{\n#line 1 "{path}"\n{body}\n}}\n'
        f'const natural::entry {name}_entry("{name}", {name}::start, {program});\n'
    )


def main():
    split = sys.argv.index("--")
    programs, outputs = ([pathlib.Path(name).resolve() for name in names]
                         for names in (sys.argv[1:split], sys.argv[split + 1 :]))
    for number, output in enumerate(outputs):
        includes, texts = {'#include "natural/natural.hpp"': None}, []
        for path in programs[number :: len(outputs)]:
            needed, text = parts_of(path)
            includes.update(dict.fromkeys(needed))
            texts.append(text)
        text = "\n".join([*includes, *texts])
        if not output.exists() or output.read_text() != text:  # else it need not be compiled again
            output.write_text(text)


if __name__ == "__main__":
    main()
