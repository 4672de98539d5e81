"""When a job runs: run_at, priorities, retries with backoff, snooze, and deadlines."""
import psycopg2
import pytest
from harness.wait import stays, wait_until


def one_by_one(receiver):
    """One worker with one connection: the receiver's log is the order in which jobs began."""
    return {"sms": {**receiver.queue_keys(), "workers": 1, "batch_size": 2, "batch_min": 1, "max_connections": 1}}


def message(n, **args):
    return {"queue": "sms", "payload": {"to": "+358401234567", "text": str(n)}, **args}


def test_run_at(daemon, db):
    """Not before its time, and not long after it."""
    d = daemon(db, {"null": {}}).start()
    job = db.enqueue("null", {}, run_at=db.one("SELECT now() + interval '2 seconds'"))
    d.wait_status(lambda s: s["queues"][0]["scheduled"] == 1, "the job to be counted as scheduled")
    row = db.wait_job(job, "completed")
    assert row["completed_at"] >= row["run_at"]


def test_priorities(daemon, db, receiver):
    """Within a tenant: urgent, high, normal, low, whatever the order of arrival."""
    db.enqueue_many([message(name, priority=name) for name in ["low", "normal", "high", "urgent"] * 5])
    daemon(db, one_by_one(receiver)).start()
    db.settle("sms")
    assert [e["text"] for e in receiver.effects()] == ["urgent"] * 5 + ["high"] * 5 + ["normal"] * 5 + ["low"] * 5


def test_age_within_a_priority(daemon, db, receiver):
    """First come, first served."""
    for n in range(0, 60, 20):
        db.enqueue_many([message(n + k) for k in range(20)])
    daemon(db, one_by_one(receiver)).start()
    db.settle("sms")
    assert [int(e["text"]) for e in receiver.effects()] == list(range(60))


def test_urgent_overtakes(daemon, db, receiver):
    """An urgent job that comes late starts before the waiting normal ones, but for what a worker already holds."""
    receiver.control(slow=0.05)
    daemon(db, one_by_one(receiver)).start()
    db.enqueue_many([message(n) for n in range(60)])
    wait_until(lambda: len(receiver.effects()) >= 5, "the first messages")
    db.enqueue("sms", {"to": "+358401234567", "text": "urgent"}, priority="urgent")
    db.settle("sms")
    assert [e["text"] for e in receiver.effects()].index("urgent") < 30


def test_retries(daemon, db):
    """A transient failure is tried again up to max_retries, each after its backoff; then the job fails with the last reason."""
    daemon(db, {"sleep": {"retry_backoff": "fixed 200ms", "max_retries": 2}}).start()
    job = db.enqueue("sleep", {"outcome": "retry", "error": "busy"})
    row = db.wait_job(job, "failed")
    assert row["retry_count"] == 2 and "busy" in row["error_message"]


def test_retry_succeeds(daemon, db):
    """One that recovers is completed, keeps its id and its count; the error of the try before is shown until then."""
    daemon(db, {"sleep": {"retry_backoff": "fixed 300ms"}}).start()
    job = db.enqueue("sleep", {"outcome": "retry", "error": "busy", "times": 2})
    wait_until(lambda: (r := db.job(job))["status"] == "pending" and r["retry_count"] == 1 and "busy" in (r["error_message"] or ""), "the first failure to be recorded")
    assert db.wait_job(job, "completed")["retry_count"] == 2


def test_own_max_retries(daemon, db):
    """A job's own max_retries beats the queue's; 0 means one try."""
    daemon(db, {"sleep": {"retry_backoff": "fixed 10ms"}}).start()
    job = db.enqueue("sleep", {"outcome": "retry"}, max_retries=0)
    assert db.wait_job(job, "failed")["retry_count"] == 0


def test_backoff_grows(daemon, db):
    """Exponential from 1 s: the third wait is at least 2 s, which no first one is (it is at most 1 s, so the third would begin before). A try
    begins after its run_at and is recorded after it began, so from one run_at to the next is no less than the wait."""
    daemon(db, {"sleep": {"retry_backoff": "exponential 1s..1h"}}).start()
    job = db.enqueue("sleep", {"outcome": "retry", "error": "x"})
    times = {}

    def look():
        row = db.job(job)
        if row["status"] == "pending":
            times[row["retry_count"]] = row["run_at"]
        return 2 in times and 3 in times
    wait_until(look, "three retries")
    assert (times[3] - times[2]).total_seconds() >= 1.9


def test_snooze_burns_no_try(daemon, db):
    """Put back ten times and still at try one."""
    daemon(db, {"sleep": {"max_retries": 0}}).start()
    job = db.enqueue("sleep", {"outcome": "snooze", "after": "50ms", "times": 1})
    d = db.wait_job(job, "completed")
    assert d["retry_count"] == 0


def test_far_future_costs_nothing(daemon, db):
    """Urgent jobs of tomorrow stand in nobody's way, and stay."""
    db.enqueue_many([{"queue": "null", "priority": "urgent", "run_at": "2999-01-01T00:00:00Z"} for _ in range(200)])
    daemon(db, {"null": {}}).start()
    db.wait_job(db.enqueue("null", {}, priority="low"), "completed")
    stays(lambda: db.statuses("null").get("pending") == 200, "the jobs of tomorrow wait", 1)
