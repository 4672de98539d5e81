"""Cancelling: waiting jobs at once, running ones if their handler can still be stopped, finished ones not at all."""
from harness.wait import wait_until


def test_waiting(daemon, db):
    """A pending job ends at once, without a daemon."""
    job = db.enqueue("null", {})
    assert db.one("SELECT jobq.cancel(%s)", [job]) == "cancelled"
    assert db.job(job)["status"] == "cancelled"
    daemon(db, {"null": {}}).start()
    db.wait_job(db.enqueue("null", {}), "completed")
    assert db.job(job)["status"] == "cancelled"


def test_running(daemon, db):
    """A running job is asked to stop, and ends as cancelled."""
    daemon(db, {"sleep": {"workers": 1}}).start()
    job = db.enqueue("sleep", {"sleep": "1min"})
    wait_until(lambda: db.job(job)["status"] in ("claimed", "running"), "the job to run")
    assert db.one("SELECT jobq.cancel(%s)", [job]) == "requested"
    db.wait_job(job, "cancelled")


def test_claimed_not_begun(daemon, db):
    """Jobs behind a long one in a worker's hands end as cancelled without having begun."""
    daemon(db, {"sleep": {"workers": 1, "batch_size": 5}}).start()
    ids = db.enqueue_many([{"queue": "sleep", "payload": {"sleep": "2s"}}] + [{"queue": "sleep", "payload": {"outcome": "fail"}, "run_at": "2999-01-01"} for _ in range(3)])
    for job in ids[1:]:
        assert db.one("SELECT jobq.cancel(%s)", [job]) == "cancelled"
    db.wait_job(ids[0], "completed")
    assert {db.job(job)["status"] for job in ids[1:]} == {"cancelled"}


def test_finished_and_unknown(daemon, db):
    """What is over stays as it is; a number that nobody knows is said to be unknown."""
    daemon(db, {"null": {}}).start()
    job = db.enqueue("null", {})
    db.wait_job(job, "completed")
    assert db.one("SELECT jobq.cancel(%s)", [job]) == "finished"
    assert db.one("SELECT jobq.cancel(%s)", [10**15]) == "unknown"
    assert db.job(job)["status"] == "completed"


def test_cancel_wins_or_effect_stands(daemon, db, receiver):
    """Cancelling in the middle of deliveries: each job is either cancelled without an effect or completed with one."""
    receiver.control(slow=0.3)
    daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2}}).start()
    ids = db.enqueue_many([{"queue": "sms", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(200)])
    wait_until(lambda: len(receiver.effects()) > 20, "deliveries to be under way")
    db.sql("SELECT jobq.cancel(id) FROM unnest(%s::bigint[]) id", [ids])
    db.settle("sms")
    texts = [e["text"] for e in receiver.effects()]
    done = {row[0] for row in db.sql("SELECT payload->>'text' FROM jobq.jobs WHERE status = 'completed'")}
    assert sorted(texts) == sorted(done) and len(texts) == len(set(texts)) and len(done) < 200
    assert set(db.statuses("sms")) == {"completed", "cancelled"}
