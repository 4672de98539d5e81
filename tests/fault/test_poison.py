"""Jobs that hang or kill their worker: found, set aside, and their neighbours unharmed."""
import pytest


@pytest.fixture
def d(daemon, db):
    return daemon(db, {"sleep": {"workers": 2, "batch_size": 50, "batch_max": 100, "job_timeout": "1s", "retry_backoff": "fixed 100ms", "max_retries": 1}}).start()


def test_crash_alone(d, db):
    """It kills its worker twice when alone: failed, with the reason; the queue is well."""
    row = db.wait_job(db.enqueue("sleep", {"crash": True}), "failed", 60)
    assert "kill" in row["error_message"] or "crash" in row["error_message"] or "died" in row["error_message"]
    db.wait_job(db.enqueue("sleep", {}), "completed")
    assert d.queue_status("sleep")["state"] == "running"


def test_crash_among_99(d, db):
    """One poison job among 99 good ones of the same tenant: it alone fails, no neighbour burns a try."""
    ids = db.enqueue_many([{"queue": "sleep", "payload": {"crash": True} if n == 57 else {}} for n in range(100)])
    db.settle("sleep", 60)
    rows = {i: db.job(i) for i in ids}
    assert [i for i in ids if rows[i]["status"] != "completed"] == [ids[57]]
    assert rows[ids[57]]["status"] == "failed"
    assert max(rows[i]["retry_count"] for i in ids if i != ids[57]) == 0
    assert d.queue_status("sleep")["state"] == "running"


def test_three_poison_jobs(d, db):
    """Several, of several tenants, one after another."""
    ids = db.enqueue_many([{"queue": "sleep", "tenant_id": f"t{n % 3}", "payload": {"crash": True} if n in (5, 40, 77) else {}} for n in range(90)])
    db.settle("sleep", 90)
    assert sorted(ids.index(i) for i, s in db.sql("SELECT id, status FROM jobq.jobs WHERE queue = 'sleep'") if s == "failed") == [5, 40, 77]


def test_hung(d, db):
    """A call that never returns is killed at job_timeout: the job is tried again, fails in the end with the reason, its neighbours are unharmed."""
    ids = db.enqueue_many([{"queue": "sleep", "payload": {"block": True} if n == 3 else {}} for n in range(30)])
    db.settle("sleep", 60)
    rows = {i: db.job(i) for i in ids}
    bad = rows[ids[3]]
    assert bad["status"] == "failed" and "timeout" in bad["error_message"].replace("timed out", "timeout")
    assert {r["status"] for i, r in rows.items() if i != ids[3]} == {"completed"}
    assert max(r["retry_count"] for i, r in rows.items() if i != ids[3]) == 0


def test_slow_but_stoppable(d, db):
    """A job beyond its time in a handler that can stop is ended without costing a process."""
    pids = d.pids("worker")
    row = db.wait_job(db.enqueue("sleep", {"sleep": "1min"}), "failed", 60)
    assert "time" in row["error_message"] and d.pids("worker") == pids


def test_obituary(d, db):
    """Status tells of the dead worker what it was doing and how it died."""
    db.wait_job(db.enqueue("sleep", {"crash": True}), "failed", 60)
    exits = [p["last_exit"] for p in d.status()["processes"] if p["role"] == "worker" and p["last_exit"]]
    assert exits and all(e["signal"] or e["code"] for e in exits)
    d.wait_status(lambda s: any(p["restarts"] for p in s["processes"]), "the restart to be counted")


def test_crash_loop_held(daemon, db):
    """Workers that never come up are held back, shown, and do not take the other queue along; a reload mends it."""
    import os
    d = daemon(db, {"sms": {"handler": "sms", "driver": "json", "gateway_url": "http://127.0.0.1:1/", "body": "{\"to\": \"{to}\"}", "workers": 2}, "null": {}})
    d.start()
    job = db.enqueue("null", {})
    db.wait_job(job, "completed")
    for _ in range(40):
        for pid in d.pids("worker", "sms"):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        if any(q["state"] == "crash-loop" for q in d.status()["queues"]):
            break
        import time
        time.sleep(0.3)
    d.wait_status(lambda s: next(q for q in s["queues"] if q["name"] == "sms")["state"] == "crash-loop", "the crash loop in status")
    db.wait_job(db.enqueue("null", {}), "completed")
    assert d.queue_status("null")["workers"]["ready"] == 5
    d.queue("sms", workers=1)
    d.ctl("reload")
    d.wait_status(lambda s: next(q for q in s["queues"] if q["name"] == "sms")["state"] == "running", "the queue to run again", 60)
