# SPDX-License-Identifier: MIT
"""Shared by the checks of run_work_queue.py: the programs, and the ledger that workers write."""

import collections
import os
import pathlib
import signal
import sys
import time

from run_programs import SLOWER, Child, Failed

LONG = bool(os.environ.get("RONDO_LONG"))
QUEUE = "test"
Line = collections.namedtuple("Line", "id attempt fence process time what")


class Peers:
    """The programs, and the ledger that the workers write."""

    def __init__(self, examples, programs, folder):
        self.examples, self.programs, self.folder = examples, programs, pathlib.Path(folder)
        self.ledger = self.folder / "ledger"
        self.children = []

    def start(self, what, redis, **settings):
        settings.setdefault("ledger", self.ledger)
        command = [str(self.programs / "work_queue_peer"), what, redis.url, QUEUE]
        command += [f"{name}={value}" for name, value in settings.items()]
        child = Child(command)
        self.children.append(child)
        return child

    def do(self, what, redis, **settings):
        """Runs one to its end, and gives its lines."""
        return self.lines_of(self.start(what, redis, **settings))

    @staticmethod
    def lines_of(child, status=0, stderr=""):
        ended = child.wait(120 * SLOWER, "its start")
        if ended != status:
            raise Failed(f"{child.name} ended with status {ended}{child.said()}")
        child.judge_stderr(stderr)
        return child.text(child.out).splitlines()

    def read(self):
        if not self.ledger.exists():
            return []
        lines = []
        for text in self.ledger.read_text().splitlines():
            name, attempt, fence, process, moment, what = text.split(" ", 5)
            lines.append(Line(name, int(attempt), int(fence), int(process), int(moment), what))
        return lines

    def wait_for(self, what, seconds=30):
        give_up = time.monotonic() + seconds * SLOWER
        while not (found := what(self.read())):
            if time.monotonic() > give_up:
                raise Failed(f"it did not come about; the ledger has {self.read()[-5:]}")
            time.sleep(0.01)
        return found

    def end(self):
        for child in self.children:
            child.process.send_signal(signal.SIGCONT)
            child.kill()


def say(text):
    """In one write: several checks run at a time."""
    sys.stdout.write(f"        {text}\n")
    sys.stdout.flush()


def must(truth, what):
    if not truth:
        raise Failed(what)


def stats_of(lines):
    words = lines[-1].split()
    return dict(zip(words[::2], map(int, words[1::2])))
