#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the work queue and the client of Redis against a real server, which this script starts.

Program 23 in several processes, both examples, and what docs/work_queue.md promises: workers that
are killed or stopped, a server that is killed or stopped, connections that are cut, producers that
put the same. RONDO_LONG=1 runs them whole; otherwise they are short. If no redis-server is
installed, everything is skipped.

usage: run_work_queue.py --examples FOLDER --programs FOLDER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import collections
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

import redis_server  # noqa: E402
from run_programs import SLOWER, Child, Failed, enter_own_network, run, skip  # noqa: E402

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


def must(truth, what):
    if not truth:
        raise Failed(what)


def stats_of(lines):
    words = lines[-1].split()
    return dict(zip(words[::2], map(int, words[1::2])))


# -- the programs ----------------------------------------------------------------------------------
def check_program(peers, redis):
    """23 in three processes: each page once, and all end when the queue is empty."""
    children = [Child([str(peers.programs / "23_work_queue"), redis.url]) for _ in range(3)]
    peers.children += children
    said = [line for child in children for line in peers.lines_of(child)]
    wanted = [f"{page} (attempt 1)" for page in ("a", "b", "start")]
    must(sorted(said) == wanted, f"the pages were {said}")


def check_examples(peers, redis):
    def example(*arguments, status=0, stderr=""):
        child = Child([str(peers.examples / arguments[0]), *arguments[1:]])
        peers.children.append(child)
        return peers.lines_of(child, status, stderr)

    said = example("redis_ping", redis.url)
    wanted = [f"PONG from {redis.url.replace('//', '')}", "hello", "1 2 3", "ada grace",
              "nothing came in 50 ms"]
    must(said == wanted, f"redis_ping said {said}")
    example("redis_ping", "redis://127.0.0.1:1", status=1,
            stderr="connect 127.0.0.1:1: Connection refused")

    said = example("work_queue", redis.url, "put", "apple", "fig", "", "pear", "apple")
    must(said == ["put 5 words, 1 of them were known"], f"work_queue said {said}")
    said = example("work_queue", redis.url, "work-until-empty")
    wanted = [f"{word} has {len(word)} letters (attempt 1)" for word in ("apple", "fig", "pear")]
    must(sorted(said) == wanted, f"work_queue said {said}")
    said = example("work_queue", redis.url, "look")
    must(said == ["0 wait, 0 at work, 0 later, 1 dead; this Redis keeps them: none",
                  'dead after 1 attempt: "" (there is nothing to count)'], f"it said {said}")


CHECKS = {
    "program": ("program 23 in three processes", check_program),
    "examples": ("the examples redis_ping and work_queue", check_examples),
}


def check(name, examples, programs):
    with tempfile.TemporaryDirectory(prefix="rondo-redis-") as folder:
        peers = Peers(examples, programs, folder)
        try:
            with redis_server.running(folder) as redis:
                CHECKS[name][1](peers, redis)
        finally:
            peers.end()


def main():
    arguments = argparse.ArgumentParser(description="runs the work queue against a Redis server")
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("--programs", type=pathlib.Path, required=True)
    arguments.add_argument("names", nargs="*", default=list(CHECKS))
    given = arguments.parse_args()
    todo = []
    for name in given.names:
        title = f"work queue: {CHECKS[name][0]}"
        if redis_server.binary() is None:
            skip(title, "no redis-server is installed")
            continue
        folders = given.examples.absolute(), given.programs.absolute()
        todo.append((title, lambda name=name, folders=folders: check(name, *folders)))
    return run(todo, "work_queue")


if __name__ == "__main__":
    enter_own_network()
    sys.exit(main())
