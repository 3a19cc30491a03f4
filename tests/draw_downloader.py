#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the pictures of rondo-get: what tmux shows while it downloads from a server of this script.

Prints a capture of 80 and one of 40 columns, for docs/downloader.md, and writes an animated picture
of all captures of 80 columns, for README.md.

usage: draw_downloader.py --rondo-get PROGRAM [--svg FILE]
"""

import argparse
import html
import os
import pathlib
import random
import re
import shlex
import subprocess
import tempfile
import time

from downloader_tools import FileServer, ServedFile

KIB = 1 << 10
MIB = 1 << 20
# Name, size, bytes a second on each connection, whether the length is told.
FILES = [
    ("debian-12.11.0-amd64-netinst.iso", 24 * MIB, 4 * MIB, True),
    ("linux-6.12.tar.xz", 12 * MIB, 3 * MIB, True),
    ("photos-2024.zip", 20 * MIB, 5 * MIB, True),
    ("nightly-export.csv", 5 * MIB, 900 * KIB, False),
    ("notes.pdf", 700 * KIB, 2 * MIB, True),
]
COLOURS = {"36": "#4ec9d0"}


class Screen:
    """A terminal in tmux."""

    def __init__(self, command, columns, rows):
        self.name = f"rondo-get-{os.getpid()}-{columns}"
        size = ["-x", str(columns), "-y", str(rows)]
        self.tmux("new-session", "-d", *size, command, check=True)
        self.tmux("set-option", "-g", "status", "off")

    def tmux(self, *arguments, check=False):
        done = subprocess.run(["tmux", "-u", "-f", "/dev/null", "-L", self.name, *arguments],
                              capture_output=True, text=True, check=check)  # fmt: skip
        return done.stdout

    def text(self, *how):
        return self.tmux("capture-pane", "-p", *how).rstrip("\n")

    def close(self):
        self.tmux("kill-server")


def record(program, columns, rows, seconds):
    """The captures of one run, with control sequences, one every half second."""
    with tempfile.TemporaryDirectory() as scratch:
        chance = random.Random(1)
        servers, lines = [], []
        for name, size, rate, known in FILES:
            file = ServedFile(chance.randbytes(size))
            file.length = known
            servers.append(FileServer({name: file}, rate))
            lines.append(servers[-1].url(name))
        lines.append(servers[0].url("moved-away.tar.gz"))
        (pathlib.Path(scratch) / "list.txt").write_text("\n".join(lines) + "\n")
        run = f"{shlex.quote(str(program))} -i list.txt"
        screen = Screen(
            f"cd {scratch}; export LANG=C.UTF-8; unset NO_COLOR; echo '$ rondo-get -i list.txt'; "
            f"{run}; sleep 60", columns, rows)  # fmt: skip
        frames = []
        for _ in range(2 * seconds):
            time.sleep(0.5)
            frames.append(screen.text("-e"))
            if "files/s" in frames[-1]:
                break
        screen.close()
        for server in servers:
            server.close()
    return frames


def plain(capture):
    return re.sub(r"\x1b\[[0-9;]*m", "", capture)


def svg_line(line, row):
    """One line of a capture as text elements, a span for each colour."""
    spans, colour = [], None
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code:
            colour = COLOURS.get(code[1])
        elif part:
            fill = f' fill="{colour}"' if colour else ""
            spans.append(f"<tspan{fill}>{html.escape(part)}</tspan>")
    return f'<text x="16" y="{44 + 18 * row}" xml:space="preserve">{"".join(spans)}</text>'


def svg(frames, columns, rows):
    """Frames that are shown for half a second each, the last one for three seconds."""
    width, height = 32 + int(8.43 * columns), 44 + 18 * rows
    whole = 0.5 * len(frames) + 3
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">',
        '<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>',
        '<g fill="#5b6472"><circle cx="20" cy="16" r="5"/><circle cx="38" cy="16" r="5"/>'
        '<circle cx="56" cy="16" r="5"/></g>',
        '<g fill="#d8dee9" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'
        'DejaVu Sans Mono,monospace" font-size="14">',
    ]
    for index, frame in enumerate(frames):
        begin, end = 0.5 * index / whole, 0.5 * (index + 1) / whole
        is_last = index == len(frames) - 1
        times = f"0;{begin:.4f}" + ("" if is_last else f";{end:.4f}")
        values = "hidden;visible" + ("" if is_last else ";hidden")
        if index == 0:
            times, values = f"0;{end:.4f}", "visible;hidden"
        shown = "visible" if is_last else "hidden"  # where nothing moves, the last one
        out.append(f'<g visibility="{shown}"><animate attributeName="visibility" '
                   f'calcMode="discrete" dur="{whole}s" repeatCount="indefinite" '
                   f'keyTimes="{times}" values="{values}"/>')  # fmt: skip
        out += [svg_line(line, row) for row, line in enumerate(frame.splitlines()) if line]
        out.append("</g>")
    return "\n".join([*out, "</g>", "</svg>", ""])


def main():
    arguments = argparse.ArgumentParser(description="makes the pictures of rondo-get")
    arguments.add_argument("--rondo-get", type=pathlib.Path, required=True, dest="program")
    arguments.add_argument("--svg", type=pathlib.Path)
    options = arguments.parse_args()
    program = options.program.resolve()
    for columns in 80, 40:
        frames = record(program, columns, 12, 20)
        for moment in frames[3], frames[-1]:
            print(f"-- {columns} columns\n{plain(moment)}\n")
        if columns == 80 and options.svg:
            options.svg.write_text(svg(frames, columns, 12))


if __name__ == "__main__":
    main()
