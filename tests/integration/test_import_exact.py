"""An import's rows are there once or not at all, whoever is killed or stopped while it runs."""
import os
import signal
import threading
import time

import pytest

from harness.proxy import Proxy
from harness.wait import stays, wait_until

ROWS = 20000


@pytest.fixture
def shop(daemon, db, where):
    class Shop:
        def __init__(self, database=None, **keys):
            # no key: a second run would add its rows to the first's
            db.sql("CREATE TABLE IF NOT EXISTS items (store_id text, sku text, name text); GRANT SELECT, INSERT, UPDATE ON items TO jobq_worker")
            self.files = os.path.join(where, "files")
            os.makedirs(self.files, exist_ok=True)
            self.daemon = daemon(database or db, {"import": {"import_dir": self.files, "tables": "items", "tenant_column": "store_id", "workers": 1,
                                                             "retry_backoff": "fixed 100ms", "max_retries": 0, **keys}}, lease="2s")

        def write(self, name="a.csv", rows=ROWS, pad=""):
            with open(os.path.join(self.files, name), "w", encoding="ascii") as f:
                f.write("sku,name\n")
                f.writelines(f"{n},name of {n}{pad}\n" for n in range(rows))

        def enqueue(self, name="a.csv"):
            return db.enqueue("import", {"source": name, "table": "items"}, tenant_id="acme")

        def exactly_once(self, job, rows=ROWS):
            row = db.wait_job(job, "completed", 60)
            assert db.sql("SELECT count(*), count(DISTINCT sku) FROM items") == [(rows, rows)]
            assert row["result"]["inserted"] == rows and row["retry_count"] == 0

    return Shop


POINTS = ["before_effect", "import_copy", "import_merged", "import_commit_sent", "after_effect", "before_complete", "after_complete_sent", "before_ack"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(shop, db, point):
    """Killed at each point of the way: exactly once, without burning a try."""
    s = shop()
    s.write()
    s.daemon.start(fault=f"{point}=kill")
    s.exactly_once(s.enqueue())
    s.daemon.wait_status(lambda status: sum(p["restarts"] for p in status["processes"]) == 1, "a restart")


@pytest.mark.parametrize("role", ["worker", "dispatcher"])
def test_killed_in_the_middle(shop, db, role):
    """kill -9 while rows are staged, several times at random moments."""
    s = shop()
    s.write(rows=200000)
    s.daemon.start()
    job = s.enqueue()
    for moment in (0.02, 0.1, 0.3):
        wait_until(lambda: (r := db.job(job))["status"] in ("claimed", "running", "completed"), "the import to run", 30, 0.005)
        time.sleep(moment)
        if db.job(job)["status"] == "completed":
            break
        for pid in s.daemon.pids(role):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: s.daemon.pids(role), "a new process")
    s.exactly_once(job, 200000)


def backends(db):
    return [pid for pid, in db.sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'jobqd pool%' AND state <> 'idle'")]


def test_backend_killed(shop, db):
    """Its server process ends in the middle: again, and no try is burnt."""
    s = shop()
    s.write(rows=200000)
    s.daemon.start()
    job = s.enqueue()
    pids = wait_until(lambda: backends(db), "the import's backend", 30, 0.005)
    db.sql("SELECT pg_terminate_backend(%s)", [pids[0]])
    s.exactly_once(job, 200000)


@pytest.mark.parametrize("word,reply", [(b"CREATE TEMP", False), (b"COPY pg_temp", False), (b"WITH merged", False), (b"jobq.complete", False),
                                        (b"COMMIT", False), (b"COMMIT", True)])
def test_connection_cut(shop, db, pg, where, word, reply):
    """The connection is cut between a statement and its answer, the COMMIT's included: exactly once, no try burnt."""
    s = shop(pool="cut")
    s.write(rows=2000)
    proxy = Proxy(f"{where}/proxy", f"{pg.dir}/.s.PGSQL.{pg.port}").start()
    try:
        s.daemon.sections["pool cut"] = {"database": db.dsn(host=proxy.dir), "min": 0, "idle_timeout": "0"}
        s.daemon.write()
        s.daemon.start()
        proxy.cut_after_word(word, reply)
        s.exactly_once(s.enqueue(), 2000)
        assert proxy.cuts == 1
    finally:
        proxy.stop()


def test_connection_cut_anywhere(shop, db, pg, where):
    """Cut after some bytes of the server's, again and again, each time a bit later."""
    s = shop(pool="cut")
    s.write(rows=500)
    proxy = Proxy(f"{where}/proxy", f"{pg.dir}/.s.PGSQL.{pg.port}").start()
    try:
        s.daemon.sections["pool cut"] = {"database": db.dsn(host=proxy.dir), "min": 0}
        s.daemon.write()
        s.daemon.start()
        for count in range(1, 12):
            proxy.cut_after_bytes(150 * count)
            db.wait_job(s.enqueue(), "completed", 60)
            assert db.sql("SELECT count(*), min(n), max(n) FROM (SELECT count(*) AS n FROM items GROUP BY sku) x") == [(500, count, count)]
        assert proxy.cuts >= 3
    finally:
        proxy.stop()


def test_cancelled(shop, db):
    """A cancel stops the server's work, leaves nothing, and the worker takes the next one."""
    s = shop()
    db.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(3600); RETURN NEW; END$$;"
           "CREATE TRIGGER slow BEFORE INSERT ON items FOR EACH ROW WHEN (NEW.sku = '7') EXECUTE FUNCTION slow()")
    s.write(rows=10)
    s.write("b.csv", rows=5)
    d = s.daemon.start()
    job = s.enqueue()
    wait_until(lambda: db.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'WITH merged%' AND wait_event = 'PgSleep'"), "the merge")
    assert db.job(job)["status"] in ("claimed", "running")
    d.ctl("cancel", job, "--yes")
    db.wait_job(job, "cancelled")
    wait_until(lambda: not backends(db), "the backend to stop")
    pid = d.pid("worker")
    db.wait_job(s.enqueue("b.csv"), "completed")
    assert d.pid("worker") == pid and db.one("SELECT count(*) FROM items") == 5


def test_timed_out(shop, db):
    s = shop(job_timeout="1s")
    db.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(3600); RETURN NEW; END$$;"
           "CREATE TRIGGER slow BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION slow()")
    s.write(rows=10)
    d = s.daemon.start()
    row = db.wait_job(s.enqueue(), "failed")
    assert "its time was over" in row["error_message"]
    wait_until(lambda: not backends(db), "the backend to stop")
    assert d.pid("worker")


def test_progress(shop, db):
    """While it runs it says how far it is."""
    s = shop()
    db.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(3600); RETURN NEW; END$$;"
           "CREATE TRIGGER slow BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION slow()")
    s.write(rows=10)
    s.daemon.start()
    job = s.enqueue()
    row = wait_until(lambda: (r := db.job(job))["progress_note"] and r, "progress", 30)
    assert row["status"] == "running" and row["progress"] == 60 and "merging: 10 rows" in row["progress_note"]
    db.sql("SELECT jobq.cancel(%s)", [job])
    db.wait_job(job, "cancelled")


def test_nobody_holds_locks_for_ever(shop, db):
    """The server ends a transaction whose worker is gone or frozen, and never one that is only long."""
    s = shop()
    db.sql(f"ALTER ROLE jobq_worker IN DATABASE {db.name} SET statement_timeout = '1h'")
    db.sql("CREATE TABLE seen (name text, setting text); GRANT INSERT ON seen TO jobq_worker;"
           "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$BEGIN INSERT INTO seen SELECT name, setting || unit FROM pg_settings"
           " WHERE name IN ('idle_in_transaction_session_timeout', 'client_connection_check_interval', 'statement_timeout'); RETURN NULL; END$$;"
           "CREATE TRIGGER look AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION look()")
    s.write(rows=10)
    s.daemon.start()
    s.exactly_once(s.enqueue(), 10)
    assert dict(db.sql("SELECT name, setting FROM seen")) == {"idle_in_transaction_session_timeout": "60000ms", "client_connection_check_interval": "1000ms",
                                                              "statement_timeout": "0ms"}


def test_file_changes_while_it_is_read(shop, db):
    """A file that grows under the reader is read again."""
    s = shop(max_retries=20)
    s.write(rows=100)
    stop = threading.Event()

    def grow():
        path = os.path.join(s.files, "a.csv")
        n = 100
        while not stop.wait(0.001) and n < 3000:
            with open(path, "a", encoding="ascii") as f:
                f.write("".join(f"{i},name of {i}\n" for i in range(n, n + 50)))
            n += 50

    s.daemon.start()
    writer = threading.Thread(target=grow)
    writer.start()
    job = s.enqueue()
    writer.join()
    stop.set()
    row = db.wait_job(job, "completed", 60)
    with open(os.path.join(s.files, "a.csv"), encoding="ascii") as f:
        lines = len(f.read().splitlines()) - 1
    count = db.one("SELECT count(*) FROM items")
    assert count == row["result"]["inserted"] <= lines and count == db.one("SELECT count(DISTINCT sku) FROM items")
    assert (count - 100) % 50 == 0  # never half a piece


def test_completed_at_once(shop, db):
    """retain_completed = 0: no trace of the job is kept, and still exactly once when the worker dies behind its COMMIT."""
    s = shop(retain_completed="0")
    s.write()
    s.daemon.start(fault="import_commit_sent=kill")
    job = s.enqueue()
    wait_until(lambda: db.job(job) is None, "the job to go", 60)
    assert db.sql("SELECT count(*) FROM items") == [(ROWS,)]
    stays(lambda: db.one("SELECT count(*) FROM items") == ROWS, "rows as they were", 1)


def test_other_database(shop, db, pg):
    """A pool of another database: the job is completed behind the commit."""
    from harness.database import Database
    other = Database(pg, db.name + "x")
    pg.sql(f'CREATE DATABASE "{other.name}"')
    try:
        other.sql("CREATE TABLE items (store_id text, sku text, name text); GRANT SELECT, INSERT ON items TO jobq_worker")
        s = shop(pool="other")
        s.daemon.sections["pool other"] = {"database": other.dsn(), "max": 3}
        s.daemon.write()
        s.write(rows=100)
        s.daemon.start()
        row = db.wait_job(s.enqueue(), "completed")
        assert row["result"]["inserted"] == 100 and other.one("SELECT count(*) FROM items") == 100 and db.one("SELECT count(*) FROM items") == 0
    finally:
        other.drop()


def test_other_user(shop, db):
    """A pool of the queue's database under another user: his rights, and still one transaction. Without jobq_producer it says what is missing."""
    name = db.name + "_shop"
    db.sql(f"CREATE ROLE {name} LOGIN")
    try:
        s = shop(pool="shop")
        db.sql(f"GRANT SELECT, INSERT, UPDATE ON items TO {name}; REVOKE ALL ON items FROM jobq_worker")
        s.daemon.sections["pool shop"] = {"database": db.dsn(name)}
        s.daemon.write()
        s.write()
        s.daemon.start(fault="import_merged=kill")
        row = db.wait_job(s.enqueue(), "failed")
        assert "jobq_producer" in row["error_message"]
        db.sql(f"GRANT jobq_producer TO {name}")
        s.exactly_once(s.enqueue())
    finally:
        s.daemon.stop("--now")
        db.sql(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_no_rights(shop, db):
    """A table without rights for jobq_worker: failed, and the reason is PostgreSQL's."""
    s = shop()
    db.sql("REVOKE ALL ON items FROM jobq_worker")
    s.write(rows=3)
    s.daemon.start()
    assert "permission denied for table items" in db.wait_job(s.enqueue(), "failed")["error_message"]


def test_locked_table(shop, db):
    """A table that somebody has locked: tried again."""
    s = shop(max_retries=5)
    s.write(rows=3)
    s.daemon.start()
    holder = db.connect("postgres", autocommit=False)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE items")
    job = s.enqueue()
    wait_until(lambda: db.job(job)["retry_count"] >= 1, "a failed try", 30)
    holder.rollback()
    holder.close()
    assert db.wait_job(job, "completed")["result"]["inserted"] == 3


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_server_restarts(daemon, own_pg, own_db, where, mode):
    """PostgreSQL stops in the middle of an import and comes back: exactly once, and no try is burnt."""
    own_db.sql("CREATE TABLE items (store_id text, sku text, name text); GRANT SELECT, INSERT ON items TO jobq_worker")
    os.makedirs(os.path.join(where, "files"))
    with open(os.path.join(where, "files", "a.csv"), "w", encoding="ascii") as f:
        f.write("sku,name\n" + "".join(f"{n},name of {n}\n" for n in range(200000)))
    d = daemon(own_db, {"import": {"import_dir": os.path.join(where, "files"), "tables": "items", "workers": 1, "max_retries": 0}}).start()
    job = own_db.enqueue("import", {"source": "a.csv", "table": "items"})
    wait_until(lambda: backends(own_db), "the import's backend", 30, 0.005)
    own_db.close()
    own_pg.stop(mode)
    d.wait_status(lambda s: s["database"]["state"] != "connected", "the outage to show")
    own_pg.start()
    d.wait_ready()
    row = own_db.wait_job(job, "completed", 60)
    assert row["retry_count"] == 0 and own_db.sql("SELECT count(*), count(DISTINCT sku) FROM items") == [(200000, 200000)]


def test_old_errors_go(daemon, db):
    """Bad rows are kept as long as their job may be, and not longer."""
    db.sql("INSERT INTO jobq.import_errors (job_id, line, reason, expire_on) VALUES (1, 1, 'x', current_date - 1), (2, 1, 'y', current_date + 1)")
    daemon(db, {"null": {"workers": 1}}).start()
    wait_until(lambda: db.sql("SELECT job_id FROM jobq.import_errors") == [(2,)], "the old one to go")


def test_every_worker_takes_part(shop, db):
    """Imports of one tenant go to all workers, one each."""
    s = shop(workers=3)
    db.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(3600); RETURN NEW; END$$;"
           "CREATE TRIGGER slow BEFORE INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION slow()")
    s.write(rows=2)
    d = s.daemon.start()
    jobs = [s.enqueue() for _ in range(5)]
    wait_until(lambda: len(backends(db)) == 3, "three at a time")
    for job in jobs:
        d.ctl("cancel", job, "--yes")
    db.settle("import")
    assert db.statuses("import") == {"cancelled": 5}


def test_frozen_node(shop, daemon, db):
    """A node is frozen in the middle of an import for longer than its lease: another one does it, and the first one's rows never appear."""
    s = shop(max_retries=5)
    db.sql("CREATE TABLE gate (shut boolean); INSERT INTO gate VALUES (true);"
           "CREATE FUNCTION wait_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$BEGIN"
           " WHILE EXISTS (SELECT FROM gate WHERE shut) LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN NULL; END$$;"
           "CREATE TRIGGER wait_gate AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION wait_gate()")
    s.write()
    first = s.daemon.start()
    job = s.enqueue()
    wait_until(lambda: backends(db), "the first node's import")
    token = db.job(job)["claim_token"]
    frozen = first.family()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        second = daemon(db, {"import": dict(first.sections["queue import"])}, lease="2s").start()
        wait_until(lambda: len(backends(db)) == 2, "the second node's import", 40)
        assert db.job(job)["claim_token"] != token
        db.sql("UPDATE gate SET shut = false")
        db.wait_job(job, "completed", 40)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not backends(db), "both imports to end")
    assert db.sql("SELECT count(*) FROM items") == [(ROWS,)] and second.alive()
