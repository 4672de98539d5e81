"""Who may do what, and what a function may be: no overloads, fixed search_path, nothing for PUBLIC."""
import io

import psycopg2
import pytest


@pytest.fixture
def as_role(db):
    made = []

    def connect(role):
        made.append(db.connect(role))
        return made[-1].cursor()
    yield connect
    for connection in made:
        connection.close()


def denied(cursor, sql):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(sql)


def test_one_signature_a_function(db):
    assert db.sql("SELECT proname FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace GROUP BY 1 HAVING count(*) > 1") == []


def test_functions_are_closed(db):
    """A fixed search_path on each, the temporary schema last; nothing for PUBLIC; all owned by jobq_owner, who is no superuser."""
    rows = db.sql("SELECT proname, proconfig::text, proowner::regrole::text, has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc"
                  " WHERE pronamespace = 'jobq'::regnamespace")
    assert len(rows) > 15
    for name, settings, owner, public in rows:
        assert "search_path=pg_catalog, pg_temp" in (settings or "") and owner == "jobq_owner" and not public, name
    assert not db.one("SELECT rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname = 'jobq_owner'")
    assert not db.one("SELECT has_schema_privilege('public', 'jobq', 'USAGE')")


def test_tables_belong_to_the_owner(db):
    assert db.sql("SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'jobq'::regnamespace") == [("jobq_owner",)]


def test_producer(db, as_role):
    """Enqueues, asks and takes back; sees ids, never a payload."""
    producer = as_role("jobq_producer")
    producer.execute("INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', '{}') RETURNING id")
    job = producer.fetchone()[0]
    producer.copy_expert("COPY jobq.jobs (queue, payload) FROM STDIN", io.StringIO("sms\t{}\n"))
    producer.execute("SELECT count(id) FROM jobq.jobs")
    assert producer.fetchone()[0] == 2
    producer.execute("SELECT status FROM jobq.status(%s)", [job])
    assert producer.fetchone()[0] == "pending"
    producer.execute("SELECT jobq.cancel(%s), jobq.retry(%s), jobq.set_progress(%s, 1, 1), jobq.complete(%s, 1)", [job] * 4)
    assert producer.fetchone() == ("cancelled", "pending", False, False)
    for sql in ("SELECT payload FROM jobq.jobs", "SELECT * FROM jobq.jobs_live", "SELECT * FROM jobq.jobs_pending", "SELECT id FROM jobq.jobs_live",
                "UPDATE jobq.jobs SET priority = 1", "DELETE FROM jobq.jobs", "TRUNCATE jobq.jobs", "INSERT INTO jobq.jobs (queue, payload, status) VALUES ('sms', '{}', 'completed')",
                "INSERT INTO jobq.jobs (id, queue, payload) VALUES (1, 'sms', '{}')", "INSERT INTO jobq.jobs_live (queue, payload) VALUES ('sms', '{}')",
                "SELECT jobq.pause('sms')", "SELECT jobq.resume('sms')", "SELECT jobq.resolve(1, 'done')", "SELECT jobq.ensure_leaf('2030-01-01')",
                "SELECT jobq.drop_leaf('jobs_h_20300101')", "SELECT jobq.move_to_history(1, 'sms', 'completed', NULL, NULL, NULL)",
                "SELECT * FROM jobq.claims", "SELECT * FROM jobq.installation", "SELECT nextval('jobq.claim_token_seq')", "CREATE TABLE jobq.x ()"):
        denied(producer, sql)


def test_reader(db, as_role):
    """Sees everything, changes nothing; leaves made later as well."""
    reader = as_role("jobq_reader")
    db.sql("SELECT jobq.ensure_leaf('2030-01-01')")
    for sql in ("SELECT * FROM jobq.jobs", "SELECT * FROM jobq.jobs_failed", "SELECT * FROM jobq.jobs_h_20291231", "SELECT * FROM jobq.nodes",
                "SELECT * FROM jobq.status(1)", "SELECT * FROM jobq.leaves()"):
        reader.execute(sql)
    for sql in ("SELECT jobq.enqueue('sms')", "SELECT jobq.cancel(1)", "INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', '{}')", "DELETE FROM jobq.jobs",
                "UPDATE jobq.jobs SET priority = 1", "SELECT nextval('jobq.jobs_id_seq')", "SELECT * FROM jobq.jobs_live FOR UPDATE"):
        denied(reader, sql)


def test_worker(db, as_role):
    """Does the dispatcher's work, and can neither change the schema nor forge what identifies it."""
    worker = as_role("jobq_worker")
    worker.execute("SELECT jobq.enqueue('sms'), nextval('jobq.claim_token_seq'), nextval('jobq.incarnation_seq'), jobq.ensure_leaf('2030-01-01')")
    job, token, incarnation, leaf = worker.fetchone()
    worker.execute("INSERT INTO jobq.nodes (incarnation, instance, node, version, lease_until, schema_version) VALUES (%s, 'i', 'n', '1', now(), 1)", [incarnation])
    worker.execute("UPDATE jobq.jobs_live SET status = 'claimed', claim_token = %s WHERE id = %s", [token, job])
    worker.execute("INSERT INTO jobq.claims (token, incarnation, ids) VALUES (%s, %s, ARRAY[%s::bigint])", [token, incarnation, job])
    worker.execute(f"INSERT INTO jobq.{leaf} (id, queue, expire_on) SELECT id, queue, '2030-01-01' FROM jobq.jobs_live")
    worker.execute("INSERT INTO jobq.queue_minutes (queue, status, minute, count) VALUES ('sms', 'completed', now(), 1)")
    worker.execute("INSERT INTO jobq.queues (name) VALUES ('sms')")
    worker.execute("SELECT jobq.pause('sms'), jobq.resume('sms'), jobq.resolve(1, 'done')")
    worker.execute("SELECT number, checksum FROM jobq.migrations")
    for sql in ("UPDATE jobq.migrations SET checksum = ''", "DELETE FROM jobq.installation", "DROP TABLE jobq.claims", "ALTER TABLE jobq.jobs ADD x int",
                f"DROP TABLE jobq.{leaf}", "CREATE TABLE jobq.x ()"):
        denied(worker, sql)


def test_worker_settings(db, as_role):
    """They come with the role, so they hold behind a pooler as well."""
    worker = as_role("jobq_worker")
    for name, value in {"search_path": "pg_catalog, pg_temp", "jit": "off", "statement_timeout": "1min", "lock_timeout": "5s", "TimeZone": "UTC"}.items():
        worker.execute(f"SHOW {name}")
        assert worker.fetchone()[0] == value, name


def test_search_path_attack(db, as_role):
    """A producer's own operators and tables are not what a function of the owner's sees."""
    db.sql("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO jobq_producer")
    producer = as_role("jobq_producer")
    producer.execute("CREATE FUNCTION evil.coalesce_(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT 'epoch'::timestamptz$$")
    producer.execute("CREATE TEMP TABLE pg_inherits (x int); SET search_path = evil, pg_temp, pg_catalog")
    producer.execute("SELECT jobq.enqueue('sms')")
    job = producer.fetchone()[0]
    assert db.one("SELECT run_at > '2020-01-01' FROM jobq.jobs WHERE id = %s", [job])
    producer.execute("SELECT jobq.cancel(%s)", [job])
    assert producer.fetchone()[0] == "cancelled"
