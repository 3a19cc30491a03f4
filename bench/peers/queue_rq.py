# SPDX-License-Identifier: MIT
"""A job for RQ, its producer and its workers: `put COUNT SECONDS LEDGER`, `work`, `work-simple`."""

import os
import sys
import time

import redis
import rq

connection = redis.from_url(os.environ["QUEUE_URL"])


def job(payload, seconds, ledger):
    if ledger:
        with open(ledger, "a") as lines:
            lines.write(f"{time.monotonic()} begin\n")
    if seconds:
        time.sleep(seconds)


if __name__ == "__main__":
    import queue_rq  # the job's function must have a module that a worker can import

    queue = rq.Queue("q", connection=connection)
    if sys.argv[1] == "put":
        count, seconds, ledger = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
        for at in range(0, count, 500):
            queue.enqueue_many([
                rq.Queue.prepare_data(queue_rq.job, ("x" * 10, seconds, ledger), result_ttl=0)
                for _ in range(min(500, count - at))
            ])
    else:
        kind = rq.SimpleWorker if sys.argv[1] == "work-simple" else rq.Worker
        kind([queue], connection=connection).work(logging_level="ERROR")
