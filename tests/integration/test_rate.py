"""The rate limit of a queue: by when jobs began, and that nothing reaches the receiver that did not begin."""
import math
import os
import time
from datetime import datetime

from harness.begun import within
from harness.wait import wait_until


def enqueue(db, count, first=0):
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 5}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(first, first + count)])


def test_fifty_a_second(daemon, db, receiver, begun):
    """50/s over five workers: in no second more than 50 and the burst (0.1 s: 5)."""
    enqueue(db, 400)
    watch = begun(daemon(db, {"sms": {**receiver.queue_keys(), "workers": 5, "rate_limit": "50/s"}}).start())
    db.settle("sms")
    effects = receiver.effects()
    within(db, [watch], effects, 50)
    assert len(effects) == 400


def test_stall_makes_no_burst(daemon, db, receiver, begun):
    """Workers stopped and continued, the receiver slow and quick again: no second holds more than the limit."""
    enqueue(db, 300)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "rate_limit": "50/s"}}).start()
    watch = begun(d)
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    pids = d.pids("worker")[:2]
    for pid in pids:
        os.kill(pid, 19)
    before = len(receiver.effects())
    wait_until(lambda: len(receiver.effects()) > before + 60, "the third worker to go on")
    for pid in pids:
        os.kill(pid, 18)
    receiver.control(slow=0.5)
    before = len(receiver.effects())
    wait_until(lambda: len(receiver.effects()) > before + 40, "slow deliveries")
    receiver.control(slow=0)
    db.settle("sms")
    texts = sorted(int(e["text"]) for e in receiver.effects())
    within(db, [watch], receiver.attempts(), 50)
    assert texts == list(range(300))


def test_over_reload_and_crash(daemon, db, receiver, begun):
    """Neither a killed dispatcher nor a reload gives the queue a fresh bucket."""
    enqueue(db, 300)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "rate_limit": "50/s", "on_uncertain": "retry"}}).start()
    watch = begun(d)
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    os.kill(d.pid("dispatcher"), 9)
    before = len(receiver.effects())
    wait_until(lambda: len(receiver.effects()) > before + 50, "deliveries to go on")
    d.queue("sms", workers=5)
    d.ctl("reload")
    db.settle("sms")
    within(db, [watch], receiver.attempts(), 50)
    assert len({e["text"] for e in receiver.effects()}) == 300


def test_changed_by_reload(daemon, db, receiver, begun):
    """A new limit holds from the reload on."""
    enqueue(db, 400)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "20/s"}}).start()
    watch = begun(d)
    wait_until(lambda: len(receiver.effects()) >= 40, "deliveries")
    within(db, [watch], receiver.effects(), 20)
    d.queue("sms", rate_limit="400/s")
    d.ctl("reload")
    db.settle("sms", 15)


def test_exceedance_counted(daemon, db, receiver):
    """Status counts what metrics note of each of five tenants: once in a second in which a due job of its waited for the limit."""
    begin = math.floor(time.time())
    enqueue(db, 120)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "40/s"}}).start()
    db.settle("sms")
    end = time.time()
    rate = d.queue_status("sms")["rate"]
    tenants = [d.json("metrics", "--tenant", f"t{n}")["sms"] for n in range(5)]
    assert rate["limit_per_s"] == 40 and 0 < rate["exceeded"] == sum(t["count"] for t in tenants)
    for t in tenants:
        seconds = [math.floor(datetime.fromisoformat(x["timestamp"].replace("Z", "+00:00")).timestamp()) for x in t["details"]]
        assert len(set(seconds)) == len(seconds) == min(t["count"], 20) and all(begin <= s <= end for s in seconds)


def test_limit_burns_no_try(daemon, db, receiver):
    """Waiting for a token is not a try, and the database is not asked again for jobs over the limit."""
    enqueue(db, 150)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "50/s"}}).start()
    db.settle("sms")
    assert db.one("SELECT max(retry_count) FROM jobq.jobs") == 0
    assert d.queue_status("sms")["retried"] == 0
