"""The leaves of finished rows: made once, made beside running work, at most 16, dropped whole and only when due."""
import threading

import psycopg2
import pytest

ATTACHED = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'jobq.jobs'::regclass"


def old_leaf(db, monday="2020-01-06"):
    return db.one("SELECT jobq.ensure_leaf(%s::date)", [monday])


def test_one_a_week(db):
    names = [db.one("SELECT jobq.ensure_leaf(%s::date)", [day]) for day in ("2030-01-06", "2030-01-07", "2030-01-13", "2030-01-14")]
    assert names == ["jobs_h_20291231", "jobs_h_20300107", "jobs_h_20300107", "jobs_h_20300114"]
    assert db.sql("SELECT leaf, from_day::text, until_day::text, due FROM jobq.leaves()")[1] == ("jobs_h_20300107", "2030-01-07", "2030-01-14", False)
    db.sql("SET datestyle = 'German'")
    assert db.one("SELECT from_day = make_date(2030, 1, 7) FROM jobq.leaves() WHERE leaf = 'jobs_h_20300107'")
    for day in ("infinity", "-infinity", None):
        with pytest.raises(psycopg2.errors.InvalidParameterValue):
            db.sql("SELECT jobq.ensure_leaf(%s::date)", [day])


def test_sixteen_at_default_retention(db):
    """Every day on which something may go, over 12 weeks of work, with what is due dropped: never more than 16 partitions."""
    for start in range(0, 84):
        db.sql("SELECT jobq.ensure_leaf(date '2030-01-01' + %s + 91), jobq.ensure_leaf(date '2030-01-01' + %s + 31)", [start, start])
        live = db.one("SELECT count(*) FROM jobq.leaves() WHERE until_day > date '2030-01-01' + %s", [start])
        assert live + 1 <= 16


def test_no_default_partition_and_no_exclusive_lock(db):
    """A leaf is attached while a COPY through jobq.jobs is under way."""
    assert db.one("SELECT count(*) FROM pg_partitioned_table WHERE partrelid = 'jobq.jobs'::regclass AND partdefid <> 0") == 0
    with db.connect(autocommit=False) as writer, writer.cursor() as cursor:
        cursor.execute("INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', '{}')")
        db.sql("SET lock_timeout = '2s'")
        assert old_leaf(db, "2031-01-06") == "jobs_h_20310106"
    writer.close()


def test_made_once_by_many(db):
    made, start = [], threading.Barrier(6)

    def make():
        with db.connect("jobq_worker") as connection, connection.cursor() as cursor:
            start.wait(30)
            cursor.execute("SELECT jobq.ensure_leaf('2032-05-05')")
            made.append(cursor.fetchone()[0])
        connection.close()
    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert made == ["jobs_h_20320503"] * 6 and db.one(ATTACHED) == 2


def test_a_leaf_is_like_the_root(db):
    """Same columns and privileges as the live leaf, the checks of the root; no row of another week gets in."""
    leaf = old_leaf(db)
    shape = "SELECT attname, atttypid, attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
    assert db.sql(shape, [f"jobq.{leaf}"]) == db.sql(shape, ["jobq.jobs_live"])
    checks = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c' ORDER BY 1"
    assert db.sql(checks, [f"jobq.{leaf}"]) == db.sql(checks, ["jobq.jobs"]) != []
    assert set(db.sql(checks, ["jobq.jobs_live"])) - set(db.sql(checks, [f"jobq.{leaf}"])) == {("jobs_notify_channel",)} # rows were checked before they came
    rights = "SELECT a.grantee::regrole::text, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = %s::regclass AND a.grantee <> c.relowner ORDER BY 1, 2"
    assert db.sql(rights, [f"jobq.{leaf}"]) == db.sql(rights, ["jobq.jobs_live"]) != []
    with pytest.raises(psycopg2.errors.CheckViolation):
        db.sql(f"INSERT INTO jobq.{leaf} (queue, expire_on) VALUES ('sms', '2021-01-01')")


def test_drop(db):
    leaf, young = old_leaf(db), old_leaf(db, "2040-01-02")
    with db.connect("jobq_worker") as connection, connection.cursor() as cursor:
        dropped = []
        for name in (leaf, leaf, young, "jobs_live", "nodes", 'x"; DROP TABLE jobq.jobs; --'):
            cursor.execute("SELECT jobq.drop_leaf(%s)", [name])
            dropped.append(cursor.fetchone()[0])
    connection.close()
    assert dropped == [True, False, False, False, False, False]
    assert db.sql("SELECT leaf FROM jobq.leaves()") == [(young,)]


def test_drop_gives_way(db):
    """While somebody writes through jobq.jobs, dropping gives up soon, and works afterwards."""
    leaf = old_leaf(db)
    with db.connect(autocommit=False) as writer, writer.cursor() as cursor:
        cursor.execute("INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', '{}')")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            db.sql("SELECT jobq.drop_leaf(%s)", [leaf])
    writer.close()
    assert db.one("SELECT jobq.drop_leaf(%s)", [leaf])


def test_drop_does_not_disturb_the_live_leaf(db):
    """Claims and completions name their leaves, so a session whose caches are warm goes on beside it."""
    leaf = old_leaf(db)
    job = db.enqueue("sms")
    with db.connect("jobq_worker", autocommit=False) as worker, worker.cursor() as cursor:
        for token in (1, 2):
            worker.commit()
            cursor.execute("UPDATE jobq.jobs_live SET status = 'claimed', claim_token = %s WHERE id = %s", [token, job])
        assert db.one("SELECT jobq.drop_leaf(%s)", [leaf])
    worker.close()
