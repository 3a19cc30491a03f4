#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes sources of several tests each, since parsing the headers takes half of a test's time.

Each test becomes a namespace of the name of its file, so what two of them call the same does not
collide. All headers come first, outside of any namespace; inside, #pragma once makes nothing of
them. A test that defines something global (main's hook, operator new, a specialization) or depends
on a macro of its own stays alone: tests/meson.build has the list.

usage: unity.py TEST.cpp... -- OUTPUT.cpp...
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^#include [<"][^>"]+[>"]', re.MULTILINE)


def unity_of(paths):
    includes, parts = {}, []
    for path in paths:
        includes.update(dict.fromkeys(INCLUDE.findall(path.read_text())))
        parts.append(f'namespace {path.stem} {{\n#include "{path}"\n}}\n')
    return "\n".join(list(includes) + parts)


def main():
    split = sys.argv.index("--")
    tests, outputs = ([pathlib.Path(name).resolve() for name in names]
                      for names in (sys.argv[1:split], sys.argv[split + 1 :]))
    for number, output in enumerate(outputs):
        text = unity_of(tests[number :: len(outputs)])
        if not output.exists() or output.read_text() != text:  # else it need not be compiled again
            output.write_text(text)


if __name__ == "__main__":
    main()
