"""The tuner against the best fixed size, with three receivers that behave differently, and how soon it sees a step in latency; the rate
in force against what a receiver bears."""
import os
import statistics
import time

from harness.http import Receiver, Site
from harness.wait import wait_until

CHANGE_S = 1.0  # the requirement: it reacts within a second


class Hook:
    """A web hook that takes fixed_ms a request and job_ms a job; beyond `step` jobs step_ms more; beyond `refuse` it answers 429."""

    def __init__(self, fixed_ms, job_ms, step=None, step_ms=0, refuse=None):
        self.fixed_ms, self.job_ms, self.step, self.step_ms, self.refuse = fixed_ms, job_ms, step, step_ms, refuse
        self.site = Site(self.answer)

    def answer(self, request):
        jobs = request.body.count(b'"idempotency_key"')
        if self.refuse and jobs > self.refuse:
            return 429, b"too many in one request"
        time.sleep((self.fixed_ms + jobs * self.job_ms + (self.step_ms if self.step and jobs > self.step else 0)) / 1000)
        return 204, b""

    def keys(self):
        return {"handler": "http", "mode": "batch", "url": self.site.url, "allow_private": "on", "max_connections": 2, "rate_adaptive": "off"}

    def stop(self):
        self.site.stop()


class Sleep:
    """The sleep handler: fixed_ms a batch and job_ms a job, one after another."""

    def __init__(self, fixed_ms, job_ms):
        self.fixed_ms, self.job_ms = fixed_ms, job_ms

    def keys(self):
        return {"handler": "sleep", "fixed": f"{self.fixed_ms}ms", "sleep": f"{self.job_ms}ms"}

    def stop(self):
        pass


def receivers():
    """name, receiver, batch_target, fixed sizes to compare with"""
    yield "20 ms + 10 ms a job, batches of 200 ms wanted", Sleep(20, 10), "200ms", (12, 15, 18)  # 18: the largest that keeps to the target
    yield "50 ms + 2 ms a job, 300 ms more beyond 30 jobs", Hook(50, 2, step=30, step_ms=300), "2s", (15, 24, 30, 36, 50)
    yield "50 ms + 2 ms a job, refused beyond 20 jobs", Hook(50, 2, refuse=20), "2s", (10, 15, 20, 25)


def fill(stage, queue, jobs):
    stage.db.sql("TRUNCATE jobq.jobs, jobq.claims, jobq.cancels, jobq.queue_minutes")
    stage.db.sql("INSERT INTO jobq.jobs_live (queue, payload) SELECT %s, '{}' FROM generate_series(1, %s)", [queue, jobs])
    stage.db.sql("ANALYZE jobq.jobs_live")


def rate_of(daemon, seconds):
    """jobs/s, and the mean batch size in force, over so many seconds."""
    sizes = []
    begin, done = time.monotonic(), daemon.queue_status("tuned")["completed"]
    while time.monotonic() < begin + seconds:
        sizes.append(daemon.queue_status("tuned")["batch"]["size"])
        time.sleep(0.2)
    now = daemon.queue_status("tuned")["completed"]
    return (now - done) / (time.monotonic() - begin), statistics.mean(sizes)


def run(stage, keys, settle, seconds):
    fill(stage, "tuned", 120_000)
    daemon = stage.daemon({"tuned": {"workers": 3, "retain_completed": "0", **keys}}).start()
    try:
        time.sleep(settle)
        return rate_of(daemon, seconds)
    finally:
        daemon.cleanup()


def tune(stage):
    settle, seconds, long = (2, 1, 1) if stage.quick else (20, 6, 20)
    for name, receiver, target, sizes in receivers():
        try:
            common = {**receiver.keys(), "batch_target": target}
            fixed = {size: run(stage, {**common, "batch_size": size, "batch_min": 1, "batch_adaptive": "off"}, 1, seconds)[0] for size in sizes}
            best = max(fixed, key=fixed.get)
            print(f"    {name}: fixed " + ", ".join(f"{size}: {rate:.0f}/s" for size, rate in fixed.items()), flush=True)
            for start in (5, 50):
                rate, size = run(stage, {**common, "batch_size": start, "batch_min": 5, "batch_max": 50}, settle, long)
                print(f"tuner, {name}: from {start} it finds {size:.1f} jobs a batch, {rate:.0f}/s; the best fixed size is {best}, {fixed[best]:.0f}/s:"
                      f" {rate / fixed[best]:.2f}; target >= 0.9", flush=True)
        finally:
            receiver.stop()
    step(stage)
    bear(stage)


def decisions(daemon, reason):
    return [d for d in daemon.json("report")["queues"]["tuned"]["decisions"] if d["reason"] == reason]


def step(stage):
    """Every batch takes 3 s from one moment on; the queue wants 300 ms. From the first such batch's beginning to the smaller size."""
    daemon = stage.daemon({"tuned": {"handler": "sleep", "sleep": "5ms", "workers": 3, "batch_size": 20, "batch_min": 2, "batch_max": 20,
                                     "batch_target": "300ms", "retain_completed": "0"}}).start()
    try:
        fill(stage, "tuned", 3000)
        wait_until(lambda: daemon.queue_status("tuned")["completed"] > 1000, "quick batches")
        stage.db.sql("INSERT INTO jobq.jobs_live (queue, payload, priority) SELECT 'tuned', '{\"sleep\": \"3s\"}', 1 FROM generate_series(1, 200)")
        found = wait_until(lambda: decisions(daemon, "slow"), "the tuner to see it", 20)[-1]
        print(f"tuner, a step from 100 ms to 3 s a batch: {found['from']:.0f} to {found['to']:.0f} jobs after {found['batch_ms']:.0f} ms of the first slow batch;"
              f" target < {CHANGE_S * 1000:.0f}", flush=True)
    finally:
        daemon.cleanup()


def bear(stage):
    """A receiver that takes 30 messages in any second and answers 429 to more; the limit is 50/s. What it took, and refused, as it says itself."""
    seconds = 5 if stage.quick else 60
    receiver = Receiver(os.path.join(stage.dir, "bears")).start()
    receiver.control(bears=30)
    stage.db.sql("TRUNCATE jobq.jobs, jobq.claims, jobq.cancels, jobq.queue_minutes")
    stage.db.enqueue_many([{"queue": "sms", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(60 * (seconds + 10))])
    daemon = stage.daemon({"sms": {**receiver.queue_keys(), "workers": 3, "rate_limit": "50/s", "max_retries": 0, "retain_completed": "0"}}).start()
    try:
        begin = time.monotonic() + 10
        time.sleep(10 + seconds)
        asked, taken = ([line for line in lines if begin <= line["m"] < begin + seconds] for lines in (receiver.attempts(), receiver.effects()))
        print(f"rate, a receiver that bears 30/s under a limit of 50/s, {seconds} s: {len(taken) / seconds:.1f}/s taken ({len(taken) / seconds / 30:.2f} of what it bears;"
              f" target > 0.85), {(len(asked) - len(taken)) / len(asked) * 100:.1f}% refused", flush=True)
    finally:
        daemon.cleanup()
        receiver.stop()
