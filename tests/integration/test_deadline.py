"""Deadlines: a job is never started after its own, whether somebody would have claimed it or not."""
from datetime import datetime, timedelta, timezone

from harness.wait import wait_until


def in_(seconds):
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def test_paused_queue(daemon, db):
    """Nobody claims it: it ends all the same, is counted, and the others wait on."""
    node = daemon(db, {"null": {}}).start()
    node.ctl("pause", "null")
    late, open_end, far = (db.enqueue("null", {}, deadline=d) for d in (in_(0.3), None, in_(3600)))
    row = db.wait_job(late, "failed")
    assert row["error_message"] == "deadline passed" and row["started_at"] is None and row["completed_at"] > row["deadline"]
    node.wait_status(lambda s: s["queues"][0]["failed"] == 1, "the failure to be counted")
    assert {db.job(j)["status"] for j in (open_end, far)} == {"pending"}
    node.ctl("resume", "null")
    for job in (open_end, far):
        db.wait_job(job, "completed")


def test_unserved_queue(daemon, db):
    """A queue that no node serves, and a time to run behind the deadline."""
    daemon(db, {"null": {}}).start()
    jobs = [db.enqueue("nobody", {}, deadline=in_(0.1)), db.enqueue("null", {}, run_at=in_(7200), deadline=in_(0.1))]
    for job in jobs:
        assert db.wait_job(job, "failed")["error_message"] == "deadline passed"


def test_behind_a_long_job(daemon, db):
    """Claimed in time, but its turn comes too late: the worker does not start it."""
    daemon(db, {"sleep": {"workers": 1, "batch_size": 1, "batch_min": 1, "batch_adaptive": "off"}}).start()
    first, second = db.enqueue_many([{"queue": "sleep", "payload": {"sleep": "1s"}}, {"queue": "sleep", "payload": {}, "deadline": in_(0.5).isoformat()}])
    assert db.wait_job(second, "failed")["error_message"] == "deadline passed"
    assert db.wait_job(first, "completed")


def test_between_two_tries(daemon, db):
    """A retry that would come after the deadline does not come; until then the error of the first try is shown."""
    daemon(db, {"sleep": {"retry_backoff": "fixed 1h"}}).start()
    job = db.enqueue("sleep", {"outcome": "retry", "error": "busy"}, deadline=in_(2))
    wait_until(lambda: "busy" in (db.job(job)["error_message"] or ""), "the first try")
    row = db.wait_job(job, "failed")
    assert row["error_message"] == "deadline passed" and row["retry_count"] == 1


def test_in_time(daemon, db):
    """One that began before its deadline may end after it."""
    daemon(db, {"sleep": {}}).start()
    job = db.enqueue("sleep", {"sleep": "1s"}, deadline=in_(0.7))
    row = db.wait_job(job, "completed")
    assert row["completed_at"] > row["deadline"]


def test_ends_a_batch_wait(daemon, db):
    """A part batch goes before the deadline of a job in it, long before its wait is over."""
    daemon(db, {"null": {"batch_size": 5, "batch_timeout": "1h"}}).start()
    job = db.enqueue("null", {}, deadline=in_(4))
    assert db.wait_job(job, "completed")["completed_at"] <= db.job(job)["deadline"]


def test_retry_drops_what_has_passed(db):
    """A person who asks for a retry wants it to run."""
    job = db.enqueue("null", {}, deadline=in_(-1), unique_key="k")
    assert db.sql("SELECT * FROM jobq.expire_due(10)") == [("null", 1)] and db.sql("SELECT * FROM jobq.expire_due(10)") == []
    assert db.one("SELECT jobq.retry(%s)", [job]) == "pending" and db.job(job)["deadline"] is None
    later = db.enqueue("null", {}, deadline=in_(3600))
    db.sql("SELECT jobq.cancel(%s)", [later])
    assert db.one("SELECT jobq.retry(%s)", [later]) == "pending" and db.job(later)["deadline"] is not None


def test_many_at_once(daemon, db):
    """More than one statement's worth, of several queues and tenants; none is left and none ran."""
    db.sql("INSERT INTO jobq.jobs (queue, tenant_id, payload, deadline) SELECT 'q' || n % 3, 't' || n % 7, '{}', now() + n * interval '1 microsecond'"
           " FROM generate_series(1, 2500) n")
    daemon(db, {"null": {}}).start()
    wait_until(lambda: db.unfinished() == 0, "all of them to end", 60)
    assert db.sql("SELECT status, error_message, count(*), count(started_at) FROM jobq.jobs GROUP BY 1, 2") == [("failed", "deadline passed", 2500, 0)]


def test_costs_nothing_without(db):
    """The look for passed deadlines reads an index that jobs without one are not in."""
    db.sql("INSERT INTO jobq.jobs (queue, payload) SELECT 'sms', '{}' FROM generate_series(1, 5000)")
    db.sql("ANALYZE jobq.jobs_live")
    plan = "\n".join(r[0] for r in db.sql("EXPLAIN SELECT FROM jobq.jobs_live WHERE deadline < now() AND status = 'pending'"))
    assert "jobs_live_deadline" in plan and db.one("SELECT pg_relation_size('jobq.jobs_live_deadline')") <= 8192
