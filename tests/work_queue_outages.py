# SPDX-License-Identifier: MIT
"""Checks of the work queue for run_work_queue.py: a server that dies or stops, and connections that
are cut."""

import contextlib
import itertools
import random
import socket
import threading
import time

from run_programs import SLOWER, wait_for_text
from work_queue_tools import LONG, QUEUE, must, say


# -- a server that dies ----------------------------------------------------------------------------
def put_until_killed(peers, redis):
    """kill -9 of the server while jobs are put. Gives how many were acknowledged before."""
    producer = peers.start("put", redis, count=1_000_000, singly=1)
    wait_for_text(producer, r"\d+")
    time.sleep(random.uniform(0.1, 0.4))
    redis.kill()
    producer.kill()
    return int((producer.text(producer.out).splitlines() or [0])[-1])


def lost_of(redis, count):
    redis.start()
    keys = [f"rondo:{{{QUEUE}}}:id:job{n}" for n in range(count)]
    there = sum(redis.ask("EXISTS", *keys[at : at + 1000]) for at in range(0, count, 1000))
    return count - there


def check_killed_server(peers, redis):
    """kill -9 of the server: with appendfsync always no acknowledged put is lost; with everysec at
    most those of about a second, which are counted."""
    for fsync in "always", "everysec":
        redis.kill()
        redis.options = ("--appendonly", "yes", "--appendfsync", fsync)
        redis.start()
        count = put_until_killed(peers, redis)
        lost = lost_of(redis, count)
        must(count > 0, "nothing was put")
        must(lost == 0 or fsync != "always", f"{lost} of {count} are lost")
        say(f"appendfsync {fsync}: {lost} of {count} acknowledged puts lost")
        redis.ask("FLUSHALL")


def check_killed_server_at_work(peers, redis):
    """kill -9 of the server while six workers are at work, again and again: each job is done, and
    the workers go on by themselves."""
    redis.kill()
    redis.options = ("--appendonly", "yes", "--appendfsync", "always")
    redis.start()
    count = 5000 if LONG else 600
    peers.do("put", redis, count=count)
    working = {"lease": 1000, "attempts": 50, "job": 5, "limit": 4}
    workers = [peers.start("work", redis, **working) for _ in range(3)]
    peers.wait_for(lambda lines: len({line.process for line in lines}) == 3)
    for _ in range(20 if LONG else 3):
        time.sleep(random.uniform(0.05, 0.3))
        redis.kill()
        time.sleep(random.uniform(0, 0.2))
        redis.start()
    for worker in workers:
        peers.lines_of(worker, stderr=None)  # each reports that Redis could not be used
    done = {line.id for line in peers.read() if line.what == "end"}
    must(len(done) == count, f"{len(done)} of {count} are done")


def check_stopped_server(peers, redis):
    """A server that is stopped for longer than a lease: workers end their jobs before others may
    begin them."""
    peers.do("put", redis, count=3)
    first = peers.start("work", redis, lease=1500, job=60_000, limit=3, until_empty=0)
    peers.wait_for(lambda lines: len(lines) == 3)
    time.sleep(0.5)  # a renewal
    stopped = time.monotonic()
    redis.stop()
    ended = peers.wait_for(lambda lines: [x for x in lines if "cancelled" in x.what][2:])
    took = time.monotonic() - stopped
    must(took < 1.5 * SLOWER, f"the jobs were ended {took:.2f} s after the server stopped")
    first.kill()  # otherwise it would take them again
    time.sleep(max(0, 1.6 - took))
    second = peers.start("work", redis, lease=1500, job=1, until_empty=0)
    redis.go_on()
    again = peers.wait_for(lambda lines: [x for x in lines if x.what == "end"][2:])
    last_end = max(line.time for line in peers.read() if "cancelled" in line.what)
    first_begin = min(x.time for x in peers.read() if x.what == "begin" and x.attempt > 1)
    must(last_end < first_begin, "two worked on one job at the same time")
    must(len(again) >= 1 and len(ended) >= 1, "nothing was taken over")
    second.process.terminate()
    second.wait(10 * SLOWER, "SIGTERM")


# -- connections that are cut ----------------------------------------------------------------------
class Cutter:
    """A proxy that cuts each connection at a request: the second one, the third one ...; in turn
    before the server has it, and after."""

    def __init__(self, redis, most):
        self.redis, self.most = redis, most
        self.path = redis.folder / "cut.sock"
        self.url = f"unix://{self.path}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(50)
        self.cuts = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        for number in itertools.count():
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(peer, number), daemon=True).start()

    def relay(self, peer, number):
        last, before = (number // 2 + 1) % self.most, number % 2 == 0
        with peer, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(str(self.redis.path))
            threading.Thread(target=self.copy, args=(server, peer), daemon=True).start()
            for request in itertools.count():
                data = peer.recv(1 << 20)
                if not data:
                    return
                if request == last and before:
                    break
                server.sendall(data)
                if request == last:
                    time.sleep(0.005)  # it has it now, and the reply is on its way or lost
                    break
            self.cuts += 1
            peer.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                target.sendall(data)

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def check_cut_connections(peers, redis):
    """Every connection is cut at some command: a put adds once, and says so; each job is done."""
    count = 3000 if LONG else 150
    cutter = Cutter(redis, 8)
    try:
        said = peers.do("put", cutter, count=count)
        must(said[0] == f"added {count} of {count}", f"it said {said}")
        length = redis.ask("XLEN", f"rondo:{{{QUEUE}}}:jobs")
        must(length == count, f"{length} jobs were put")
        worker = peers.start("work", cutter, lease=1000, attempts=100, limit=4)
        peers.lines_of(worker, stderr=None)
        done = {line.id for line in peers.read() if line.what == "end"}
        must(len(done) == count, f"{len(done)} of {count} are done")
        must(cutter.cuts >= 10, f"only {cutter.cuts} connections were cut")
        say(f"{cutter.cuts} connections cut")
    finally:
        cutter.end()
