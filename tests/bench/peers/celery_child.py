"""Runs in the peers' environment: the Celery application, and its client. Each line on standard input is `one COUNT` or
`many IN_FLIGHT COUNT`, answered by a line of JSON: the seconds of each task, and how many a second."""

import json
import os
import subprocess
import sys
import threading
import time

from celery import Celery

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"
app = Celery("celery_child", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=4, result_expires=600)


@app.task(name="run")
def run(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def one() -> float:
    began = time.perf_counter()
    assert run.delay(["uptime"]).get(timeout=60)
    return time.perf_counter() - began


def many(in_flight: int, count: int) -> list[float]:
    """Each of `in_flight` threads waits for its task before it asks for the next."""
    seconds: list[float] = []

    def work(share: int) -> None:
        seconds.extend(one() for _ in range(share))

    threads = [threading.Thread(target=work, args=(count // in_flight,)) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def main() -> None:
    for line in sys.stdin:
        kind, *numbers = line.split()
        began = time.perf_counter()
        seconds = [one() for _ in range(int(numbers[0]))] if kind == "one" else many(*map(int, numbers))
        print(json.dumps({"seconds": seconds, "rate": len(seconds) / (time.perf_counter() - began)}), flush=True)


if __name__ == "__main__":
    main()
