#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes one source of several programs of one file each, since parsing the headers takes most of
the time of a small program. Its main runs the program whose name it is called by.

Each program becomes a namespace, its main a function in it.

usage: one_program.py write OUTPUT.cpp PROGRAM.cpp... | link FOLDER PROGRAM NAME...
"link" makes names in FOLDER, where PROGRAM is, that call it.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^#include [<"][^>"]+[>"]\n', re.MULTILINE)
# To the brace in the first column, or to the end of the line.
MAIN = re.compile(r"^int main\([^)]*\) \{(?:[^\n]*|\n.*?\n)\}$", re.MULTILINE | re.DOTALL)

DISPATCH = """
int main(int argc, char** argv) {
    const std::string_view path = argv[0];
    std::string name(path.substr(path.rfind('/') + 1));
    // A program that starts itself again, by /proc/self/exe, has no name of its own.
    const char* const parent = std::getenv("RONDO_EXAMPLE");
    if (name == "exe" && parent != nullptr) name = parent;
    ::setenv("RONDO_EXAMPLE", name.c_str(), 1);
%s    fmt::print(stderr, "there is no program {}\\n", name);
    return 2;
}
"""


def write(output, *programs):
    headers = ["<cstdlib>", "<string>", "<string_view>", "<fmt/core.h>"]
    includes, parts, calls = {f"#include {header}\n": None for header in headers}, [], ""
    for path in map(pathlib.Path, programs):
        text = path.read_text()
        includes.update(dict.fromkeys(INCLUDE.findall(text)))
        # Only ::main may end without return.
        text, found = MAIN.subn(lambda main: main.group(0)[:-1] + " return 0; }", text)
        if found != 1:
            sys.exit(f"{path}: {found} functions main")
        parts.append(f'namespace program_{path.stem} {{\n#line 1 "{path}"\n{text}}}\n')
        arguments = "argc, argv" if re.search(r"^int main\(int", text, re.MULTILINE) else ""
        calls += f'    if (name == "{path.stem}") return program_{path.stem}::main({arguments});\n'
    pathlib.Path(output).write_text("".join(includes) + "\n".join(parts) + DISPATCH % calls)


def link(folder, program, *names):
    for name in names:
        path = pathlib.Path(folder) / name
        path.unlink(missing_ok=True)
        path.symlink_to(pathlib.Path(program).name)


if __name__ == "__main__":
    {"write": write, "link": link}[sys.argv[1]](*sys.argv[2:])
