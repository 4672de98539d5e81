"""What a part batch waits for, and what it does not: company, shortened when it costs more than that; never the answers of another batch."""
import threading

import pytest
from harness.wait import stays, wait_until


def waits(d):
    """What was decided of the waits of `sleep`, in percent, the oldest first."""
    found = [x for x in d.json("report")["queues"]["sleep"]["decisions"] if x["what"] == "waits"]
    return [(x["from"], x["to"], x["reason"]) for x in reversed(found)]


class Crowd:
    """A receiver that answers nobody before `many` requests are open at a time."""

    def __init__(self, many):
        self.many, self.open, self.enough, self.lock = many, 0, threading.Event(), threading.Lock()

    def __call__(self, _request):
        with self.lock:
            self.open += 1
            if self.open >= self.many:
                self.enough.set()
        return (204, b"") if self.enough.wait(50) else (500, b"")


@pytest.mark.parametrize("mode, connections, size, many", [("single", 20, 5, 20), ("single", 10, 1, 10), ("batch", 10, 10, 2)])
def test_batches_overlap(daemon, db, site, mode, connections, size, many):
    """A batch has had its turn when its last job has begun, not when it is answered: so one worker, one batch at a time, uses all of its connections
    however small its batches are; and of batches that are one request each, two are open."""
    db.enqueue_many([{"queue": "hook"} for _ in range(60)])
    daemon(db, {"hook": {"handler": "http", "url": site(Crowd(many)).url, "allow_private": "on", "mode": mode, "workers": 1, "concurrency": 1, "max_retries": 0,
                         "max_connections": connections, "batch_size": size, "batch_min": 1, "batch_adaptive": "off"}}).start()
    db.settle("hook")
    assert db.statuses("hook") == {"completed": 60}


def test_waits_shorten_when_workers_idle(daemon, db):
    """Jobs come faster than the target, the workers have nothing to do, and a part batch waits for company: the wait is halved each second, so it goes
    long before it is full or its time is over. A queue in which little comes waits as it was told to."""
    d = daemon(db, {"sleep": {"workers": 2, "sleep": "0", "batch_timeout": "10min", "batch_size": 1000, "batch_max": 1000, "buffer_max": 10000, "batch_adaptive": "off",
                              "throughput_target": "5/s"}}).start()
    db.enqueue("sleep")
    stays(lambda: db.statuses("sleep") == {"pending": 1} or db.statuses("sleep") == {"claimed": 1}, "one job waits for company", 3)
    assert waits(d) == []

    def more():
        db.enqueue_many([{"queue": "sleep"} for _ in range(20)])
        return len(waits(d)) >= 3
    wait_until(more, "shorter waits", 60, 0.3)
    assert waits(d)[:3] == [(100, 50, "idle"), (50, 25, "idle"), (25, 12.5, "idle")]
    wait_until(lambda: waits(d)[-1][1] > waits(d)[-1][0], "whole waits again, when nothing comes")


def test_waits_shorten_when_room_ends(daemon, db):
    """A buffer that fills shortens them as well, and half a buffer does not."""
    d = daemon(db, {"sleep": {"workers": 1, "batch_timeout": "1min", "batch_size": 100, "batch_max": 100, "buffer_max": 100, "batch_adaptive": "off", "throughput_target": "100000/s"}}).start()
    db.enqueue_many([{"queue": "sleep"} for _ in range(50)])
    wait_until(lambda: d.json("metrics")["sleep"]["buffer"]["entries"] == 50, "half a buffer")
    stays(lambda: waits(d) == [], "whole waits", 2)
    db.enqueue_many([{"queue": "sleep"} for _ in range(30)])
    wait_until(lambda: waits(d), "shorter waits")
    before, after, reason = waits(d)[0]
    assert before == 100 and after < 30 and reason == "room"
    db.settle("sleep")
