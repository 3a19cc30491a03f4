#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs rondo-get on pseudo-terminals: bars at several widths, a window that changes its size,
Ctrl-C, a terminal that is stopped or closed, TERM=dumb, NO_COLOR.

usage: run_downloader_terminal.py --examples FOLDER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

from downloader_tools import BODY, expect, main, wait_until
from run_programs import SLOWER

MIB = 1 << 20
ERASE = re.compile(rb"\x1b\[(\d+)A\r\x1b\[J")


class Terminal:
    """rondo-get on a terminal of its own, which it is the leader of."""

    def __init__(self, test, *arguments, rows=24, columns=80, **environment):
        self.master, child_side = pty.openpty()
        termios.tcsetwinsize(child_side, (rows, columns))
        self.said = b""

        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        known = {"TERM": "xterm", "PATH": os.environ["PATH"], "LANG": "C"}
        self.child = subprocess.Popen(
            test.command(*arguments), stdin=child_side, stdout=child_side, stderr=child_side,
            preexec_fn=lead, env={**known, **environment})  # fmt: skip
        os.close(child_side)

    def read(self, seconds=0.05):
        """True unless the program has closed the terminal."""
        while select.select([self.master], [], [], seconds)[0]:
            try:
                self.said += os.read(self.master, 65536)
            except OSError:
                return False
            seconds = 0
        return True

    def until(self, condition, what):
        def holds():
            self.read()
            return condition(self.said)

        wait_until(holds, lambda: f"{what}: {self.said[-2000:]}")

    def frames(self):
        """The lines that each drawing has put below those that stay."""
        parts = re.split(rb"\x1b\[\d+A\r\x1b\[J", self.said.replace(b"\r\n", b"\n"))
        return [part.decode().splitlines() for part in parts[:-1]]

    def resize(self, rows, columns):
        termios.tcsetwinsize(self.master, (rows, columns))

    def end(self, status):
        give_up = time.monotonic() + 30 * SLOWER
        while self.read() and self.child.poll() is None:
            expect(time.monotonic() < give_up, f"it does not end: {self.said[-2000:]}")
        self.read()
        got = self.child.wait(10 * SLOWER)
        os.close(self.master)
        expect(got == status, f"status {got}, not {status}: {self.said[-2000:]}")
        return self.said

    def kill(self):
        self.child.kill()
        self.child.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)


def drawn(count):
    return lambda said: len(ERASE.findall(said)) >= count


def width(line):
    return len(re.sub(r"\x1b\[\d+m", "", line))


def bars(test):
    """A line for each file and one for all, as wide as the terminal, at most 10 times a second."""
    for columns, part in (80, " 50% 146.5 KiB"), (40, " 50%"), (20, " 50%"):
        urls = test.odd.url("begins/b"), test.odd.url("hangs/c")
        terminal = Terminal(test, *urls, columns=columns)
        began = time.monotonic()
        terminal.until(drawn(5), "no bars")
        expect(time.monotonic() - began > 0.4, "more than ten drawings a second")
        frame = terminal.frames()[-1]
        expect(len(frame) == 3 and part in frame[0], frame)
        expect(frame[2].startswith("0/2 files  146.5 KiB"[:columns]), frame)
        expect("left" not in frame[2], "a guess")
        expect(all(width(line) <= columns for line in frame), frame)
        expect(width(frame[0]) == columns, frame)
        terminal.child.send_signal(signal.SIGINT)
        terminal.end(130)
    terminal = Terminal(test, *(test.odd.url(f"begins/{n}") for n in range(9)), rows=5)
    terminal.until(drawn(3), "no bars")
    frame = terminal.frames()[-1]
    expect(len(frame) == 4 and frame[2].startswith("and 7 more"), frame)
    terminal.kill()


def colours(test):
    """None with NO_COLOR; no control sequence at all with TERM=dumb, or without TERM."""
    url = test.odd.url("begins/b")
    terminal = Terminal(test, url)
    terminal.until(drawn(2), "no bars")
    expect(b"\x1b[36m" in terminal.said, terminal.said)
    terminal.kill()
    terminal = Terminal(test, url, NO_COLOR="1", LANG="C.UTF-8")
    terminal.until(drawn(2), "no bars")
    expect(not re.search(rb"\x1b\[\d+m", terminal.said), terminal.said)
    expect("█" in terminal.said.decode(), terminal.said)
    terminal.kill()
    for environment in {"TERM": "dumb"}, {"TERM": ""}:
        terminal = Terminal(test, test.odd.url("plain/a"), test.odd.url("missing/b"), **environment)
        said = terminal.end(1)
        expect(b"\x1b" not in said and b"a  293.0 KiB" in said, said)
        (test.out / "a").unlink()


def resized(test):
    terminal = Terminal(test, test.odd.url("begins/b"), test.odd.url("hangs/c"), columns=80)
    terminal.until(drawn(2), "no bars")
    count = len(ERASE.findall(terminal.said))
    terminal.resize(24, 40)
    terminal.until(drawn(count + 3), "no bars after the resize")
    # Two bars of 80 columns have become two rows each, and the line of the total stays one.
    rows = [int(n) for n in ERASE.findall(terminal.said)]
    expect(5 in rows and rows[-1] == 3, rows)
    expect(all(width(line) <= 40 for line in terminal.frames()[-1]), terminal.frames()[-1])
    terminal.resize(24, 120)
    count = len(rows)
    terminal.until(drawn(count + 3), "no bars after the resize")
    expect(width(terminal.frames()[-1][0]) == 120, terminal.frames()[-1])
    terminal.kill()


def ctrl_c(test):
    """The first saves and says how to go on; the second ends at once."""
    server = test.serve(rate=2 * MIB, a=BODY * 20)
    terminal = Terminal(test, server.url("a"))
    terminal.until(drawn(4), "no bars")
    os.write(terminal.master, b"\x03")
    said = terminal.end(130)
    expect(b"1 not finished" in said and b"to continue:  rondo-get -r0 -d " in said, said)
    expect(b"\x1b[J" not in said[said.rindex(b"1 not finished"):], "a bar after the end")
    test.is_alone("a.part", "a.part.rondo-get")
    server.rate = None
    expect(b"1 file, " in Terminal(test, server.url("a")).end(0), "it does not go on")
    test.is_there("a", BODY * 20)

    terminal = Terminal(test, test.odd.url("hangs/b"))
    terminal.until(drawn(1), "no bars")
    for _ in range(2):
        terminal.child.send_signal(signal.SIGINT)
        time.sleep(0.02)
    terminal.child.wait(10 * SLOWER)
    expect(terminal.child.returncode in (130, -signal.SIGINT), terminal.child.returncode)
    os.close(terminal.master)


def stopped(test):
    """Ctrl-S stops the display and not the downloads."""
    server = test.serve(rate=2 * MIB, a=BODY * 4)
    terminal = Terminal(test, server.url("a"))
    terminal.until(drawn(1), "no bars")
    os.write(terminal.master, b"\x13")
    wait_until(lambda: "a" in test.names(), "the download has stopped as well")
    os.write(terminal.master, b"\x11")
    terminal.end(0)
    test.is_there("a", BODY * 4)


def closed(test):
    """A terminal that is closed ends the run, as it ends others; the next one goes on."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
    server = test.serve(rate=MIB // 4, a=BODY * 20)
    terminal = Terminal(test, server.url("a"))
    wait_until(lambda: terminal.read() and "a.part" in test.names(), "nothing is saved")
    os.close(terminal.master)
    terminal.child.wait(10 * SLOWER)
    server.rate = None
    result = test.run(0, "--json", server.url("a"))
    expect(result.objects()[0]["resumed_at"] > 0, result.all)
    test.is_there("a", BODY * 20)
    test.is_alone("a")


TESTS = [bars, colours, resized, ctrl_c, stopped, closed]

if __name__ == "__main__":
    sys.exit(main("runs rondo-get on pseudo-terminals", "downloader_terminal", TESTS))
