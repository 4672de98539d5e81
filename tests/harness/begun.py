"""When each job began, from jobqd's shared memory: tests/programs/begun.c as a process beside the daemon.

The begin mark is the moment at which a job's limits were taken, so what a limit promises is promised of the marks, exactly, however busy
the machine is. The way from there to the receiver takes some requests longer than others: arrivals may stand closer than beginnings,
and never before them.
"""
import collections
import os

from harness import paths, procs
from harness.wait import wait_until

ROUNDING = 1e-6  # of a unit: marks are ns, a limit's times too


def excess(times, rate, burst):
    """How many units the times go beyond rate * time + burst in the worst of all intervals: 0 = never."""
    tokens, last, worst = float(burst), None, 0.0
    for at in sorted(times):
        tokens = min(burst, tokens + (at - last) * rate) - 1 if last is not None else tokens - 1
        last, worst = at, max(worst, -tokens)
    return worst


class Begun:
    """Of a daemon that has started. Its table keeps a thousand marks a worker: what began before is there too."""

    def __init__(self, daemon, path=None):
        self.path = path or os.path.join(daemon.dir, "begun")
        segment = "/" + os.path.basename(next(iter(daemon.segments)))
        with open(self.path, "w", encoding="ascii") as out:
            self.process = procs.spawn([os.path.join(paths.BUILD, "begun"), segment], stdout=out)

    def stop(self):
        procs.end(self.process)

    def marks(self):
        """[(job's id, monotonic seconds)] so far."""
        with open(self.path, encoding="ascii") as f:
            text = f.read()
        return [(int(job), int(ns) / 1e9) for job, ns in (line.split() for line in text[:text.rfind("\n") + 1].splitlines())]


def within(db, watches, attempts, rate, burst=None):
    """These attempts at the receiver, told apart by their texts, are all that a limit of `rate` a second allowed: each has a mark of its
    own before it, and the marks keep to rate x time + burst in every interval. burst: by default the default, 0.1 s of the rate."""
    ids = {text: job for job, text in db.sql("SELECT id, payload->>'text' FROM jobq.jobs")}
    arrived = collections.defaultdict(list)
    for attempt in attempts:
        arrived[ids[attempt["text"]]].append(attempt["m"])

    def marks():
        found = collections.defaultdict(list)
        for watch in watches:
            for job, at in watch.marks():
                if job in arrived:
                    found[job].append(at)
        return all(len(found[job]) >= len(times) for job, times in arrived.items()) and found

    begun = wait_until(marks, "a begin mark for each attempt")
    for job, times in arrived.items():
        assert all(at <= m for at, m in zip(sorted(begun[job]), sorted(times))), f"job {job} arrived before it began"
    over = excess([at for times in begun.values() for at in times], rate, max(1, rate / 10) if burst is None else burst)
    assert over <= ROUNDING, f"{over:.3f} units beyond {rate}/s"
