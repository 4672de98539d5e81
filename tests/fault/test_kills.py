"""kill -9 of every kind of process under load, judged from outside: nothing lost, nothing repeated but what was under way."""
import os
import random
import signal
import time

import pytest

import checker
from harness.wait import wait_until
from ledger import Ledger
from nemesis import Nemesis, freeze_one, kill_one

WORKERS, BATCH, CONNECTIONS = 3, 10, 10


@pytest.fixture
def house(daemon, db, receiver, where):
    """A daemon that sends SMS, a receiver that takes 5 ms for each, two writers at 150 jobs a second with rollbacks."""
    receiver.control(slow=0.005)
    keys = {**receiver.queue_keys(), "workers": WORKERS, "batch_size": BATCH, "max_connections": CONNECTIONS, "on_uncertain": "retry",
            "retry_backoff": "fixed 200ms", "max_retries": 20}

    class House:
        def __init__(self):
            self.d = daemon(db, {"sms": keys}, lease="5s").start()
            self.ledger = Ledger(f"{where}/ledger").start(db.dsn("jobq_producer"), writers=2, count=600, rate=150, tenants=5, rollback=0.05,
                                                          priorities=["urgent", "normal", "normal", "low"])
            wait_until(lambda: len(receiver.effects()) > 100, "deliveries")

        def progress(self, more=30, timeout=15.0):
            before = len(receiver.effects())
            wait_until(lambda: len(receiver.effects()) > before + more or not self.ledger.busy() and not db.unfinished("sms"), "deliveries to go on", timeout)

        def judge(self, kills):
            """Each kill may repeat what its victims had begun and not seen acknowledged: on the wire, and a batch of answers on their way."""
            self.ledger.wait()
            db.settle("sms", 90)
            verdict = checker.check(self.ledger.read(), receiver.effects(), checker.rows(db, "sms"), kills * WORKERS * (CONNECTIONS + BATCH))
            assert not verdict.broken, str(verdict)
            print(verdict)
            return verdict

    one = House()
    yield one
    one.ledger.stop()


def test_workers(house):
    """One after another, ten times: immediate restarts, no crash loop, no try burnt for what had not begun."""
    for _ in range(10):
        wait_until(lambda: kill_one(house.d, "worker"), "a worker to kill")
        house.progress()
    house.judge(kills=10)
    assert house.d.queue_status("sms")["state"] == "running"


def test_dispatcher(house):
    """Workers live on, keep their outcomes and tell the new one; nothing at all is repeated for it."""
    pids = house.d.pids("worker")
    for _ in range(6):
        wait_until(lambda: kill_one(house.d, "dispatcher"), "a dispatcher to kill")
        house.progress()
    verdict = house.judge(kills=0)
    assert verdict.repeats == 0
    assert house.d.pids("worker") == pids


def test_master(house):
    """Children drain and leave; the next master takes over what they had."""
    for _ in range(4):
        house.d.kill()
        house.d.start()
        house.progress()
    house.judge(kills=4)


def test_everything_at_once(house):
    """All processes in one moment, as in a power cut of the machine that the database survives."""
    for _ in range(4):
        for pid in house.d.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        house.d.process.wait(10)
        house.d.start()
        house.progress()
    house.judge(kills=4)


def test_recovery_within_two_seconds(house, receiver):
    """After a kill of worker or dispatcher the next delivery comes within 2 s, by the receiver's clock. The bound is I4, not a wish of the test."""
    for role in ("worker", "dispatcher") * 2:
        at = time.monotonic()
        assert kill_one(house.d, role)
        house.progress(more=1, timeout=10)
        later = [e["m"] for e in receiver.effects() if e["m"] > at]
        assert not later or min(later) - at < 2.0
    house.judge(kills=2)


def test_nemesis(house, pg, db):
    """Everything at random for a while; the seed is printed and replays (JOBQ_SEED)."""
    chooser = random.Random(os.environ.get("JOBQ_SEED"))
    freezes = 2.0
    nemesis = Nemesis({
        "kill a worker": lambda: kill_one(house.d, "worker", chooser),
        "kill the dispatcher": lambda: kill_one(house.d, "dispatcher", chooser),
        "cut connections": lambda: pg.terminate(db.name, "jobqd%"),
        "freeze a worker": lambda: freeze_one(house.d, "worker", freezes, chooser),
        "freeze the dispatcher": lambda: freeze_one(house.d, "dispatcher", freezes, chooser),
        "reload": lambda: house.d.ctl("reload"),
        "kill and start the master": lambda: (house.d.kill(), house.d.start()),
    }, pause=(0.2, 0.8)).start()
    try:
        wait_until(lambda: not house.ledger.busy() or nemesis.error, "the writers to be done", 120)
    finally:
        done = nemesis.stop()
    print(nemesis)
    house.judge(kills=done)
