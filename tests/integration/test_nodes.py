"""Several nodes on one database: work is shared, and a lost node's work is taken over, once."""
import os
import signal

import checker
from harness.wait import wait_until
from ledger import Ledger


def two(daemon, db, receiver, **jobqd):
    keys = {**receiver.queue_keys(), "workers": 2, "batch_size": 10}
    return [daemon(db, {"sms": keys}, **jobqd).start() for _ in range(2)]


def numbers(count, first=0):
    return [{"queue": "sms", "tenant_id": f"t{n % 7}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(first, first + count)]


def test_share_and_no_doubles(daemon, db, receiver):
    """Both work on one backlog; no message goes out twice; each sees the other."""
    receiver.control(slow=0.01)
    a, b = two(daemon, db, receiver)
    db.enqueue_many(numbers(1500))
    db.settle("sms")
    assert sorted(int(e["text"]) for e in receiver.effects()) == list(range(1500))
    assert a.queue_status("sms")["completed"] + b.queue_status("sms")["completed"] == 1500
    assert a.queue_status("sms")["completed"] > 100 and b.queue_status("sms")["completed"] > 100
    a.wait_status(lambda s: len(s["nodes"]) == 2, "both nodes in status")


def test_node_lost_for_good(daemon, db, receiver, where):
    """Every process of a node killed at once and never started again: the other takes its jobs over within the lease. When it dies it waits
    for all the answers that it may (10 connections a worker), and holds jobs that it has not begun."""
    receiver.control(slow=0.05)
    a, b = two(daemon, db, receiver, lease="3s")
    ledger = Ledger(f"{where}/ledger").start(db.dsn("jobq_producer"), writers=2, count=1000, rate=200, tenants=5)
    wait_until(lambda: a.queue_status("sms")["completed"] > 20, "node a to be at work")
    receiver.control(slow=5)
    wait_until(lambda: a.queue_status("sms")["in_flight"] > 25, "node a to hold more than it has begun")
    held = a.status()["queues"][0]["in_flight"]
    a.power_off()
    receiver.control(slow=0.05)
    ledger.wait()
    db.settle("sms", 60)
    found = checker.check(ledger.read(), receiver.effects(), checker.rows(db, "sms"), repeats_allowed=held + 40)
    assert not [t for t in found.broken if "held" not in t], str(found)
    assert b.queue_status("sms")["rescued"] > 0
    b.wait_status(lambda s: len(s["nodes"]) == 1, "the lost node to be forgotten")


def test_frozen_for_three_leases(daemon, db, receiver):
    """A whole node stopped (SIGSTOP) for three leases: the other takes over; awake again, it sends nothing that is no longer its own."""
    receiver.control(slow=0.02)
    a, b = two(daemon, db, receiver, lease="2s")
    db.enqueue_many(numbers(1000))
    wait_until(lambda: a.queue_status("sms")["completed"] > 20, "node a to be at work")
    family = a.family()
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        db.settle("sms", 60)
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)
    a.wait_ready()
    db.enqueue_many(numbers(200, 1000))
    db.settle("sms")
    texts = sorted(int(e["text"]) for e in receiver.effects())
    repeats = len(texts) - len(set(texts))
    # what two workers had on the wire when they froze (10 connections each), and answers that nobody had written down yet (a batch each)
    assert set(texts) >= set(range(1200)) - {int(r["key"]) for r in checker.rows(db, "sms") if r["status"] == "held"} and repeats <= 40, repeats


def test_pause_on_all_nodes(daemon, db, receiver):
    """A pause said to one node is obeyed by both."""
    a, b = two(daemon, db, receiver)
    a.ctl("pause", "sms", "--reason", "x")
    b.wait_status(lambda s: s["queues"][0]["pause"] and s["queues"][0]["state"] == "paused", "the pause on the other node")
    b.ctl("resume", "sms")
    a.wait_status(lambda s: s["queues"][0]["pause"] is None, "the end of the pause")


def test_one_leaves_cleanly(daemon, db, receiver):
    """A stopped node's rows are back at once; the other finishes them."""
    receiver.control(slow=0.02)
    a, b = two(daemon, db, receiver)
    db.enqueue_many(numbers(600))
    wait_until(lambda: a.queue_status("sms")["completed"] > 20, "node a to be at work")
    assert a.stop() == 0
    db.settle("sms", 60)
    assert sorted(int(e["text"]) for e in receiver.effects()) == list(range(600))
    assert db.statuses("sms") == {"completed": 600} and db.one("SELECT max(retry_count) FROM jobq.jobs") == 0
