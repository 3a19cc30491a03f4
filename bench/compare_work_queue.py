#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the work queue with Celery and RQ, on one redis-server that this script starts.

usage: bench/compare_work_queue.py PROGRAM [--rounds N] [--jobs N]

PROGRAM is work_queue_peer of a release build (tests/). Jobs that do nothing are put first. Then one
worker of each kind works on them, and the time is taken from the first job that is gone to the last
one. So the start of a worker does not count. CPU is that of the worker's processes; the server's is
listed beside it. After that, a worker is killed (SIGKILL) in a job, another one is started, and the
time is taken until the job begins again, with the shortest lease that each of them takes. Medians;
compare only figures of one run. Needs python3-celery and python3-rq; without one, that row is left
out.
"""

import argparse
import os
import pathlib
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import redis_server  # noqa: E402

PYTHON = "/usr/bin/python3"  # Debian's packages are Debian's Python's
PATIENCE = 60  # seconds until a job counts as left alone


class Kind:
    """One way to run jobs: how they are put, how a worker is started, how many are left."""

    def __init__(self, name, put, work, left, share=1.0):
        self.name, self.put, self.work, self.left, self.share = name, put, work, left, share


def python(module, *arguments):
    return [PYTHON, str(HERE / "peers" / f"{module}.py"), *arguments]


def celery(*arguments):
    return [PYTHON, "-m", "celery", "-q", "-A", "queue_celery", "worker", "--without-gossip",
            "--without-mingle", "--without-heartbeat", "-l", "ERROR", *arguments]


def kinds(program):
    def ours(what, *settings):
        return lambda redis, *given: [program, what, redis.url, "bench", *settings, *given]

    def left_of_ours(redis):
        return redis.ask("XLEN", "rondo:{bench}:jobs")

    def left_of_celery(redis):
        return redis.ask("LLEN", "celery") + redis.ask("HLEN", "unacked")

    def left_of_rq(redis):
        return redis.ask("LLEN", "rq:queue:q") + redis.ask("ZCARD", "rq:wip:q")

    def put_ours(redis, count, seconds, ledger):
        return ours("put")(redis, f"count={count}")

    def put_celery(redis, count, seconds, ledger):
        return python("queue_celery", str(count), str(seconds), ledger)

    def put_rq(redis, count, seconds, ledger):
        return python("queue_rq", "put", str(count), str(seconds), ledger)

    found = [Kind("rondo, 64 at a time", put_ours, ours("work", "limit=64", "until_empty=0"),
                  left_of_ours, 4)]
    if has("celery"):
        for pool in ["-P", "prefork", "-c", "2"], ["-P", "threads", "-c", "8"], ["-P", "solo"]:
            found.append(Kind(f"Celery, {' '.join(pool[1:])}", put_celery,
                              lambda _, pool=pool: celery(*pool), left_of_celery, 0.5))
    if has("rq"):
        found.append(Kind("RQ, SimpleWorker", put_rq, lambda _: python("queue_rq", "work-simple"),
                          left_of_rq, 0.2))
        found.append(Kind("RQ, Worker (forks)", put_rq, lambda _: python("queue_rq", "work"),
                          left_of_rq, 0.05))
    return found


def has(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], stderr=subprocess.DEVNULL
                          ).returncode == 0


def surroundings(redis, **more):
    scheme = "redis+socket://" if more.pop("celery", False) else "unix://"
    return {**os.environ, "QUEUE_URL": f"{scheme}{redis.path}", "PYTHONPATH": str(HERE / "peers"),
            "PYTHONDONTWRITEBYTECODE": "1", "C_FORCE_ROOT": "1", **more}


def start(command, redis, name, **more):
    env = surroundings(redis, celery=name.startswith("Celery"), **more)
    return subprocess.Popen([str(part) for part in command], env=env, start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end(worker, how=signal.SIGTERM):
    """Ends a worker and its processes: they are a group of their own."""
    try:
        os.killpg(worker.pid, how)
        worker.wait(10)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def put(kind, redis, count, seconds=0.0, ledger=""):
    child = start(kind.put(redis, count, seconds, ledger), redis, kind.name)
    if child.wait(600) != 0:
        raise RuntimeError(f"{kind.name}: the producer failed")


def measure(kind, redis, jobs):
    """Gives jobs a second, and microseconds of CPU a job: the worker's, the server's."""
    redis.ask("FLUSHALL")
    count = int(jobs * kind.share)
    put(kind, redis, count)
    before, server_before = cpu_of_children(), cpu_of(redis.server.process.pid)
    worker = start(kind.work(redis), redis, kind.name)
    began = left = None
    while left != 0:
        left = kind.left(redis)
        now = time.monotonic()
        if began is None and left < count:
            began, first = now, left
        time.sleep(0.02)
    server_used = cpu_of(redis.server.process.pid) - server_before
    took = now - began
    end(worker)
    used = cpu_of_children() - before
    return first / took, used / count * 1e6, server_used / count * 1e6


def begins(ledger):
    return ledger.read_text().count("begin") if ledger.exists() else 0


def recover(kind, redis, folder):
    """Seconds from the kill of a worker in its job until another worker begins the job."""
    redis.ask("FLUSHALL")
    ledger = folder / "ledger"
    ledger.unlink(missing_ok=True)
    is_ours = kind.name.startswith("rondo")
    put(kind, redis, 1, 300, str(ledger))
    more = [f"ledger={ledger}", "job=300000", "lease=1000"] if is_ours else []

    def worker():
        return start([*kind.work(redis), *more], redis, kind.name, QUEUE_LEASE="1",
                     QUEUE_PREFETCH="1")

    def wait_for(count, patience):
        give_up = time.monotonic() + patience
        while begins(ledger) < count:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        return True

    first = worker()
    try:
        if not wait_for(1, 30):
            raise RuntimeError(f"{kind.name}: the job does not begin")
        time.sleep(0.5)
    finally:
        end(first, signal.SIGKILL)
    killed = time.monotonic()
    second = worker()
    try:
        return time.monotonic() - killed if wait_for(2, PATIENCE) else None
    finally:
        end(second, signal.SIGKILL)


def main():
    arguments = argparse.ArgumentParser(description="compares the work queue with Celery and RQ")
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--jobs", type=int, default=10_000)
    given = arguments.parse_args()
    all_kinds = kinds(given.program.absolute())
    rates = {kind.name: [] for kind in all_kinds}
    times = {}
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as name:
        folder = pathlib.Path(name)
        with redis_server.running(folder) as redis:
            for _ in range(given.rounds):
                for kind in all_kinds:
                    rates[kind.name].append(measure(kind, redis, given.jobs))
                    print(kind.name, *(f"{x:.0f}" for x in rates[kind.name][-1]), file=sys.stderr)
            for kind in all_kinds:
                times[kind.name] = recover(kind, redis, folder)
    print("| worker | jobs/s | CPU a job, µs | the server's, µs | begun again after SIGKILL |")
    print("| --- | ---: | ---: | ---: | ---: |")
    medians = {}
    for kind, rows in rates.items():
        rate, cpu, server = (statistics.median(column) for column in zip(*rows))
        medians[kind] = rate
        again = f"{times[kind]:.1f} s" if times[kind] else f"not within {PATIENCE} s"
        print(f"| {kind} | {rate:,.0f} | {cpu:,.0f} | {server:,.0f} | {again} |")
    others = [rate for kind, rate in medians.items() if not kind.startswith("rondo")]
    if others:
        ours = max(rate for kind, rate in medians.items() if kind.startswith("rondo"))
        print(f"\nrondo: {ours / max(others):.1f} times the best of the others")


if __name__ == "__main__":
    sys.exit(main())
