"""The database side as producers and administrators see it: functions, errors, roles, migrations."""
import json
import subprocess
import threading

import psycopg2
import psycopg2.errors
import pytest
from harness.paths import JOBQCTL


def migrate(dsn, *args):
    return subprocess.run([JOBQCTL, "migrate", "--database", dsn, *args], capture_output=True, text=True, timeout=60)


def refuse(db, sqlstate, sql, values=None, role="jobq_producer"):
    connection = db.connect(role)
    try:
        with connection.cursor() as cursor, pytest.raises(psycopg2.Error) as error:
            cursor.execute(sql, values)
        assert error.value.pgcode == sqlstate, f"{error.value.pgcode}: {error.value}"
        return str(error.value)
    finally:
        connection.close()


def test_migrate_again_is_nothing(db):
    """Repeatable: the second run changes nothing; --status and --plan say so; --print needs no connection."""
    before = db.sql("SELECT * FROM jobq.migrations ORDER BY number")
    done = migrate(db.dsn("postgres"))
    assert done.returncode == 0 and db.sql("SELECT * FROM jobq.migrations ORDER BY number") == before
    assert migrate(db.dsn("postgres"), "--status").returncode == 0
    assert migrate(db.dsn("postgres"), "--plan").returncode == 0
    printed = migrate("host=/nonexistent dbname=x", "--print")
    assert printed.returncode == 0 and "CREATE SCHEMA" in printed.stdout


def test_migrate_at_once_from_two_sides(pg, db):
    """Two migrators wait for each other."""
    name = db.name + "_two"
    pg.sql(f'CREATE DATABASE "{name}"')
    try:
        results = []
        threads = [threading.Thread(target=lambda: results.append(migrate(pg.dsn(name, "postgres")))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [r.returncode for r in results] == [0, 0, 0], [r.stderr for r in results]
    finally:
        pg.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_changed_migration_refused(db):
    """A recorded migration whose text differs is refused, with what to do."""
    db.sql("UPDATE jobq.migrations SET checksum = repeat('0', 64) WHERE number = 1")
    done = migrate(db.dsn("postgres"))
    assert done.returncode != 0 and "1" in done.stderr


def test_migrate_waits_no_longer_than_its_lock_timeout(db):
    """A lock held by somebody ends the migration with an error instead of a queue of blocked producers."""
    locker = db.connect("postgres", autocommit=False)
    with locker.cursor() as cursor:
        cursor.execute("LOCK TABLE jobq.migrations IN ACCESS EXCLUSIVE MODE")
        done = migrate(db.dsn("postgres"))
        assert done.returncode != 0 and done.stderr
    locker.close()


def test_no_overloads(db):
    """One signature a function, ever."""
    assert db.sql("SELECT proname, count(*) FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace GROUP BY 1 HAVING count(*) > 1") == []


def test_enqueue_arguments(db):
    """NULL means the default everywhere; the id comes back."""
    job = db.one("SELECT jobq.enqueue('q', NULL, NULL, NULL, NULL, NULL, NULL)")
    row = db.job(job)
    assert (row["priority"], row["payload"], row["tenant_id"], row["status"]) == (5, {}, "", "pending")
    job = db.enqueue("q", {"a": [1]}, tenant_id="t", priority="urgent", type="x", max_retries=7, user_id="u")
    row = db.job(job)
    assert (row["tenant_id"], row["priority"], row["type"], row["max_retries"], row["user_id"]) == ("t", 1, "x", 7, "u")


def test_enqueue_many_all_or_nothing(db):
    """One wrong element and none is there."""
    message = refuse(db, "22023", "SELECT * FROM jobq.enqueue_many(%s)", [json.dumps([{"queue": "a"}, {"queue": "NOT OK"}])])
    assert "NOT OK" in message and db.statuses() == {}
    rows = db.sql("SELECT n, id, created FROM jobq.enqueue_many(%s)", [json.dumps([{"queue": "a"}, {"queue": "b"}])])
    assert [r[0] for r in rows] == [1, 2] and all(r[2] for r in rows)


@pytest.mark.parametrize("queue", ["", "SMS", "1a", "a b", "system", "a" * 64, "ä"])
def test_bad_queue_names(db, queue):
    """22023 with the pattern (or the word reserved)."""
    refuse(db, "22023", "SELECT jobq.enqueue(%s)", [queue])


def test_bad_priority(db):
    """22023 in the promised words."""
    assert 'jobq: priority "2" is not one of urgent, high, normal, low' in refuse(db, "22023", "SELECT jobq.enqueue('a', priority => '2')")


def test_payload_size(db):
    """23514, constraint jobs_payload_size, over 256 kB."""
    assert "jobs_payload_size" in refuse(db, "23514", "SELECT jobq.enqueue('a', jsonb_build_object('x', repeat(md5(random()::text), 20000)))")
    big = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 20000) n"
    refuse(db, "23514", f"INSERT INTO jobq.jobs (queue, payload) SELECT 'a', jsonb_build_object('x', ({big}))")


def test_priority_functions(db):
    """Names and levels map onto the table's numbers."""
    assert [db.one("SELECT jobq.priority(%s)", [name]) for name in ("urgent", "high", "normal", "low")] == [1, 2, 5, 10]
    assert [db.one("SELECT jobq.priority_from_level(%s)", [level]) for level in (0, 1, 2)] == [5, 2, 1]


def test_producer_sees_no_payload(db):
    """jobq_producer may enqueue, insert the input columns and see ids; payloads and the rest are closed to it."""
    job = db.enqueue("a", {"secret": 1})
    refuse(db, "42501", "SELECT payload FROM jobq.jobs")
    refuse(db, "42501", "UPDATE jobq.jobs SET status = 'completed'")
    refuse(db, "42501", "DELETE FROM jobq.jobs")
    refuse(db, "42501", "INSERT INTO jobq.jobs (queue, payload, status) VALUES ('a', '{}', 'completed')")
    with db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM jobq.jobs")
        assert cursor.fetchall() == [(job,)]


def test_reader_reads_and_nothing_else(db):
    """jobq_reader sees the tables and changes nothing."""
    db.enqueue("a", {"x": 1})
    with db.connect("jobq_reader") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM jobq.jobs")
        assert cursor.fetchone() == (1,)
    refuse(db, "42501", "DELETE FROM jobq.jobs", role="jobq_reader")
    refuse(db, "42501", "SELECT jobq.enqueue('a')", role="jobq_reader")


def test_functions_are_safe(db):
    """SECURITY DEFINER with a fixed search_path; a hostile schema in front changes nothing."""
    loose = db.sql("SELECT proname FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace AND prosecdef AND NOT coalesce(proconfig::text LIKE '%%search_path%%', false)")
    assert loose == []


def test_jobs_is_a_partitioned_table(db):
    """Never a view; no row trigger; the live leaf holds no index over a column that a claim changes."""
    assert db.one("SELECT relkind::text FROM pg_class WHERE oid = 'jobq.jobs'::regclass") == "p"
    assert db.sql("SELECT tgname FROM pg_trigger WHERE tgrelid IN ('jobq.jobs'::regclass, 'jobq.jobs_live'::regclass) AND tgtype & 1 = 1 AND NOT tgisinternal") == []
    indexed = {r[0] for r in db.sql("SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
                                    " WHERE i.indrelid = 'jobq.jobs_live'::regclass")}
    assert not indexed & {"status", "claim_token", "claimed_by", "started_at", "batch_id"}


def test_views(db):
    """The views by status show what they say."""
    db.enqueue("a", {})
    for view in ("jobs_pending", "jobs_running", "jobs_completed", "jobs_failed"):
        assert db.one(f"SELECT count(*) FROM jobq.{view}") == (1 if view == "jobs_pending" else 0)


def test_enqueue_in_the_producers_transaction(daemon, db):
    """Rolled back with it: no job, no effect; committed with it: delivered."""
    daemon(db, {"null": {}}).start()
    connection = db.connect(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT jobq.enqueue('null')")
        connection.rollback()
        cursor.execute("SELECT jobq.enqueue('null')")
        job = cursor.fetchone()[0]
        connection.commit()
    connection.close()
    db.wait_job(job, "completed")
    assert db.statuses("null") == {"completed": 1}


def test_complete_in_a_transaction(daemon, db):
    """jobq.complete under the right token ends the job, under another it says false and changes nothing."""
    daemon(db, {"sleep": {"workers": 1}}).start()
    job = db.enqueue("sleep", {"sleep": "5s"})
    from harness.wait import wait_until
    token = wait_until(lambda: db.one("SELECT claim_token FROM jobq.jobs WHERE id = %s AND status IN ('claimed', 'running')", [job]), "the job to be claimed")
    assert db.one("SELECT jobq.complete(%s, %s)", [job, token + 1]) is False
    assert db.one("SELECT jobq.set_progress(%s, %s, 50, 'half')", [job, token]) is True
    assert db.one("SELECT jobq.set_progress(%s, %s, 50, 'half')", [job, token + 1]) is False
    assert db.one("SELECT jobq.complete(%s, %s, '{\"x\": 1}')", [job, token]) is True
    assert db.job(job)["status"] == "completed" and db.job(job)["result"] == {"x": 1}
    assert db.one("SELECT jobq.complete(%s, %s)", [job, token]) in (True, False)


def test_retry_function(db):
    """Same id, count 0; words for every case."""
    job = db.enqueue("a", {})
    assert db.one("SELECT jobq.retry(%s)", [job]) in ("pending", "running")
    db.sql("SELECT jobq.cancel(%s)", [job])
    assert db.one("SELECT jobq.retry(%s)", [job]) == "pending" and db.job(job)["status"] == "pending"
    assert db.one("SELECT jobq.retry(%s)", [10**15]) == "unknown"


def test_index_scans_at_a_hundred_thousand(db):
    """The claim's look-up and the lists by tenant use an index, whatever the backlog."""
    db.sql("INSERT INTO jobq.jobs (queue, tenant_id, payload) SELECT 'a', 't' || n % 100, '{}' FROM generate_series(1, 100000) n")
    db.sql("ANALYZE jobq.jobs_live")
    for query in ("SELECT ctid FROM jobq.jobs_live WHERE queue = 'a' AND tenant_id = 't5' AND priority = 5 AND run_at <= now() AND status = 'pending' ORDER BY run_at, id LIMIT 25 FOR UPDATE SKIP LOCKED",
                  "SELECT id FROM jobq.jobs_live WHERE id = 77"):
        plan = "\n".join(r[0] for r in db.sql("EXPLAIN ANALYZE " + query))
        assert "Index" in plan and "Seq Scan" not in plan, plan
