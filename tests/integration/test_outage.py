"""PostgreSQL goes away and comes back: nothing stops, nothing is lost, nothing is delivered twice."""
import time

import psycopg2
import pytest
from harness.proxy import Proxy
from harness.wait import stays, wait_until

import checker
from ledger import Ledger


def load(d, where, db, receiver, count=1500, rate=300, **spec):
    return Ledger(f"{where}/ledger").start(db.dsn("jobq_producer"), writers=2, count=count // 2, rate=rate // 2, tenants=5, **spec)


def verdict(ledger, receiver, db, repeats=0):
    ledger.wait()
    db.settle("sms", 90)
    found = checker.check(ledger.read(), receiver.effects(), checker.rows(db, "sms"), repeats)
    assert not found.broken, str(found)
    return found


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_under_load(daemon, own_pg, own_db, receiver, where, mode):
    """Stopped for a while in the middle of deliveries; outcomes wait and are acknowledged when it is back."""
    d = daemon(own_db, {"sms": {**receiver.queue_keys(), "workers": 3}}).start()
    pids = d.pids("worker")
    ledger = load(d, where, own_db, receiver)
    wait_until(lambda: len(receiver.effects()) > 200, "deliveries")
    own_db.close()
    own_pg.stop(mode)
    d.wait_status(lambda s: s["database"]["state"] != "connected", "the outage to show")
    own_pg.start()
    d.wait_ready()
    verdict(ledger, receiver, own_db)
    assert d.pids("worker") == pids and own_db.one("SELECT max(retry_count) FROM jobq.jobs") == 0


def test_starts_before_the_database(daemon, own_pg, own_db):
    """jobqd waits for a database that is not there yet, with its workers ready."""
    own_db.close()
    own_pg.stop()
    d = daemon(own_db, {"null": {}}).start(ready=False)
    d.wait_status(lambda s: s["database"]["state"] in ("waiting", "connecting") and s["queues"][0]["workers"]["ready"] == 5, "workers ready without a database")
    own_pg.start()
    d.wait_ready()
    own_db.wait_job(own_db.enqueue("null", {}), "completed")


def test_connections_cut_every_moment(daemon, db, pg, receiver, where):
    """All backends of jobqd terminated again and again under load."""
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3}}).start()
    ledger = load(d, where, db, receiver)
    for n in range(10):
        before = len(receiver.effects())
        wait_until(lambda: len(receiver.effects()) > before + 40 or not ledger.busy(), "deliveries to go on")
        pg.terminate(db.name, "jobqd%")
    verdict(ledger, receiver, db)
    assert db.one("SELECT max(retry_count) FROM jobq.jobs") == 0


def test_frozen(daemon, own_pg, own_db, receiver, where):
    """PostgreSQL stopped with SIGSTOP for longer than a lease: nothing is sent twice, all goes on afterwards."""
    d = daemon(own_db, {"sms": {**receiver.queue_keys(), "workers": 3}}, lease="2s").start()
    ledger = load(d, where, own_db, receiver)
    wait_until(lambda: len(receiver.effects()) > 200, "deliveries")
    own_pg.freeze()
    try:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            d.ctl("ping")
            time.sleep(0.2)
    finally:
        own_pg.thaw()
    verdict(ledger, receiver, own_db)


def quiet(receiver):
    """Nothing was delivered for a second."""
    before = len(receiver.effects())
    time.sleep(1)
    return len(receiver.effects()) == before


def test_outcomes_wait_within_bounds(daemon, own_pg, own_db, receiver):
    """With the database away only what is in hand goes out; then workers are held, and nothing is forgotten."""
    receiver.control(slow=0.02)
    d = daemon(own_db, {"sms": {**receiver.queue_keys(), "workers": 2, "batch_size": 10}}).start()
    own_db.enqueue_many([{"queue": "sms", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(400)])
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    own_db.close()
    own_pg.stop("immediate")
    d.wait_status(lambda s: s["database"]["state"] != "connected", "the outage to show")
    wait_until(lambda: quiet(receiver), "deliveries to stop", 30)
    own_pg.start()
    own_db.settle("sms")
    texts = [e["text"] for e in receiver.effects()]
    assert sorted(texts, key=int) == [str(n) for n in range(400)]



@pytest.mark.parametrize("point", ["claim", "finish_move", "node_renew", "back"])
def test_cut_before_the_answer(daemon, db, pg, receiver, where, point):
    """The connection dies when the statement has reached the server and its answer has not come back: at the claim, the completion, ..."""
    proxy = Proxy(f"{where}/proxy", f"{pg.dir}/.s.PGSQL.{pg.port}").start()
    try:
        keys = {**receiver.queue_keys(), "workers": 2, "retry_backoff": "fixed 100ms"}
        d = daemon(db.dsn(host=proxy.dir), {"sms": keys}, lease="3s").start()
        ids = db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 3}",
                                "payload": {"to": f"+999010{n:05d}" if n % 10 == 0 else f"+35840{n:07d}", "text": str(n)}} for n in range(100)])
        db.settle("sms")
        cut = False
        for round_ in range(3):
            proxy.cut_after_word(b"\0" + point.encode())  # the name of the prepared statement in a Bind message
            ids += db.enqueue_many([{"queue": "sms", "payload": {"to": f"+999010{n:05d}" if n % 10 == 1 else f"+35840{n:07d}", "text": str(n)}}
                                    for n in range(100 * (round_ + 1), 100 * (round_ + 2))])
            db.settle("sms")
            cut = cut or proxy.cuts > 0
        d.wait_ready()
        assert cut, f"no connection was cut: is there a statement {point}?"
        texts = sorted(int(e["text"]) for e in receiver.effects())
        assert texts == list(range(400)), f"{len(texts)} effects of 400"
        assert db.statuses("sms") == {"completed": 400}
    finally:
        proxy.stop()


def test_black_hole(daemon, db, pg, where):
    """A connection on which nothing comes back any more (half open) is given up, and a new one is made."""
    proxy = Proxy(f"{where}/proxy", f"{pg.dir}/.s.PGSQL.{pg.port}").start()
    try:
        d = daemon(db.dsn(host=proxy.dir), {"null": {}}, lease="3s").start()
        db.wait_job(db.enqueue("null", {}), "completed")
        proxy.silent = True
        d.wait_status(lambda s: s["database"]["state"] != "connected", "the silence to be noticed", 60)
        proxy.cut_all()
        proxy.silent = False
        d.wait_ready()
        db.wait_job(db.enqueue("null", {}), "completed")
    finally:
        proxy.stop()


def test_slow_database(daemon, db, pg, where):
    """Every answer 50 ms late: slower, and all right."""
    proxy = Proxy(f"{where}/proxy", f"{pg.dir}/.s.PGSQL.{pg.port}").start()
    try:
        proxy.delay = 0.05
        daemon(db.dsn(host=proxy.dir), {"null": {}}).start()
        db.enqueue_many([{"queue": "null", "tenant_id": f"t{n % 9}"} for n in range(2000)])
        db.settle("null")
        assert db.statuses("null") == {"completed": 2000}
    finally:
        proxy.stop()


def test_out_of_connections(daemon, own_pg, own_db):
    """No connection to be had: jobqd waits for one and says why."""
    d = daemon(own_db, {"null": {}}).start()
    own_db.close()
    hoard = []
    try:
        own_pg.terminate("jobq", "jobqd%")
        while True:
            try:
                hoard.append(own_pg.connect())
            except psycopg2.OperationalError:
                break
        assert d.json("ping")["pid"] == d.process.pid
    finally:
        for connection in hoard:
            connection.close()
    d.wait_ready()
    own_db.wait_job(own_db.enqueue("null", {}), "completed")


def test_lock_held(daemon, db):
    """A lock on the table holds jobqd up only as long as it is held."""
    d = daemon(db, {"null": {}}).start()
    locker = db.connect("postgres", autocommit=False)
    with locker.cursor() as cursor:
        cursor.execute("LOCK TABLE jobq.jobs_live IN ACCESS EXCLUSIVE MODE")
        d.ctl("ping")
        stays(d.alive, "jobqd lives", 2)
        locker.rollback()
    locker.close()
    db.wait_job(db.enqueue("null", {}), "completed")
