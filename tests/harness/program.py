"""Programs of exec queues, and what they noted of themselves: tests/programs/worker.py and its ledger."""
import os

from harness import procs
from harness.jsonlines import whole_lines
from harness.paths import SOURCE
from harness.wait import wait_until

WORKER = os.path.join(SOURCE, "tests", "programs", "worker.py")
PYTHON = "/usr/bin/python3"


class Program:
    """One ledger; keys(...) are a queue's keys that make it run worker.py with it."""

    def __init__(self, directory, name="ledger"):
        self.path = os.path.join(directory, name)

    def keys(self, *options, **keys):
        command = " ".join([PYTHON, "-u", WORKER, self.path, *options])
        return {"handler": "exec", "command": command, "workers": 1, "retry_backoff": "fixed 100ms", "max_retries": 2, **keys}

    def events(self, event=None, **where):
        return [r for r in whole_lines(self.path) if (event is None or r["event"] == event) and all(r.get(k) == v for k, v in where.items())]

    def wait(self, event, count=1, **where):
        """The first `count` events of that kind, when they are there."""
        return wait_until(lambda: len(found := self.events(event, **where)) >= count and found, f"{count} {event} {where}")

    def living(self):
        """Of all processes that wrote into the ledger, those that still run."""
        return sorted({r["pid"] for r in self.events() if procs.alive(r["pid"])})

    def wait_gone(self):
        wait_until(lambda: not self.living(), f"the programs to be gone: {[procs.describe(p) for p in self.living()]}")
