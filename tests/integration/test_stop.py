"""Stopping, in every phase: at rest, under load, while starting, with the database away, twice; nothing is left behind."""
import os
import signal
import time

import pytest
from harness.wait import wait_until


def left_behind(d):
    """Files of a daemon that is gone."""
    return [path for path in [*d.segments, *(os.path.join(d.run, f) for f in os.listdir(d.run) if f.endswith(".sock"))] if os.path.exists(path)]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_at_rest(daemon, db, sig):
    """Exit 0, no process, no shared memory, no socket, the node's row gone or released."""
    d = daemon(db, {"null": {}, "sleep": {}}).start()
    d.signal(sig)
    assert d.gone() == 0
    assert left_behind(d) == []


def test_running_jobs_finish(daemon, db):
    """Graceful: what has begun is finished, what has not goes back unharmed, with no try burnt."""
    d = daemon(db, {"sleep": {"workers": 2, "batch_size": 1, "batch_min": 1}}).start()
    running = db.enqueue_many([{"queue": "sleep", "payload": {"sleep": "2s"}} for _ in range(2)])
    waiting = db.enqueue_many([{"queue": "sleep", "payload": {"sleep": "2s"}} for _ in range(50)])
    d.wait_status(lambda s: s["queues"][0]["in_flight"] >= 2, "two running jobs")
    wait_until(lambda: all(db.job(j)["status"] != "pending" for j in running), "both to be claimed")
    assert d.stop() == 0
    statuses = db.statuses("sleep")
    assert set(statuses) == {"completed", "pending"} and statuses["completed"] < 20
    assert db.one("SELECT max(retry_count) FROM jobq.jobs") == 0 and len(waiting) == 50
    assert left_behind(d) == []


@pytest.mark.parametrize("how", ["now", "quit", "twice"])
def test_at_once(daemon, db, how):
    """stop --now, QUIT and a second TERM end it within moments, long jobs or not; these are there for the next start."""
    d = daemon(db, {"sleep": {"workers": 2}}).start()
    ids = db.enqueue_many([{"queue": "sleep", "payload": {"sleep": "10min"}} for _ in range(2)])
    d.wait_status(lambda s: s["queues"][0]["in_flight"] >= 2, "two running jobs")
    if how == "now":
        d.ctl("stop", "--now")
    else:
        d.signal(signal.SIGQUIT if how == "quit" else signal.SIGTERM)
    if how == "twice":
        d.wait_status(lambda s: any(p["state"] == "draining" for p in s["processes"]) or s["queues"][0]["state"] == "draining", "the stop to have begun")
        d.signal(signal.SIGTERM)
    d.gone(20)
    d.queue("sleep", handler="null")
    d.start()
    for job in ids:
        assert db.wait_job(job, "completed")["retry_count"] <= 1


def test_shutdown_timeout(daemon, db):
    """A graceful stop waits no longer than shutdown_timeout; what is left goes back to the queue."""
    d = daemon(db, {"sleep": {"workers": 1}}, shutdown_timeout="1s").start()
    job = db.enqueue("sleep", {"sleep": "10min"})
    d.wait_status(lambda s: s["queues"][0]["in_flight"] == 1, "the job to run")
    d.stop(timeout=30)
    assert db.job(job)["status"] == "pending"


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.5])
def test_while_starting(daemon, db, delay):
    """A TERM at any moment of the start ends it, with nothing left."""
    d = daemon(db, {"null": {}}).start(ready=False)
    time.sleep(delay)
    d.signal(signal.SIGTERM)
    assert d.gone(30) in (0, -signal.SIGTERM)
    assert not os.path.exists(os.path.join(d.run, "jobqd.sock")) or delay == 0.0


def test_under_load(daemon, db, receiver):
    """Stopped and started five times in the middle of deliveries: every message goes out once."""
    receiver.control(slow=0.01)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3}}).start()
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 7}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(1500)])
    for _ in range(5):
        before = len(receiver.effects())
        wait_until(lambda: len(receiver.effects()) > before + 50 or not db.unfinished("sms"), "deliveries to go on")
        assert d.stop() == 0
        d.start()
    db.settle("sms")
    assert db.statuses("sms") == {"completed": 1500}
    assert sorted(int(e["text"]) for e in receiver.effects()) == list(range(1500))


def test_database_away(daemon, own_pg, own_db):
    """A stop does not wait for a database that is not there."""
    d = daemon(own_db, {"null": {}}, shutdown_timeout="3s").start()
    own_db.close()
    own_pg.stop()
    d.wait_status(lambda s: s["database"]["state"] != "connected", "the outage to show")
    d.stop(timeout=30)
    assert left_behind(d) == []


def test_worker_ignores_term(daemon, db):
    """A worker that hangs is killed in the end."""
    d = daemon(db, {"sleep": {"workers": 1, "job_timeout": "10min"}}, shutdown_timeout="1s").start()
    db.enqueue("sleep", {"block": True})
    d.wait_status(lambda s: s["queues"][0]["in_flight"] == 1, "the job to hang")
    d.stop(timeout=30)
    assert left_behind(d) == []


def test_the_dispatcher_writes_what_it_knows(daemon, db):
    """An outcome whose row somebody holds at the moment of leaving is written when he lets go, and the dispatcher leaves then, not when its time is over."""
    d = daemon(db, {"sleep": {"workers": 1}}).start()
    job = db.enqueue("sleep", {"sleep": "2s"}, unique_key="k")
    producer = db.connect("postgres", autocommit=False)
    wait_until(lambda: db.job(job)["status"] == "claimed", "the job to run")
    with producer.cursor() as cursor:
        cursor.execute("SELECT FROM jobq.jobs_live WHERE id = %s FOR UPDATE", (job,))

    def tried():
        """When it last tried to write the outcome."""
        rows = db.sql("SELECT query_start FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'jobqd complete' AND query LIKE '%finish_tied%'")
        return rows[0][0] if rows else None

    wait_until(tried, "its outcome")
    pid = d.pid("dispatcher")
    os.kill(pid, signal.SIGTERM)
    d.wait_status(lambda s: any(p["role"] == "dispatcher" and p["state"] == "draining" for p in s["processes"]), "it to be leaving")
    times = set()
    wait_until(lambda: times.add(tried()) or len(times) > 5, "it to try again and again", 4)
    producer.rollback()
    producer.close()
    wait_until(lambda: d.pids("dispatcher") not in ([], [pid]), "the next dispatcher")
    db.wait_job(job, "completed")
    assert "before everything was released" not in d.text()
