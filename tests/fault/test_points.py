"""Named fault points: a process dies at the worst places, once, under load, and everything comes out right."""
import pytest

import checker
from harness.wait import wait_until

DISPATCHER = ["after_claim_sent", "after_claim_commit", "after_hand_out", "before_complete", "after_complete_sent", "before_ack"]
WORKER = ["after_batch_read", "before_effect", "after_effect", "mid_outcomes", "in_shm_write"]
BATCH = ON_THE_WIRE = 10           # max_connections: requests that a worker may have under way
IN_FLIGHT = ON_THE_WIRE + BATCH    # and answers that it has and has not passed on


def deliver(daemon, db, receiver, fault, count=300, **keys):
    receiver.control(slow=0.003)
    queue = {**receiver.queue_keys(), "workers": 2, "batch_size": BATCH, "max_connections": ON_THE_WIRE, "on_uncertain": "retry",
             "retry_backoff": "fixed 100ms", "max_retries": 10, **keys}
    ids = db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 5}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(count)])
    d = daemon(db, {"sms": queue}, lease="3s").start(fault=fault, ready=False)
    db.settle("sms", 60)
    assert db.statuses("sms") == {"completed": count} and len(ids) == count
    texts = [int(e["text"]) for e in receiver.effects()]
    assert set(texts) == set(range(count))
    return d, len(texts) - count


def fired(d):
    import glob
    return glob.glob(d.dir + "/fault.*")


@pytest.mark.parametrize("action", ["kill", "exit"])
@pytest.mark.parametrize("point", DISPATCHER)
def test_dispatcher_dies(daemon, db, receiver, point, action):
    """Its death repeats nothing: the workers know what they did."""
    d, repeats = deliver(daemon, db, receiver, f"{point}={action},3")
    assert fired(d), f"nothing passed {point} three times"
    assert repeats == 0


@pytest.mark.parametrize("point", WORKER)
def test_worker_dies(daemon, db, receiver, point):
    """Its death repeats at most what it had on the wire."""
    d, repeats = deliver(daemon, db, receiver, f"{point}=kill,7")
    assert fired(d), f"nothing passed {point} seven times"
    assert repeats <= IN_FLIGHT


@pytest.mark.parametrize("point", ["before_effect", "after_effect"])
def test_uncertain_is_held(daemon, db, receiver, point):
    """on_uncertain = hold: a job whose worker died between begin and outcome is held, never sent twice."""
    keys = {**receiver.queue_keys(), "workers": 2, "batch_size": 10}
    db.enqueue_many([{"queue": "sms", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(200)])
    d = daemon(db, {"sms": keys}).start(fault=f"{point}=kill,20", ready=False)
    db.settle("sms", 60)
    assert fired(d)
    texts = [e["text"] for e in receiver.effects()]
    assert len(texts) == len(set(texts))
    held = {r["key"] for r in checker.rows(db, "sms") if r["status"] == "held"}
    assert 1 <= len(held) <= IN_FLIGHT and set(texts) | held == {str(n) for n in range(200)}


def test_master_dies_in_reload(daemon, db):
    """Between the check and the swap of a new configuration."""
    d = daemon(db, {"null": {}}).start(fault="in_reload=kill,1")
    d.queue("null", workers=2)
    d.ctl("reload", code=None)
    d.process.wait(20)
    d.start()
    d.wait_status(lambda s: s["queues"][0]["workers"] == {"want": 2, "ready": 2}, "the new configuration after the restart")
    db.wait_job(db.enqueue("null", {}), "completed")


def test_master_dies_after_fork(daemon, db):
    """A child whose pid nobody wrote down leaves by the lifeline, and the next master starts."""
    d = daemon(db, {"null": {}}).start(fault="after_fork=kill,3", ready=False)
    d.process.wait(20)
    wait_until(lambda: not d.family(), "the orphans to leave", 10)
    d.start()
    db.wait_job(db.enqueue("null", {}), "completed")


def test_stopped_at_a_point(daemon, db, receiver):
    """A dispatcher that stops dead between claim and hand-out for a while loses nothing."""
    d, repeats = deliver(daemon, db, receiver, "after_claim_commit=delay:3000,2")
    assert fired(d) and repeats == 0
