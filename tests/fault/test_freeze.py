"""Stopped processes (SIGSTOP), for longer than a lease, and continued: no second effect, no lost job."""
import os
import signal
import time

import checker
from harness.wait import wait_until


def enqueue(db, count):
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 5}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(count)])


def exactly_once(db, receiver, count):
    db.settle("sms", 60)
    assert sorted(int(e["text"]) for e in receiver.effects()) == list(range(count))
    assert db.statuses("sms") == {"completed": count} and checker.rows(db, "sms")


def test_dispatcher_for_three_leases(daemon, db, receiver):
    """Without a lease no worker starts anything new; the continued dispatcher finds its way back."""
    receiver.control(slow=0.01)
    enqueue(db, 800)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2}}, lease="2s").start()
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    pid = d.pid("dispatcher")
    os.kill(pid, signal.SIGSTOP)
    try:
        end = time.monotonic() + 6.5
        while time.monotonic() < end:
            d.ctl("ping")
            time.sleep(0.25)
        quiet = len(receiver.attempts())
        time.sleep(0.5)
        assert len(receiver.attempts()) == quiet, "effects without a lease"
    finally:
        os.kill(pid, signal.SIGCONT)
    exactly_once(db, receiver, 800)


def test_workers_for_three_leases(daemon, db, receiver):
    """Stopped workers hold their few jobs; the others go on; nothing is sent twice when they wake."""
    receiver.control(slow=0.01)
    enqueue(db, 600)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "batch_size": 10, "batch_adaptive": "off"}}, lease="2s").start()
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    pids = d.pids("worker")[:2]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: db.unfinished("sms") < 100, "the third worker to go on", 60)
        time.sleep(6)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    exactly_once(db, receiver, 600)


def test_whole_node_alone(daemon, db, receiver):
    """Every process of the only node stopped for three leases: afterwards all goes on, exactly once."""
    receiver.control(slow=0.01)
    enqueue(db, 600)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2}}, lease="2s").start()
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    family = d.family()
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(6.5)
    for pid in family:
        os.kill(pid, signal.SIGCONT)
    d.wait_ready()
    exactly_once(db, receiver, 600)


def test_master_stopped(daemon, db):
    """Work goes on without the master; it picks up where it was."""
    d = daemon(db, {"null": {}}).start()
    d.signal(signal.SIGSTOP)
    try:
        db.wait_job(db.enqueue("null", {}), "completed")
    finally:
        d.signal(signal.SIGCONT)
    d.ctl("ping")
