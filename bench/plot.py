#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the JSON of bench/compare.py as a bar chart, one SVG, without other packages.

usage: bench/plot.py compare.json > chart.svg

Each bar is a cost as a multiple of the floor's, which is the line at 1. Shorter is better.
"""

import json
import sys
from xml.sax.saxutils import escape

WIDTH, LABEL, RIGHT, ROW, TOP = 720, 150, 60, 22, 50


def rows_of(result):
    """(name, times the floor's cost) for each row that has a floor."""
    for case, found in result.get("micro", {}).items():
        if found["ratio"] is not None:
            yield case, found["ratio"]
    for cell, found in result.get("echo", {}).items():
        yield f"echo {cell} CPU", found["ratio"]["cpu_ns"]


def text(x, y, words, anchor="start", size=12):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="{size}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def chart(rows):
    scale = (WIDTH - LABEL - RIGHT) / max(2.0, *(ratio for _, ratio in rows))
    bottom = TOP + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 20}">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(10, 24, "Cost of an operation, times that of a hand-written floor", size=15),
    ]
    for place, (name, ratio) in enumerate(rows):
        y = TOP + ROW * place
        parts.append(text(LABEL - 8, y + 14, name, "end"))
        parts.append(
            f'<rect x="{LABEL}" y="{y + 3}" width="{ratio * scale:.1f}" height="{ROW - 6}" '
            'fill="#4477aa"/>'
        )
        parts.append(text(LABEL + ratio * scale + 6, y + 14, f"{ratio:.2f}"))
    x = LABEL + scale
    parts.append(
        f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="black" '
        'stroke-dasharray="4 3"/>'
    )
    parts.append(text(x, TOP - 10, "1", "middle", 11))
    return "\n".join([*parts, "</svg>"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = list(rows_of(json.load(file)))
    if not rows:
        sys.exit("no row in it has a floor to compare with")
    print(chart(rows))


if __name__ == "__main__":
    main()
