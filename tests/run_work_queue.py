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
import concurrent.futures
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

import redis_server  # noqa: E402
from run_programs import (  # noqa: E402
    SLOWER,
    Child,
    certificates,
    enter_own_network,
    run,
    skip,
)
from work_queue_outages import (  # noqa: E402
    check_cut_connections,
    check_killed_server,
    check_killed_server_at_work,
    check_stopped_server,
)
from work_queue_tools import LONG, QUEUE, Peers, must, say, stats_of  # noqa: E402


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


# -- workers that die ------------------------------------------------------------------------------
def check_killed_workers(peers, redis):
    """kill -9 of a random one of six workers every 200 ms. Each job is done; attempts and fences of
    a job increase strictly; only poison is dead."""
    count = 20_000 if LONG else 600
    chance = random.Random(os.environ.get("RONDO_SEED"))
    peers.do("put", redis, count=count)
    peers.do("put", redis, prefix="poison", count=5)
    working = {"lease": 1000, "attempts": 8, "backoff": 1, "job": 20, "limit": 4}
    workers = [peers.start("work", redis, **working) for _ in range(6)]
    give_up = time.monotonic() + (300 if LONG else 40) * SLOWER
    kills = 0
    while any(worker.process.poll() is None for worker in workers):
        must(time.monotonic() < give_up, f"the jobs are not done: {peers.read()[-3:]}")
        time.sleep(0.2)
        place = chance.randrange(6)
        victim = workers[place]
        if victim.process.poll() is None:
            victim.process.kill()
            victim.process.wait()
            kills += 1
            workers[place] = peers.start("work", redis, **working)
    for worker in workers:
        peers.lines_of(worker)
    stats = stats_of(peers.do("stats", redis))
    must(stats == {"waiting": 0, "leased": 0, "later": 0, "dead": 5}, f"{kills} kills, {stats}")
    done, last = set(), {}
    for line in peers.read():
        if line.what == "end":
            done.add(line.id)
        elif line.what == "begin":
            before = last.get(line.id, (0, 0))
            now = (line.attempt, line.fence)
            must(now[0] > before[0] and now[1] > before[1], f"{line} after {before}")
            last[line.id] = now
    must(done == {f"job{n}" for n in range(count)}, f"{len(done)} of {count} are done")
    # A worker that was killed between the delivery and its first line has used up an attempt.
    tried = [last[f"poison{n}"][0] for n in range(5)]
    must(max(tried) == 8 and sum(tried) >= 40 - kills, f"poison was tried {tried} times")
    repeated = sum(attempt > 1 for name, (attempt, _) in last.items() if name.startswith("job"))
    must(kills >= 3, f"only {kills} kills")
    say(f"{kills} kills, {repeated} of {count} jobs begun again")


def check_stopped_worker(peers, redis):
    """SIGSTOP past the lease: another worker takes the jobs; the first one is told when it runs
    again, and what it has done in spite of that is refused."""
    peers.do("put", redis, prefix="slow", count=1)
    peers.do("put", redis, prefix="stubborn", count=1)
    first = peers.start("work", redis, lease=1000, job=1500)
    peers.wait_for(lambda lines: len(lines) == 2)
    first.process.send_signal(signal.SIGSTOP)
    said = peers.do("work", redis, lease=1000, job=10)
    must(said[0] == "done 2 retried 0 dead 0 released 0 lost 0", f"the second said {said}")
    first.process.send_signal(signal.SIGCONT)
    said = peers.lines_of(first)
    must(said[0] == "done 0 retried 0 dead 0 released 0 lost 2", f"the first said {said}")
    told = [line.what for line in peers.read() if line.process == first.process.pid]
    ends = [what for what in told if what == "end"]
    must(len(ends) == 1 and any(what.startswith("cancelled ") for what in told), f"{told}")


def check_crashing_job(peers, redis):
    """A job that kills its worker each time is dead after its attempts; the others are done."""
    peers.do("put", redis, prefix="crash", count=1)
    peers.do("put", redis, prefix="job", count=20)
    crashes = 0
    while True:
        worker = peers.start("work", redis, lease=1000, attempts=2, limit=1)
        if worker.wait(60 * SLOWER, "its start") == 0:
            break
        must(worker.process.returncode == -signal.SIGKILL, f"a worker ended:{worker.said()}")
        crashes += 1
        must(crashes <= 2, "it crashes more often than it may be tried")
    lines = peers.read()
    begun = [line.attempt for line in lines if line.id == "crash0"]
    must(begun == [1, 2], f"its attempts were {begun}")
    must(sum(line.what == "end" for line in lines) == 20, "the others are not done")
    dead = redis.ask("XRANGE", f"rondo:{{{QUEUE}}}:dead", "-", "+")
    must(dead[0][1][-1] == "its worker did not finish", f"dead: {dead}")


def check_terminated_worker(peers, redis):
    """SIGTERM: the job goes to another worker at once, and the attempt does not count."""
    peers.do("put", redis, count=2)
    first = peers.start("work", redis, job=60_000, until_empty=0)
    peers.wait_for(lambda lines: len(lines) == 2)
    second = peers.start("work", redis, job=10, until_empty=0)
    time.sleep(0.3)  # it waits in a blocked read
    before = time.monotonic()
    first.process.terminate()
    lines = peers.wait_for(lambda lines: [x for x in lines if x.what == "end"][1:])
    took = time.monotonic() - before
    must(all(line.attempt == 1 for line in lines), f"attempts were counted: {lines}")
    must(took < 1 * SLOWER, f"they were taken over after {took:.2f} s")
    first.wait(10 * SLOWER, "SIGTERM")
    must(first.process.returncode == 143, f"it ended with {first.process.returncode}")
    second.process.terminate()
    second.wait(10 * SLOWER, "SIGTERM")
    groups = redis.ask("XINFO", "CONSUMERS", f"rondo:{{{QUEUE}}}:jobs", "workers")
    must(groups == [], f"workers are left: {groups}")


# -- producers, and other programs ----------------------------------------------------------------
def check_producers(peers, redis):
    """Eight producers put the same ids: each is added once, by one of them."""
    count = 5000 if LONG else 500
    producers = [peers.start("put", redis, count=count) for _ in range(8)]
    added = sum(int(peers.lines_of(each)[0].split()[1]) for each in producers)
    must(added == count, f"{added} were added")
    length = redis.ask("XLEN", f"rondo:{{{QUEUE}}}:jobs")
    must(length == count, f"{length} jobs were put")


def check_other_programs(peers, redis):
    """Entries of programs in other languages, and a clock that was set back: all jobs are done."""
    peers.do("put", redis, count=1)
    prefix, ghost = f"rondo:{{{QUEUE}}}:", "ghost:lease=1000"
    read = redis.ask("XREADGROUP", "GROUP", "workers", ghost, "STREAMS", f"{prefix}jobs", ">")
    entry = read[0][1][0][0]  # an hour ago, on a clock that was an hour ahead
    redis.ask("XCLAIM", f"{prefix}jobs", "workers", ghost, 0, entry, "IDLE", 3_600_000, "JUSTID")
    redis.ask("HSET", f"{prefix}facts", "scan_at", int(time.time() * 1000) + 3_600_000)
    strange = ["many", "1.5", "-3", "1e20", "0x10", "nan", "9" * 30, ""]
    for number, attempts in enumerate(strange):
        redis.ask("XADD", f"{prefix}jobs", "*", "id", f"strange{number}", "payload", "x",
                  "attempts", attempts)
    redis.ask("XADD", f"{prefix}jobs", "*", "payload", "y")
    redis.ask("XADD", f"{prefix}jobs", "*", "payload", "y", "id", "")
    redis.ask("ZADD", f"{prefix}later", 1, "no job")
    redis.ask("ZADD", f"{prefix}later", 1, "0:6:strangepayload")
    said = peers.do("work", redis)
    must(said[0].startswith(f"done {len(strange) + 4} "), f"the worker said {said}")
    attempts = [line.attempt for line in peers.read() if line.id == "job0"]
    must(attempts == [2, 2], f"the attempts of the job that was left: {attempts}")
    dead = redis.ask("XRANGE", f"{prefix}dead", "-", "+")
    must(len(dead) == 1 and dead[0][1][3] == "no job", f"dead: {dead}")
    # An entry that was deleted under its worker.
    entry = redis.ask("XADD", f"{prefix}jobs", "*", "payload", "y")
    redis.ask("XREADGROUP", "GROUP", "workers", ghost, "STREAMS", f"{prefix}jobs", ">")
    redis.ask("XDEL", f"{prefix}jobs", entry)
    stats = stats_of(peers.do("stats", redis))
    must(stats == {"waiting": 0, "leased": 1, "later": 0, "dead": 1}, f"{stats}")


def check_large_payloads(peers, redis):
    """Payloads of another program, which no worker may read: they are dead, with the reason, and
    the worker goes on. One comes with a take, one with a blocked read; in the long run that one is
    larger than a reply may be."""
    jobs, large = f"rondo:{{{QUEUE}}}:jobs", (65 << 20) if LONG else (4 << 20) + 2
    peers.do("put", redis, count=1)
    redis.ask("XADD", jobs, "*", "id", "large", "payload", "x" * (4 << 20) + "x")
    worker = peers.start("work", redis, until_empty=0)
    peers.wait_for(lambda lines: [line for line in lines if line.what == "end"])
    wait_for_reader(redis, worker)
    redis.ask("XADD", jobs, "*", "id", "huge", "payload", "x" * large)
    peers.do("put", redis, prefix="after", count=1)
    peers.wait_for(lambda lines: [line for line in lines if line.what == "end"][1:])
    worker.process.terminate()
    worker.wait(10 * SLOWER, "SIGTERM")
    said = peers.do("dead", redis)
    wanted = [f"{name} 0 {4 << 20} its payload has {size} bytes, and at most {4 << 20} are allowed"
              for name, size in (("huge", large), ("large", (4 << 20) + 1))]  # fmt: skip
    must(said[:-1] == wanted, f"dead: {said}")


def wait_for_reader(redis, worker):
    give_up = time.monotonic() + 30 * SLOWER
    while "cmd=xreadgroup" not in redis.ask("CLIENT", "LIST"):
        must(time.monotonic() < give_up, f"the worker does not wait{worker.said()}")
        time.sleep(0.01)


def check_emptied_server(peers, redis):
    """FLUSHALL while a worker waits in a blocked read: it goes on with what is put then."""
    worker = peers.start("work", redis, until_empty=0)
    wait_for_reader(redis, worker)
    redis.ask("FLUSHALL")
    peers.do("put", redis, count=1)
    peers.wait_for(lambda lines: [line for line in lines if line.what == "end"])
    worker.process.terminate()
    worker.wait(10 * SLOWER, "SIGTERM")


def check_processes(peers, redis):
    """Jobs that compute, in the processes of a pool: a crash is an attempt, as an exception is."""
    for size, count in (10, 10), (7, 1), (8, 1):
        peers.do("put", redis, prefix=f"size{size}-", count=count, payload=size)
    said = peers.do("compute", redis, attempts=2, backoff=1)
    must(said[0] == "done 10 retried 2 dead 2", f"it said {said}")
    dead = redis.ask("XRANGE", f"rondo:{{{QUEUE}}}:dead", "-", "+")
    reasons = {fields[1][1]: fields[1][-1] for fields in dead}
    must(reasons["size8-0"] == "eight", f"dead: {reasons}")
    must("signal 9" in reasons["size7-0"] or "SIGKILL" in reasons["size7-0"], f"dead: {reasons}")


def check_tls(peers, redis):
    """rediss://, with a password: a queue is filled and worked on; a wrong authority, a wrong
    password and a server without TLS are errors, which do not contain the password."""
    chain, key, authority = certificates()
    tls = ["--tls-port", "7101", "--port", "7100", "--bind", "127.0.0.1", "--requirepass", "s3cret",
           "--tls-cert-file", chain, "--tls-key-file", key, "--tls-ca-cert-file", authority,
           "--tls-auth-clients", "no"]  # fmt: skip
    redis.kill()
    redis.options, redis.password = tls, "s3cret"
    redis.start()

    class Secure:
        url = "rediss://:s3cret@localhost:7101/1"

    peers.do("put", Secure, count=50, trust=authority)
    said = peers.do("work", Secure, trust=authority)
    must(said[0].startswith("done 50 "), f"it said {said}")
    Secure.url = "rediss://:wrong@localhost:7101/1"
    said = "AUTH: WRONGPASS invalid username-password pair or user is disabled."
    peers.lines_of(peers.start("stats", Secure, trust=authority), 1, said)
    # A server without TLS waits for the rest of a line.
    for url, trust in (Secure.url, chain), (Secure.url[:-3] + "0/1", authority):
        Secure.url = url
        child = peers.start("stats", Secure, trust=trust, connect=500)
        must(child.wait(30 * SLOWER, "its start") == 1, f"it did not fail{child.said()}")
        must("s3cret" not in child.said() and "wrong" not in child.said(), child.said())


def check_steps(peers, redis):
    """The scripts, against the model that the tests on virtual time use."""
    tests = peers.programs / "tests_redis"
    if not tests.exists():
        return
    os.environ["RONDO_REDIS"] = redis.url
    child = Child([str(tests), "work steps:*"])
    peers.children.append(child)
    must(child.wait(120 * SLOWER, "its start") == 0, f"the tests failed{child.said()}")


CHECKS = {  # the longest first
    "cut": ("connections that are cut in every command", check_cut_connections),
    "server_at_work": ("kill -9 of the server at work", check_killed_server_at_work),
    "stopped_server": ("a server stopped for longer than a lease", check_stopped_server),
    "killed_workers": ("kill -9 of random workers", check_killed_workers),
    "crash": ("a job that crashes its worker", check_crashing_job),
    "tls": ("rediss:// with a password", check_tls),
    "steps": ("its scripts and their model", check_steps),
    "program": ("program 23 in three processes", check_program),
    "examples": ("the examples redis_ping and work_queue", check_examples),
    "stopped_worker": ("a worker that is stopped past its lease", check_stopped_worker),
    "killed_server": ("kill -9 of the server, and what is lost", check_killed_server),
    "producers": ("eight producers of the same ids", check_producers),
    "other": ("entries of other programs, and a clock that was set back", check_other_programs),
    "emptied": ("FLUSHALL under a worker", check_emptied_server),
    "large": ("payloads that are too large", check_large_payloads),
    "processes": ("jobs in the processes of a pool", check_processes),
    "terminated": ("SIGTERM to a worker", check_terminated_worker),
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
    folders = given.examples.absolute(), given.programs.absolute()
    todo = []
    # Several at a time: they wait more than they work.
    with concurrent.futures.ThreadPoolExecutor(1 if LONG else 4) as threads:
        for name in given.names:
            title = f"work queue: {CHECKS[name][0]}"
            if redis_server.binary() is None:
                skip(title, "no redis-server is installed")
            else:
                todo.append((title, threads.submit(check, name, *folders).result))
        return run(todo, "work_queue")


if __name__ == "__main__":
    enter_own_network()
    sys.exit(main())
