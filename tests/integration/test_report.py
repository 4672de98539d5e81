"""`jobqctl report` and [report]: performance against the targets, use of limits and workers, decisions, and lines in the log."""
import os
import re
import signal

from harness.wait import wait_until

PARTS = {"state", "span_s", "jobs", "errors", "batches", "targets", "limit", "workers", "capacity", "time", "pending", "buffer", "batch", "decisions",
         "trends", "minutes"}


def send(db, count, queue="sms", first=0):
    db.enqueue_many([{"queue": queue, "tenant_id": f"t{n % 3}", "payload": {"to": f"+35840{n:07d}", "text": "x"}} for n in range(first, first + count)])


def report(d, queue="sms"):
    return d.json("report")["queues"][queue]


def fits(text):
    assert "\x1b" not in text
    for line in text.splitlines():
        assert len(line) <= 80, line


def test_an_idle_queue(daemon, db):
    """Nothing is claimed of what was not measured."""
    d = daemon(db, {"null": {"throughput_target": "7/s", "batch_target": "3s"}}).start()
    wait_until(lambda: report(d, "null")["targets"]["throughput_per_s"]["target"] == 7, "the targets")
    one = report(d, "null")
    assert set(one) == PARTS and one["jobs"] == one["errors"] == one["batches"] == 0
    assert one["targets"]["batch_ms"] == {"target": 3000, "measured": None, "p95": None, "met": None}
    assert one["targets"]["throughput_per_s"] == {"target": 7, "measured": 0, "under_backlog": None, "met": None}
    assert one["limit"]["limit_per_s"] is None and one["limit"]["used"] is None and one["capacity"]["jobs_per_s"] is None
    assert one["workers"] == {"want": 5, "ready": 5, "busy": 0} and one["buffer"]["efficiency"] is None and one["trends"] is None
    fits(d.ctl("report"))


def test_the_limit_binds(daemon, db, receiver):
    """Under a backlog the rate limit is what is used up; the report's numbers are those of the receiver's log."""
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "40/s", "throughput_target": "20/s"}, "null": {}}).start()
    send(db, 240)
    wait_until(lambda: len(receiver.effects()) >= 200, "deliveries")
    one = report(d)
    seen = len(receiver.effects())
    targets, limit = one["targets"]["throughput_per_s"], one["limit"]
    assert targets["target"] == 20 and targets["met"] is True and 20 <= targets["under_backlog"] <= 46
    assert limit["limit_per_s"] == limit["effective_per_s"] == 40 and 0.3 < limit["used"] <= 1.15 and limit["exceeded"] > 0
    assert one["errors"] == 0 and 0 < one["jobs"] <= seen + 5 and one["time"]["active"] > 0.5
    assert one["targets"]["batch_ms"]["measured"] > 0 and one["workers"]["ready"] == 5
    db.settle()
    one = wait_until(lambda: (r := report(d))["jobs"] == 240 and r, "all jobs in the report")
    assert one["buffer"]["efficiency"] > 0.9 and one["buffer"]["added"] >= 240 and one["buffer"]["queueing_us"] < 1000
    flushes = {reason: f for reason, f in one["buffer"]["flushes"].items() if f["count"]}
    assert sum(f["count"] for f in flushes.values()) >= one["batches"] > 0
    assert flushes and all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", f["last"]) for f in flushes.values())
    text = d.ctl("report")
    fits(text)
    assert "of 40" in text and "queue sms" in text and "queue null" in text


def test_workers_bind(daemon, db):
    """Slow work without a limit: the workers are busy, the target is missed, and the report says that they hold the queue."""
    db.enqueue_many([{"queue": "sleep"} for _ in range(6000)])
    d = daemon(db, {"sleep": {"workers": 2, "sleep": "50ms", "batch_size": 5, "batch_min": 5, "batch_max": 5, "throughput_target": "1000/s", "batch_target": "10ms"}}).start()
    one = wait_until(lambda: (r := report(d, "sleep"))["capacity"]["bound_by"] == "workers" and r["targets"]["throughput_per_s"]["met"] is False and r,
                     "the workers to be what binds", 60)
    assert one["targets"]["batch_ms"]["met"] is False and 200 <= one["targets"]["batch_ms"]["measured"] < 2000
    assert one["limit"]["used"] is None and one["capacity"]["jobs_per_s"] > 5 and one["workers"]["busy"] >= 0.9
    assert "missed" in d.ctl("report")


def test_decisions(daemon, db):
    """What the tuner decides is told with its reason, newest first."""
    d = daemon(db, {"sleep": {"workers": 2, "fixed": "20ms", "sleep": "1ms", "batch_size": 5, "batch_min": 1, "batch_max": 100}}).start()
    db.enqueue_many([{"queue": "sleep"} for _ in range(6000)])
    decided = wait_until(lambda: len(x := report(d, "sleep")["decisions"]) >= 3 and x, "decisions", 60)
    assert all(x["text"] and x["reason"] and x["what"] == "batch_size" and x["unit"] == "jobs" and 1 <= x["to"] <= 100 for x in decided)
    assert all(newer["from"] == older["to"] for newer, older in zip(decided, decided[1:]))
    assert "DECIDED" in d.ctl("report")


def test_in_the_log(daemon, db):
    """A line a queue at every interval; a reload changes the interval."""
    d = daemon(db, {"null": {}, "sleep": {}})
    d.sections["report"] = {"interval": "1s"}
    d.write()
    d.start()
    db.enqueue_many([{"queue": "null"} for _ in range(100)])
    wait_until(lambda: "report: queue null: " in d.text() and "report: queue sleep: " in d.text(), "reports in the log")
    wait_until(lambda: re.search(r"report: queue null: [^\n]* 100 jobs, 0 errors", d.text()), "the jobs in a report")
    d.sections["report"] = {"interval": "1h"}
    d.write()
    d.ctl("reload")
    count = d.text().count("report: queue null")
    wait_until(lambda: d.json("config", "report.interval")[0]["value"] == "1h", "the new interval")
    assert d.text().count("report: queue null") <= count + 1


def test_without_database_or_master(daemon, own_db, own_pg):
    """From shared memory: neither the database nor the dispatcher is needed, and of the master only its life."""
    d = daemon(own_db, {"null": {}}).start()
    own_db.enqueue_many([{"queue": "null"} for _ in range(50)])
    own_db.settle()
    wait_until(lambda: report(d, "null")["jobs"] == 50, "the jobs in the report")
    own_db.close()
    own_pg.stop()
    d.wait_status(lambda s: s["database"]["state"] != "connected", "the outage to show")
    assert report(d, "null")["jobs"] == 50
    d.signal(signal.SIGSTOP)
    try:
        done = d.ctl("report", code=None)
        assert done.returncode == 0 and "read from shared memory" in done.stderr and "50 jobs" in done.stdout
    finally:
        os.kill(d.process.pid, signal.SIGCONT)
    own_pg.start()
    d.wait_ready()
