"""Connections for handlers: bounded over a queue, kept, replaced, given up, and counted."""
import os
import signal

import pytest

from harness.proxy import Proxy
from harness.wait import stays, wait_until

SLOW = """
CREATE TABLE gate (shut boolean); INSERT INTO gate VALUES (true);
CREATE FUNCTION wait_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$BEGIN
    WHILE EXISTS (SELECT FROM gate WHERE shut) LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN NEW; END$$;
CREATE TRIGGER wait_gate BEFORE INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION wait_gate()
"""


@pytest.fixture
def shop(daemon, db, where):
    class Shop:
        def __init__(self, pool=None, slow=False, **keys):
            db.sql("CREATE TABLE items (sku text); GRANT SELECT, INSERT ON items TO jobq_worker")
            if slow:
                db.sql(SLOW)
            os.makedirs(os.path.join(where, "files"))
            with open(os.path.join(where, "files", "a.csv"), "w", encoding="ascii") as f:
                f.write("sku\n1\n")
            self.daemon = daemon(db, {"import": {"import_dir": os.path.join(where, "files"), "tables": "items", "workers": 2, "batch_size": 1,
                                                 "batch_min": 1, "batch_adaptive": "off", "group_by": "none", "retry_backoff": "fixed 100ms", **keys}})
            self.daemon.sections["pool default"] = pool or {}
            self.daemon.write()

        def enqueue(self, count=1):
            return db.enqueue_many([{"queue": "import", "payload": {"source": "a.csv", "table": "items"}}] * count)

        def pool(self):
            return self.daemon.status()["pools"][0]

        def wait(self, condition, what):
            return wait_until(lambda: condition(p := self.pool()) and p, what, 30)

    return Shop


def sessions(db, name="default"):
    return [pid for pid, in db.sql("SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()", [f"jobqd pool {name}"])]


def test_bounded_over_the_queue(shop, db):
    """Two workers share three connections, however many jobs there are; status says so, in both forms."""
    s = shop({"max": 3, "min": 1}, slow=True, concurrency=8)
    s.daemon.start()
    s.enqueue(12)
    s.wait(lambda p: p["in_use"] == 3, "three connections in use")
    stays(lambda: len(sessions(db)) <= 3, "no more than three sessions", 1)
    assert {k: s.pool()[k] for k in ("name", "max", "idle", "timeouts", "errors")} == {"name": "default", "max": 3, "idle": 0, "timeouts": 0, "errors": 0}
    assert "POOL" in s.daemon.ctl("status") and "default" in s.daemon.ctl("status")
    db.sql("UPDATE gate SET shut = false")
    db.settle("import")
    pool = s.wait(lambda p: p["in_use"] == 0, "all connections back")
    assert pool["acquired"] == pool["released"] == 12 and pool["waiting"] == 0
    assert db.statuses("import") == {"completed": 12}


def test_kept_and_given_up(shop, db):
    """`min` connections are kept; what is idle beyond them goes."""
    s = shop({"max": 6, "min": 2, "idle_timeout": "0", "evict_interval": "200ms"}, slow=True, concurrency=8)
    s.daemon.start()
    s.wait(lambda p: p["idle"] == 2, "two connections from the start")
    s.enqueue(6)
    s.wait(lambda p: p["in_use"] == 6, "six in use")
    db.sql("UPDATE gate SET shut = false")
    db.settle("import")
    s.wait(lambda p: (p["in_use"], p["idle"]) == (0, 2), "two that are kept")
    wait_until(lambda: len(sessions(db)) == 2, "two sessions")


def test_lost_ones_are_replaced(shop, db):
    s = shop({"max": 2, "min": 2})
    s.daemon.start()
    s.wait(lambda p: p["idle"] == 2, "two connections")
    old = set(sessions(db))
    for pid in old:
        db.sql("SELECT pg_terminate_backend(%s)", [pid])
    s.wait(lambda p: p["errors"] >= 2 and p["idle"] == 2, "two new ones")
    assert not old & set(sessions(db))
    for job in s.enqueue(4):
        db.wait_job(job, "completed")


def test_nobody_there(shop, db, pg, where):
    """A pool whose database does not answer: jobs go back with the reason, without a try; when it is there, they run."""
    proxy = Proxy(f"{where}/proxy", f"{pg.dir}/.s.PGSQL.{pg.port}").start()
    try:
        s = shop({"database": db.dsn(host=proxy.dir), "max": 2, "acquire_timeout": "300ms"}, max_retries=0)
        proxy.refuse = True
        s.daemon.start()
        job = s.enqueue()[0]
        wait_until(lambda: db.job(job)["error_message"], "a reason")
        row = db.job(job)
        assert "no connection of pool default within 0.3 s" in row["error_message"] and row["retry_count"] == 0
        pool = s.wait(lambda p: p["timeouts"] >= 1, "a timeout")
        assert pool["errors"] >= 1 and pool["in_use"] == 0
        proxy.refuse = False
        assert db.wait_job(job, "completed")["retry_count"] == 0
    finally:
        proxy.stop()


def test_counts_outlive_a_worker(shop, db):
    """Counts of a worker that was killed are not lost, and what it held is not counted any more."""
    s = shop({"max": 2, "min": 0}, slow=True, workers=1, concurrency=2)
    s.daemon.start()
    db.sql("UPDATE gate SET shut = false")
    for job in s.enqueue(3):
        db.wait_job(job, "completed")
    db.sql("UPDATE gate SET shut = true")
    s.enqueue()
    s.wait(lambda p: p["in_use"] == 1, "a connection in use")
    os.kill(s.daemon.pid("worker"), signal.SIGKILL)
    s.wait(lambda p: p["acquired"] == 5 and p["in_use"] == 1, "the job to run again")
    assert s.pool()["released"] == 3
    db.sql("UPDATE gate SET shut = false")
    db.settle("import")


def test_reload(shop, db):
    """Another size rolls the workers that use the pool, and nobody else; a pool that is gone goes from status."""
    s = shop({"max": 4}, workers=2)
    s.daemon.queue("null", workers=1)
    s.daemon.start()
    before, others = set(s.daemon.pids("worker", "import")), s.daemon.pids("worker", "null") + s.daemon.pids("dispatcher")
    s.daemon.sections["pool default"]["max"] = 2
    s.daemon.write()
    s.daemon.ctl("reload")
    s.wait(lambda p: p["max"] == 2, "the new size")
    s.daemon.wait_status(lambda st: len(new := {p["pid"] for p in st["processes"] if p["queue"] == "import" and p["state"] == "ready"}) == 2 and not new & before,
                         "new workers")
    assert s.daemon.pids("worker", "null") + s.daemon.pids("dispatcher") == others
    s.daemon.queue("import", pool="other")
    s.daemon.sections["pool other"] = {"database": db.dsn(), "max": 3}
    s.daemon.write()
    s.daemon.ctl("reload")
    s.daemon.wait_status(lambda st: [(p["name"], p["max"]) for p in st["pools"]] == [("other", 3)], "the other pool alone")


def test_old_variables(shop):
    s = shop()
    s.daemon.start(DB_POOL_MAX="5", DB_POOL_MIN="3")
    assert s.pool()["max"] == 5
    s.wait(lambda p: p["idle"] == 3, "three connections")


def test_unknown_pool_is_refused(shop):
    """At a reload: the error names the nearest one, and the workers stay."""
    s = shop()
    s.daemon.start()
    before = s.daemon.pids("worker")
    s.daemon.queue("import", pool="defualt")
    done = s.daemon.ctl("reload", code=1) or ""
    assert s.daemon.pids("worker") == before and 'did you mean "default"?' in s.daemon.status()["config"]["error"], done
