# SPDX-License-Identifier: MIT
"""A job for Celery, and its producer. Jobs are acknowledged after they have run, as those of rondo
are: otherwise a job whose worker dies would be lost."""

import os
import sys
import time

from celery import Celery

app = Celery("queue_celery", broker=os.environ["QUEUE_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ.get("QUEUE_PREFETCH", "64")),
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    broker_transport_options={"visibility_timeout": int(os.environ.get("QUEUE_LEASE", "3600"))},
    broker_connection_retry_on_startup=True,
)


@app.task(name="job")
def job(payload, seconds, ledger):
    if ledger:
        with open(ledger, "a") as lines:
            lines.write(f"{time.monotonic()} begin\n")
    if seconds:
        time.sleep(seconds)


if __name__ == "__main__":
    count, seconds, ledger = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            job.apply_async(("x" * 10, seconds, ledger), producer=producer)
