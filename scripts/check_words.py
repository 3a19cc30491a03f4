#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plain English, as far as a program can see it: riddles at the beginning of a sentence, and long lines.

Reads the comments of .cpp, .hpp, .py and meson.build, the string literals of .cpp and .hpp files in
include/ and runtime/ (users see them as messages), and the prose of .md (not its code blocks, and
not CHANGELOG.md). It finds
  - sentences that begin with What, Who, Whoever, Where, One who or One that. A question and a
    heading of a page may;
  - "but for" (write "except"), "nobody", "somebody" and "whoever" (name the actor), anywhere;
  - lines over 100 columns. In a page, a table and a line with a URL may be longer; in a source, a
    line may whose column 100 is inside a string literal.
Text in `backquotes` is code and is not read.

ALLOWED, below, holds how many findings a folder may still have. A number goes down, never up; a
folder without a number has none. --lower writes the numbers of today into it.

usage: check_words.py [--root FOLDER] [FOLDER or FILE ...] | --lower | --self-test
With folders, their findings are printed, also those that are still allowed.
Exit status 0 or 1; the last line is "N passed, N failed", one for each file.
"""

import argparse
import io
import pathlib
import re
import subprocess
import sys
import tokenize

ALLOWED = {
    ".": 1,
    "scripts": 1,
    "tests/lint_cases": 2,
    "tests/programs": 10,
}

COLUMNS = 100
RIDDLE = re.compile(r"(?:What(?:ever)?|Who|Where|One (?:who|that))\b(?! *[.:;,?!]?$)")
MINOR_RIDDLE = re.compile(RIDDLE.pattern, re.IGNORECASE)  # a message begins with a small letter
WORDS = re.compile(r"\b(but\s+for|nobody|somebody|whoever)\b", re.IGNORECASE)
# Text before a sentence: the beginning of the piece, or the end of another sentence.
BEGIN = re.compile(r"(?:\A|[.!?:;][\"')\]*_]*\s+)[\s\"'(*_\[-]*")
END = re.compile(r"[.!?](?=[\"')\]*_]*(?:\s|\Z))")


class piece:
    """A text that is read as a whole, such as a paragraph, and the line in which it begins."""

    def __init__(self, line, text, is_message=False):
        self.line, self.text, self.is_message = line, text, is_message


def findings_in(part):
    """The riddles of one piece, as (line, sentence)."""
    text = re.sub(r"`[^`]*`", lambda code: re.sub(r"[^\n]", "x", code.group(0)), part.text)
    riddle = MINOR_RIDDLE if part.is_message else RIDDLE
    for begin in BEGIN.finditer(text):
        match = riddle.match(text, begin.end())
        if match is None:
            continue
        end = END.search(text, match.end())
        if end is None or end.group(0) != "?":
            line = part.line + text.count("\n", 0, match.start())
            yield line, f'a sentence begins with "{match.group(0)}"'
    for match in WORDS.finditer(text):
        line = part.line + text.count("\n", 0, match.start())
        yield line, f'says "{" ".join(match.group(0).split())}"'


# -- pieces of a source ----------------------------------------------------------------------------
CPP = re.compile(
    r'(?P<raw>\bR"(?P<mark>[^()\s\\]{0,16})\((?P<inside>.*?)\)(?P=mark)")'
    r"|(?P<line>//[^\n]*)|(?P<block>/\*.*?\*/)"
    r'|(?P<string>"(?P<text>(?:\\.|[^"\\\n])*)")'
    r"|'(?:\\.|[^'\\\n])'",
    re.DOTALL,
)


def joined(comments):
    """Comment lines that follow each other, as paragraphs. comments: (line, column, is_alone, text)."""
    paragraph, last = None, None
    for line, column, is_alone, text in comments:
        follows = last == (line - 1, column) and is_alone
        if not text.strip() or re.match(r"\s*[-*] ", text):
            follows = False
        if follows and paragraph is not None:
            paragraph.text += "\n" + text
        else:
            if paragraph is not None:
                yield paragraph
            paragraph = piece(line, text)
        last = (line, column)
    if paragraph is not None:
        yield paragraph


def pieces_of_cpp(path, text):
    """Comments and messages, and the extents of strings."""
    comments, parts, strings = [], [], []
    line, counted = 1, 0
    reads_messages = path.startswith(("include/", "runtime/"))
    last_string = None  # the end of the literal before, and its piece: adjacent ones are one text
    for match in CPP.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1)
        if match["line"]:
            before = text[match.start() - column : match.start()]
            words = re.sub(r"^//[/!]?<?", "", match["line"])
            comments.append((line, column, not before.strip(), words))
        elif match["block"]:
            parts.append(piece(line, re.sub(r"\n\s*\*", "\n", match["block"][2:-2])))
        elif match["string"] or match["raw"]:
            strings.append(match.span())
            before = text[match.start() - column : match.start()].lstrip()
            if not reads_messages or before.startswith("#"):
                continue
            words = match["inside"] if match["raw"] else match["text"].replace("\\n", "  ")
            if last_string and not text[last_string[0] : match.start()].strip():
                gap = "\n" * text.count("\n", last_string[0], match.start())
                last_string[1].text += gap + words
                last_string = (match.end(), last_string[1])
            else:
                parts.append(piece(line, words, is_message=True))
                last_string = (match.end(), parts[-1])
    return parts + list(joined(comments)), strings


def pieces_of_python(text):
    comments, parts, strings = [], [], []
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    is_statement = True  # a string that is a statement of its own is a docstring
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        (row, column), (end_row, end_column) = token.start, token.end
        if token.type == tokenize.COMMENT:
            comments.append((row, column, not token.line[:column].strip(), token.string.lstrip("#!")))
        elif token.type == tokenize.STRING:
            if is_statement and token.string.endswith('"""'):
                parts += paragraphs(token.string.strip('"'), row)
            else:
                strings.append((starts[row - 1] + column, starts[end_row - 1] + end_column))
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            is_statement = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return parts + list(joined(comments)), strings


def pieces_of_meson(text):
    comments, strings = [], []
    pattern = re.compile(r"'''.*?'''|'(?:\\.|[^'\\\n])*'|(?P<comment>#[^\n]*)", re.DOTALL)
    for match in pattern.finditer(text):
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1)
        if match["comment"]:
            line = text.count("\n", 0, match.start()) + 1
            before = text[match.start() - column : match.start()]
            comments.append((line, column, not before.strip(), match["comment"][1:]))
        else:
            strings.append(match.span())
    return list(joined(comments)), strings


def paragraphs(text, line):
    """The paragraphs and list items of a text."""
    lines = ((line + number, 0, True, words) for number, words in enumerate(text.split("\n")))
    return joined(lines)


# -- pieces of a page ------------------------------------------------------------------------------
FENCE = re.compile(r"\s*(```|~~~)")
TABLE_RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*$")


def prose_of(text):
    """The lines of a page outside its code blocks, as (line, text); code gives an empty text."""
    is_code = False
    for number, line in enumerate(text.split("\n"), 1):
        if FENCE.match(line):
            is_code = not is_code
            yield number, ""
        else:
            yield number, "" if is_code else line


def pieces_of_page(text):
    lines = list(prose_of(text))
    prose = []
    for index, (number, line) in enumerate(lines):
        is_table = line.lstrip().startswith("|")
        is_table_head = is_table and index + 1 < len(lines) and TABLE_RULE.match(lines[index + 1][1])
        if is_table and not is_table_head:
            yield from (piece(number, cell.strip()) for cell in line.split("|"))
        is_heading = line.startswith("#")
        is_read = not is_table and not is_heading
        words = re.sub(r"^\s*\d+\. ", "- ", line.lstrip("> ")) if is_read else ""
        prose.append((number, 0, True, words))
    yield from joined(prose)


# -- long lines ------------------------------------------------------------------------------------
def long_lines(path, text, strings):
    if path.endswith(".md"):
        for number, line in prose_of(text):
            may = line.lstrip().startswith("|") or "://" in line
            if len(line) > COLUMNS and not may:
                yield number, f"has {len(line)} columns"
        return
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > COLUMNS:
            edge = start + COLUMNS
            if not any(begin < edge < end for begin, end in strings):
                yield number, f"has {len(line)} columns"
        start += len(line) + 1


def check_file(path, text):
    """Findings in one file, as (line, sentence), in order."""
    if path.endswith(".md"):
        parts, strings = list(pieces_of_page(text)), []
    elif path.endswith(".py"):
        parts, strings = pieces_of_python(text)
    elif path.endswith("meson.build"):
        parts, strings = pieces_of_meson(text)
    else:
        parts, strings = pieces_of_cpp(path, text)
    found = [finding for part in parts for finding in findings_in(part)]
    return sorted(found + list(long_lines(path, text, strings)))


# -- the repository --------------------------------------------------------------------------------
READ = (".cpp", ".hpp", ".py", ".md", "meson.build")
NOT_READ = ("CHANGELOG.md", "scripts/check_words.py")  # this file says the words that it looks for


def paths_in(root):
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True
    )
    paths = listing.stdout.split("\n")
    if listing.returncode != 0:  # no checkout
        paths = [str(path.relative_to(root)) for path in root.rglob("*.*")]
    return sorted(
        path
        for path in set(paths)
        if path.endswith(READ) and path not in NOT_READ and (root / path).is_file()
    )


def folder_of(path):
    return path.rpartition("/")[0] or "."


def lower(counts):
    """Writes the numbers of today into ALLOWED, where they are lower."""
    own = pathlib.Path(__file__).resolve()
    rows = "".join(
        f'    "{folder}": {min(allowed, counts.get(folder, 0))},\n'
        for folder, allowed in sorted(ALLOWED.items())
        if counts.get(folder, 0)
    )
    text = own.read_text()
    own.write_text(re.sub(r"(?ms)^ALLOWED = \{\n.*?^\}", f"ALLOWED = {{\n{rows}}}", text, count=1))


def check(root, wanted):
    paths = paths_in(root)
    found = {path: check_file(path, (root / path).read_text()) for path in paths}
    counts = {}
    for path in paths:
        counts[folder_of(path)] = counts.get(folder_of(path), 0) + len(found[path])
    passed = failed = 0
    for path in paths:
        folder = folder_of(path)
        if wanted and not any(name == "." or (path + "/").startswith(name + "/") for name in wanted):
            continue
        is_allowed = counts[folder] <= ALLOWED.get(folder, 0)
        if found[path] and (wanted or not is_allowed):
            print("".join(f"{path}:{line}: {what}\n" for line, what in found[path]), end="")
        is_failed = bool(found[path]) and (bool(wanted) or not is_allowed)
        passed, failed = passed + (not is_failed), failed + is_failed
    for folder, allowed in sorted(ALLOWED.items()):
        if counts.get(folder, 0) > allowed and not wanted:
            print(f"{folder}: {counts[folder]} findings, {allowed} allowed")
    print(f"{passed} passed, {failed} failed")
    return counts, failed


# -- is it able to find anything? ------------------------------------------------------------------
GOOD, BAD = True, False
SELF_TEST = [
    (GOOD, "runtime/a.cpp", "// Number of waiters to wake.\nint a;\n"),
    (BAD, "runtime/a.cpp", "// What the waiters wait for.\nint a;\n"),
    (BAD, "runtime/a.cpp", "/* What the waiters wait for. */\nint a;\n"),
    (BAD, "runtime/a.cpp", "/// Ends the loop. Who waits is woken.\nint a;\n"),
    (BAD, "runtime/a.cpp", "// Ends the loop.\n// Whoever waits is woken.\nint a;\n"),
    (BAD, "runtime/a.cpp", "int a;  // One that waits\n"),
    (BAD, "runtime/a.cpp", "// One who waits.\n"),
    (GOOD, "runtime/a.cpp", "// One waiter, the one that\n// Who knows.\nint a;\n"),
    (BAD, "runtime/a.cpp", "int a;   // the ring\nint bb;  // Where it is full, it waits.\n"),
    (GOOD, "runtime/a.cpp", "// What is a loop? It runs tasks.\nint a;\n"),
    (BAD, "runtime/a.cpp", "// What is a loop. Or is it?\nint a;\n"),
    (GOOD, "runtime/a.cpp", "// `What is it` is code.\nint What, Who;\n"),
    (BAD, "runtime/a.cpp", "// It is all read, but for\n// the last byte.\n"),
    (BAD, "runtime/a.cpp", "// Nobody waits.\n"),
    (BAD, "runtime/a.cpp", "// It is taken by somebody.\n"),
    (GOOD, "runtime/a.cpp", "// Owned by user `nobody`.\nint nobody;\n"),
    (GOOD, "tests/a.cpp", 'auto text = "nobody waits";\n'),
    (BAD, "runtime/a.cpp", 'auto text = "nobody waits";\n'),
    (BAD, "include/rondo/a.hpp", 'auto text = "the task "\n            "waits, but "\n "for b";\n'),
    (BAD, "runtime/a.cpp", 'auto text = R"(who waits, waits)";\n'),
    (BAD, "runtime/a.cpp", 'auto text = "what a task left";\n'),
    (GOOD, "runtime/a.cpp", 'auto text = "what";\n#include "who is"\nint a = 1\'000\'000;\n'),
    (GOOD, "runtime/a.cpp", "int a;" + " " * 92 + "//\n"),
    (BAD, "runtime/a.cpp", "int a;" + " " * 93 + "//\n"),
    (GOOD, "runtime/a.cpp", 'auto text = "' + "a" * 100 + '";\n'),
    (BAD, "runtime/a.cpp", 'auto text = "a"; // ' + "a" * 100 + "\n"),
    (GOOD, "meson.build", "# Options.\nproject('What a project')\n"),
    (BAD, "meson.build", "# What it builds.\n"),
    (BAD, "a.py", '"""What it builds.\n"""\n'),
    (BAD, "a.py", '"""Builds.\n\n  - What is\n    built\n"""\n'),
    (BAD, "a.py", "a = 1  # What it builds\n"),
    (GOOD, "a.py", 'a = "What it builds"  # Builds.\n'),
    (GOOD, "a.md", "# What it builds\n\nIt builds.\n"),
    (BAD, "a.md", "# Builds\n\nWhat it builds.\n"),
    (BAD, "a.md", "**What it builds** is good.\n"),
    (BAD, "a.md", "It builds.\n- Where it can, it builds.\n"),
    (BAD, "a.md", "1. Who builds, builds.\n"),
    (GOOD, "a.md", "```\nWhat it builds.\nnobody\n```\n"),
    (GOOD, "a.md", "| What | Where |\n| --- | --- |\n| a | b |\n"),
    (BAD, "a.md", "| What | Where |\n| --- | --- |\n| a | What is b |\n"),
    (GOOD, "a.md", "| " + "a" * 110 + " |\n\nhttps://" + "a" * 100 + "\n"),
    (BAD, "a.md", "a " * 60 + "\n"),
]


def self_test():
    failed = 0
    for number, (good, path, text) in enumerate(SELF_TEST):
        found = check_file(path, text)
        if bool(found) == good:
            failed += 1
            wanted = "nothing" if good else "something"
            print(f"self-test {number}: {path}: {text!r}: {wanted} was to be found, not {found}")
    print(f"{len(SELF_TEST) - failed} passed, {failed} failed")
    return failed


def main():
    arguments = argparse.ArgumentParser(description="checks the words, see the head of this file")
    arguments.add_argument(
        "--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent
    )
    arguments.add_argument("--lower", action="store_true")
    arguments.add_argument("--self-test", action="store_true")
    arguments.add_argument("folders", nargs="*")
    options = arguments.parse_args()
    if options.self_test:
        return 1 if self_test() else 0
    counts, failed = check(options.root, [name.rstrip("/") for name in options.folders])
    if options.lower:
        lower(counts)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
