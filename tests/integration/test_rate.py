"""The rate limit, judged where it counts: at the receiver."""
import os

from checker import most_in_a_second
from harness.wait import wait_until


def enqueue(db, count, first=0):
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 5}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(first, first + count)])


def test_fifty_a_second(daemon, db, receiver):
    """50/s over five workers: in no second more than 50 and the burst (0.1 s: 5), and the limit is used."""
    enqueue(db, 400)
    daemon(db, {"sms": {**receiver.queue_keys(), "workers": 5, "rate_limit": "50/s"}}).start()
    db.settle("sms")
    effects = receiver.effects()
    assert len(effects) == 400 and most_in_a_second(effects) <= 55
    span = effects[-1]["m"] - effects[0]["m"]
    assert 400 / span > 25, f"{400 / span:.1f}/s of 50/s"


def test_stall_makes_no_burst(daemon, db, receiver):
    """Workers stopped and continued, the receiver slow and quick again: no second holds more than the limit."""
    enqueue(db, 300)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "rate_limit": "50/s"}}).start()
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
    assert texts == list(range(300)) and most_in_a_second(receiver.attempts()) <= 55


def test_over_reload_and_crash(daemon, db, receiver):
    """Neither a killed dispatcher nor a reload gives the queue a fresh bucket."""
    enqueue(db, 300)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "rate_limit": "50/s", "on_uncertain": "retry"}}).start()
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    os.kill(d.pid("dispatcher"), 9)
    before = len(receiver.effects())
    wait_until(lambda: len(receiver.effects()) > before + 50, "deliveries to go on")
    d.queue("sms", workers=5)
    d.ctl("reload")
    db.settle("sms")
    assert most_in_a_second(receiver.attempts()) <= 55 and len({e["text"] for e in receiver.effects()}) == 300


def test_changed_by_reload(daemon, db, receiver):
    """A new limit holds from the reload on."""
    enqueue(db, 400)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "20/s"}}).start()
    wait_until(lambda: len(receiver.effects()) >= 40, "deliveries")
    assert most_in_a_second(receiver.effects()) <= 22
    d.queue("sms", rate_limit="400/s")
    d.ctl("reload")
    db.settle("sms", 15)


def test_exceedance_counted(daemon, db, receiver):
    """Status counts the seconds in which a due job of each of five tenants waited for the limit."""
    enqueue(db, 120)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "40/s"}}).start()
    db.settle("sms")
    rate = d.queue_status("sms")["rate"]
    assert rate["limit_per_s"] == 40 and 1 <= rate["exceeded"] <= 50


def test_limit_burns_no_try(daemon, db, receiver):
    """Waiting for a token is not a try, and the database is not asked again for jobs over the limit."""
    enqueue(db, 150)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "50/s"}}).start()
    db.settle("sms")
    assert db.one("SELECT max(retry_count) FROM jobq.jobs") == 0
    assert d.queue_status("sms")["retried"] == 0
