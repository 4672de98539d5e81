"""The pace of a queue: a receiver that wants less, that is down, that grows slow. What it bears is found; what it refuses burns nothing."""
import threading
import time

import pytest
from checker import most_in_a_second
from harness.wait import wait_until


def enqueue(db, count, first=0):
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 5}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(first, first + count)])


def all_arrived(db, receiver, count):
    """Every job once, and none of them was charged for what was not its fault."""
    db.settle("sms", 120)
    assert db.statuses("sms") == {"completed": count}
    assert sorted(int(e["text"]) for e in receiver.effects()) == list(range(count))
    assert db.one("SELECT max(retry_count) FROM jobq.jobs") == 0


def gate(status):
    return status["queues"][0]["gate"]


def effective(status):
    return status["queues"][0]["rate"]["effective_per_s"]


def test_wants_less(daemon, db, receiver):
    """429 without Retry-After above 20/s: the rate in force comes down to about that, and rises when it bears more."""
    receiver.control(bears=20)
    enqueue(db, 300)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "rate_limit": "100/s", "max_retries": 0}}).start()
    d.wait_status(lambda s: effective(s) <= 30, "the rate to fall")
    assert d.queue_status("sms")["rate"]["limit_per_s"] == 100
    assert d.queue_status("sms")["rate"]["exceeded"] > 0
    receiver.control(bears=0)
    low = effective(d.status())
    d.wait_status(lambda s: effective(s) > low + 10, "the rate to come back", 60)
    all_arrived(db, receiver, 300)
    assert "the receiver refuses" in d.text()


def test_wants_less_without_a_limit(daemon, db, receiver):
    """No limit is configured: one is found when the receiver refuses."""
    receiver.control(bears=20)
    enqueue(db, 200)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2, "max_retries": 0}}).start()
    d.wait_status(lambda s: effective(s), "a rate in force")
    assert d.queue_status("sms")["rate"]["limit_per_s"] is None
    receiver.control(bears=0)
    all_arrived(db, receiver, 200)


def test_not_adaptive(daemon, db, receiver):
    """rate_adaptive = off: the limit is the limit."""
    receiver.control(bears=20)
    enqueue(db, 100)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2, "rate_limit": "50/s", "rate_adaptive": "off", "max_retries": 0}}).start()
    wait_until(lambda: any(a["manner"] == "busy" for a in receiver.attempts()), "a refusal")
    receiver.control(bears=0)
    all_arrived(db, receiver, 100)
    assert effective(d.status()) == 50 and "rate in force" not in d.text()


@pytest.mark.parametrize("manner", ["429", "503"])
def test_retry_after(daemon, db, receiver, manner):
    """Retry-After: nothing is sent before then, nothing is burnt, and why says so."""
    receiver.control(manner=manner)
    enqueue(db, 60)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2, "max_retries": 0}}).start()
    status = d.wait_status(gate, "the gate to shut")
    assert manner in gate(status)["reason"] and gate(status)["retry_in_s"] <= 2
    reasons = d.json("why", "sms")["reasons"]
    assert [r["code"] for r in reasons if r["until"] and manner in r["detail"]] in (["gate"], [])
    wait_until(lambda: len(receiver.attempts()) > 21, "the gate to be tried again", 20)  # 20 connections, then one at a time
    receiver.control(manner="")
    all_arrived(db, receiver, 60)


def test_down(daemon, db, receiver):
    """Nobody listens: the gate shuts, one job after another goes to see, and when somebody listens again all goes out. Nothing is burnt."""
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "max_retries": 0}}).start()
    receiver.stop()
    enqueue(db, 100)
    status = d.wait_status(gate, "the gate to shut")
    assert "reached" in gate(status)["reason"]
    wait_until(lambda: d.text().count("goes to see") >= 2, "two probes")
    assert d.text().count("gate shut") >= 2
    receiver.start()
    all_arrived(db, receiver, 100)
    assert "gate open" in d.text() and gate(d.status()) is None


def test_errors_of_all(daemon, db, receiver):
    """500 for everybody is an outage: not even those that found out are charged."""
    receiver.control(manner="500")
    enqueue(db, 100)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "max_retries": 0}}).start()
    d.wait_status(gate, "the gate to shut")
    wait_until(lambda: "goes to see" in d.text(), "a probe")
    receiver.control(manner="")
    all_arrived(db, receiver, 100)


def test_errors_of_one(daemon, db, receiver):
    """500 for one number among many: its own fault. It fails, and the others never wait for it."""
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2, "max_retries": 2, "retry_backoff": "fixed 200ms", "rate_limit": "200/s"}}).start()
    enqueue(db, 100)
    bad = db.enqueue("sms", {"to": "+9995001234", "text": "bad"})
    enqueue(db, 300, 100)
    row = db.wait_job(bad, "failed")
    assert row["retry_count"] == 2 and "500" in row["error_message"]
    db.settle("sms")
    assert db.statuses("sms") == {"completed": 400, "failed": 1} and "gate shut" not in d.text()


def test_nothing_but_poison(daemon, db, receiver):
    """Only jobs that fail are left: it may be an outage, and may be they. They come to their end."""
    daemon(db, {"sms": {**receiver.queue_keys(), "workers": 1, "max_retries": 1, "retry_backoff": "fixed 100ms"}}).start()
    ids = [db.enqueue("sms", {"to": f"+999500{n:04d}", "text": "bad"}) for n in range(4)]
    for job in ids:
        db.wait_job(job, "failed", 120)


def test_over_a_new_dispatcher(daemon, db, receiver):
    """What was learnt of the receiver outlives a reload."""
    receiver.control(bears=10)
    enqueue(db, 200)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2, "rate_limit": "100/s", "max_retries": 0}}).start()
    d.wait_status(lambda s: effective(s) <= 30, "the rate to fall")
    before = d.pid("dispatcher")
    d.queue("sms", max_retries=1)
    d.ctl("reload")
    wait_until(lambda: d.pid("dispatcher") != before, "a new dispatcher")
    assert effective(d.status()) < 90
    receiver.control(bears=0)
    all_arrived(db, receiver, 200)
    assert most_in_a_second(receiver.attempts()) <= 110


def test_latency_step(daemon, db):
    """Batches that become slow are made smaller before the first of them has ended."""
    d = daemon(db, {"sleep": {"workers": 2, "batch_size": 20, "batch_min": 2, "batch_max": 20, "batch_target": "300ms", "sleep": "5ms"}}).start()
    db.enqueue_many([{"queue": "sleep", "payload": {}} for _ in range(600)])
    wait_until(lambda: d.queue_status("sleep")["completed"] > 300, "quick batches")
    # a batch handed out before the last change of size tells nothing of the size in force: the next ones do
    db.enqueue_many([{"queue": "sleep", "payload": {"sleep": "3s"}, "priority": "urgent"} for _ in range(200)])
    decision = wait_until(lambda: [x for x in d.json("report")["queues"]["sleep"]["decisions"] if x["reason"] == "slow"], "smaller batches")[-1]
    assert decision["what"] == "batch_size" and decision["to"] < decision["from"] and decision["batch_ms"] < 3000


def test_fewer_at_a_time(daemon, db, site):
    """A receiver that bears two requests at a time: requests in flight come down from six, and up again when it bears more; nothing is charged."""
    bears, lock, state = [2], threading.Lock(), {"open": 0}

    def answer(_request):
        with lock:
            state["open"] += 1
            refused = state["open"] > bears[0]
        time.sleep(0 if refused else 0.05)
        with lock:
            state["open"] -= 1
        return (429, b"") if refused else (204, b"")

    db.enqueue_many([{"queue": "hook"} for _ in range(1500)])
    d = daemon(db, {"hook": {"handler": "http", "url": site(answer).url, "allow_private": "on", "workers": 1, "mode": "single", "max_connections": 6,
                             "concurrency": 3, "max_retries": 0}}).start()

    def changes():
        return [x for x in d.json("report")["queues"]["hook"]["decisions"] if x["what"] == "concurrency"]

    def lowest():
        return min((x["to"] for x in changes()), default=9)

    wait_until(lambda: lowest() <= 4, "fewer requests in flight")
    before = lowest()
    bears[0] = 100
    wait_until(lambda: any(x["to"] > x["from"] for x in changes()), "more of them again", 60)
    assert before < 6 and all(1 <= x["to"] <= 6 for x in changes())
    db.settle("hook", 120)
    assert db.statuses("hook") == {"completed": 1500} and db.one("SELECT max(retry_count) FROM jobq.jobs") == 0
