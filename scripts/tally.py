#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums up one stage of scripts/test.

tally.py FOLDER STATUS
    prints "PASSED FAILED" of a build folder, counted in test cases: the lines that the test
    programs added to FOLDER/tally, and one failure for each program that failed without a failed
    case in its line (a crash, a sanitizer's report at exit, a time limit)
tally.py --why FOLDER LOG
    prints the names of the failed tests, or the first error of the log
tally.py --said FOLDER
    prints the end of the output of each failed test, for readers without the log file
"""

import json
import pathlib
import re
import sys

GOOD = {"OK", "SKIP", "EXPECTEDFAIL"}


def bad_results(folder):
    """Meson's results of the failed tests; testlog.json has one JSON object per line."""
    log = folder / "meson-logs/testlog.json"
    if not log.exists():
        return []
    results = (json.loads(line) for line in log.read_text().splitlines())
    return [result for result in results if result["result"] not in GOOD]


def name_of(result):
    return result["name"].split(" / ")[-1]


def bad_tests(folder):
    return [name_of(result) for result in bad_results(folder)]


def said(folder):
    for result in bad_results(folder)[:5]:
        text = (result.get("stdout") or "") + (result.get("stderr") or "")
        lines = [line for line in text.splitlines() if line.strip()]
        print(f"        {name_of(result)}: {result['result']} after {result['duration']:.1f} s,",
              f"status {result.get('returncode')}; it said at the end:")
        print("".join(f"        | {line[:200]}\n" for line in lines[-30:]), end="")


def count(folder, status):
    passed = failed = 0
    told = set()
    tally = folder / "tally"
    for line in tally.read_text().splitlines() if tally.exists() else []:
        ok, bad, _, name = line.split(" ", 3)
        passed, failed = passed + int(ok), failed + int(bad)
        if int(bad):
            told.add(name.removeprefix("test_"))
    failed += sum(name not in told for name in bad_tests(folder))
    if status != 0 and failed == 0:
        failed = 1  # the tests did not start
    return passed, failed


def shortened(names):
    return ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")


def why(folder, log):
    names = bad_tests(folder)
    if names:
        return f"{shortened(names)} failed"
    text = log.read_text(errors="replace")
    unbuilt = re.findall(r"^FAILED: (?:\S+\.p/)?(\S+?)(?:\.o)?\s*$", text, re.MULTILINE)
    if unbuilt:
        return f"could not build {shortened(unbuilt)}"
    first = re.search(r"^.*(?:\berror\b|ERROR|FAILED|not found|self-test).*$", text, re.MULTILINE)
    lines = [
        line for line in text.splitlines() if line.strip() and not re.match(r"\d+ passed, ", line)
    ]
    if not (folder / "meson-private").exists():
        first = None  # a check: its first finding is the reason
    words = first.group(0) if first else lines[0] if lines else "no output"
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", words).strip()[:200]


def main():
    if sys.argv[1] == "--why":
        print(why(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])))
    elif sys.argv[1] == "--said":
        said(pathlib.Path(sys.argv[2]))
    else:
        print(*count(pathlib.Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
