"""`why` names what a job waits for, one reason each, and when it ends."""
from harness.wait import wait_until


def reasons(d, job):
    return d.json("why", str(job))["reasons"]


def codes(d, job):
    return [r["code"] for r in reasons(d, job)]


def test_a_part_batch_waits_for_company(daemon, db):
    """The first job of a batch says so, with the end of the wait; with enough company all of them go."""
    d = daemon(db, {"null": {"handler": "null", "batch_size": 10, "batch_adaptive": "off", "batch_timeout": "1h"}}).start()
    job = db.enqueue("null", {}, tenant_id="a")
    wait_until(lambda: codes(d, job) == ["batch_waiting"], "the reason")
    assert reasons(d, job)[0]["until"] is not None
    db.enqueue_many([{"queue": "null", "tenant_id": "a"} for _ in range(9)])
    db.settle("null")


def test_an_urgent_job_waits_less(daemon, db):
    """batch_timeout_urgent: an urgent job brings its whole batch along."""
    d = daemon(db, {"null": {"handler": "null", "batch_size": 10, "batch_adaptive": "off", "batch_timeout": "1h", "batch_timeout_urgent": "0"}}).start()
    job = db.enqueue("null", {}, tenant_id="a")
    wait_until(lambda: codes(d, job) == ["batch_waiting"], "the reason")
    db.enqueue("null", {}, tenant_id="a", priority="urgent")
    db.settle("null")


def test_tenants_take_turns(daemon, db):
    """With every worker busy and several tenants due, a job that is not claimed yet waits for its tenant's turn."""
    d = daemon(db, {"slow": {"handler": "sleep", "sleep": "200ms", "workers": 1, "batch_size": 1, "batch_adaptive": "off"}}).start()
    db.enqueue_many([{"queue": "slow", "tenant_id": f"t{n % 4}"} for n in range(60)])
    last = db.one("SELECT max(id) FROM jobq.jobs_live")
    wait_until(lambda: codes(d, last) == ["fair_share"], "the reason")


def test_scheduled_and_paused_and_finished(daemon, db):
    """Other codes, from the table of the interface."""
    d = daemon(db, {"null": {"handler": "null"}}).start()
    later = db.enqueue("null", {}, run_at="2999-01-01T00:00:00Z")
    wait_until(lambda: codes(d, later) == ["scheduled"], "the reason")
    d.ctl("pause", "null", "--tenant", "p", "--reason", "they asked")
    paused = db.enqueue("null", {}, tenant_id="p")
    wait_until(lambda: codes(d, paused) == ["paused_tenant"], "the reason")
    d.ctl("resume", "null", "--tenant", "p")
    db.wait_job(paused, "completed")
    assert codes(d, paused) == ["finished"] and codes(d, 10**15) == ["unknown"]
