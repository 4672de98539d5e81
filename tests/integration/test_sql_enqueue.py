"""Enqueueing in plain SQL: the functions, INSERT and COPY, as the producer role; what is refused, and with which code."""
import io
import json

import psycopg2
import pytest
from psycopg2 import errors


@pytest.fixture
def producer(db):
    connection = db.connect("jobq_producer")
    yield connection.cursor()
    connection.close()


def call(cursor, sql, *values):
    cursor.execute(sql, values)
    return cursor.fetchall()


def row(db, job_id):
    return db.sql("SELECT queue, type, tenant_id, user_id, priority, status, payload, max_retries, run_at = created_at, expire_on::text"
                  " FROM jobq.jobs WHERE id = %s", [job_id])[0]


def refused(cursor, sql, *values):
    with pytest.raises(psycopg2.Error) as caught:
        cursor.execute(sql, values)
    return caught.value.pgcode, caught.value.diag.message_primary, caught.value.diag.constraint_name


def test_defaults(db, producer):
    """Left out or NULL: the default, everywhere."""
    plain = call(producer, "SELECT jobq.enqueue('sms')")[0][0]
    nulls = call(producer, "SELECT jobq.enqueue('sms', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)")[0][0]
    assert row(db, plain) == row(db, nulls) == ("sms", None, "", None, 5, "pending", {}, None, True, "infinity")


def test_everything_given(db, producer):
    job = call(producer, "SELECT jobq.enqueue('shop.sync-2', '{\"a\": [1]}', 'acme', 'urgent', '2040-01-01 UTC', 'sync:stock', 7, user_id => 'u1')")[0][0]
    assert row(db, job) == ("shop.sync-2", "sync:stock", "acme", "u1", 1, "pending", {"a": [1]}, 7, False, "infinity")
    assert db.one("SELECT run_at = '2040-01-01 UTC' FROM jobq.jobs_live WHERE id = %s", [job])


@pytest.mark.parametrize("name", ["", "Sms", "1sms", "a b", "system", "x" * 64, "sms\n", "é", None])
def test_bad_queue(producer, name):
    code, message, _ = refused(producer, "SELECT jobq.enqueue(%s)", name)
    assert code == "22023" and "^[a-z][a-z0-9_.-]{0,62}$" in message
    code, message, _ = refused(producer, "SELECT jobq.enqueue_many(%s)", json.dumps([{"queue": "ok"}, {"queue": name}]))
    assert code == "22023" and message.startswith("jobq: job 2 ")


def test_bad_priority(producer):
    text = 'jobq: priority "2" is not one of urgent, high, normal, low'
    assert refused(producer, "SELECT jobq.enqueue('sms', priority => '2')")[:2] == ("22023", text)
    assert refused(producer, "SELECT jobq.priority('2')")[:2] == ("22023", text)
    code, message, _ = refused(producer, "SELECT jobq.enqueue_many('[{\"queue\": \"sms\", \"priority\": 2}]')")
    assert code == "22023" and message == text.replace("jobq:", "jobq: job 1")
    assert refused(producer, "SELECT jobq.priority_from_level(3)")[0] == "22023"


def test_priorities(producer):
    assert call(producer, "SELECT jobq.priority('urgent'), jobq.priority('high'), jobq.priority('normal'), jobq.priority('low'), jobq.priority(NULL)") == [(1, 2, 5, 10, 5)]
    assert call(producer, "SELECT jobq.priority_from_level(0), jobq.priority_from_level(1), jobq.priority_from_level(2)") == [(5, 2, 1)]


def test_max_retries(producer):
    assert refused(producer, "SELECT jobq.enqueue('sms', max_retries => -1)")[0] == "22023"
    assert refused(producer, "SELECT jobq.enqueue_many('[{\"queue\": \"sms\", \"max_retries\": -1}]')")[0] == "22023"


@pytest.mark.parametrize("name, value, says", [
    ("unique_key", "", "unique_key has 0 bytes, it may have 1 to 1000"), ("unique_key", "\u00e4" * 501, "unique_key has 1002 bytes, it may have 1 to 1000"),
    ("on_duplicate", "Replace", 'on_duplicate "Replace" is not one of keep, replace, error'),
    ("notify_channel", "", 'notify_channel "" is not a channel: 1 to 63 bytes, and "jobq_wake" is reserved'),
    ("notify_channel", "jobq_wake", 'notify_channel "jobq_wake" is not a channel: 1 to 63 bytes, and "jobq_wake" is reserved'),
])
def test_bad_key_mode_channel(db, producer, name, value, says):
    assert refused(producer, f"SELECT jobq.enqueue('sms', {name} => %s)", value)[:2] == ("22023", "jobq: " + says)
    assert refused(producer, "SELECT jobq.enqueue_many(%s)", json.dumps([{"queue": "sms"}, {"queue": "sms", name: value}]))[:2] == ("22023", "jobq: job 2 " + says)
    assert db.one("SELECT count(*) FROM jobq.jobs") == 0


def test_tied_columns(db, producer):
    """Key, deadline and channel are stored by each way in; a mode without a key says nothing."""
    args = {"unique_key": "k", "deadline": "2040-01-01T00:00:00+00:00", "notify_channel": "My Channel"}
    one = call(producer, "SELECT jobq.enqueue('a', unique_key => %(unique_key)s, deadline => %(deadline)s, notify_channel => %(notify_channel)s)" % {k: f"'{v}'" for k, v in args.items()})[0][0]
    many = call(producer, "SELECT id FROM jobq.enqueue_many(%s)", json.dumps([{"queue": "b", **args}]))[0][0]
    loose = call(producer, "SELECT id FROM jobq.enqueue_many(%s)", json.dumps([{"queue": "c", **args, "unique_key": None, "on_duplicate": "error"}]))[0][0]
    rows = db.sql("SELECT unique_key, deadline = '2040-01-01 UTC', notify_channel FROM jobq.jobs WHERE id = ANY(%s) ORDER BY id", [[one, many, loose]])
    assert rows == [("k", True, "My Channel"), ("k", True, "My Channel"), (None, True, "My Channel")]


def test_channel_by_insert(producer):
    """A channel that NOTIFY would refuse is refused at once, and the dispatchers' own."""
    for channel in ("", "x" * 64, "\u00e4" * 32, "jobq_wake"):
        code, _, constraint = refused(producer, "INSERT INTO jobq.jobs (queue, payload, notify_channel) VALUES ('sms', '{}', %s)", channel)
        assert (code, constraint) == ("23514", "jobs_notify_channel")


def test_payload_size(db, producer):
    """256 kB of jsonb is the limit, however it comes in; and a job at the limit can be claimed and completed."""
    fits = db.one("SELECT max(n) FROM generate_series(262000, 262144) n WHERE pg_column_size(jsonb_build_object('x', repeat('y', n))) <= 262144")
    payload, more = ({"x": "y" * n} for n in (fits, fits + 8))
    job = call(producer, "SELECT jobq.enqueue('sms', %s)", json.dumps(payload))[0][0]
    for sql, value in (("SELECT jobq.enqueue('sms', %s)", more), ("SELECT jobq.enqueue_many(%s)", [{"queue": "sms", "payload": more}]),
                       ("INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', %s)", more)):
        code, _, constraint = refused(producer, sql, json.dumps(value))
        assert (code, constraint) == ("23514", "jobs_payload_size")
    db.sql("UPDATE jobq.jobs_live SET status = 'claimed', claim_token = 1 WHERE id = %s", [job])
    assert db.one("SELECT jobq.complete(%s, 1)", [job])
    assert db.one("SELECT payload FROM jobq.jobs WHERE id = %s", [job]) == payload


def test_many_keeps_order(db, producer):
    jobs = [{"queue": f"q{n % 3}", "payload": {"n": n}, "tenant_id": f"t{n % 7}", "priority": "low", "type": "x", "user_id": "u", "max_retries": n} for n in range(1, 501)]
    rows = call(producer, "SELECT n, id, created FROM jobq.enqueue_many(%s)", json.dumps(jobs))
    assert [r[0] for r in rows] == list(range(1, 501)) and all(r[2] for r in rows)
    ids = [r[1] for r in rows]
    assert ids == sorted(ids)
    assert db.sql("SELECT (payload->>'n')::int, max_retries, priority, queue, tenant_id FROM jobq.jobs ORDER BY id") == [
        (n, n, 10, f"q{n % 3}", f"t{n % 7}") for n in range(1, 501)]


def test_many_nulls(db, producer):
    keys = ("payload", "tenant_id", "priority", "run_at", "type", "max_retries", "user_id", "unique_key", "on_duplicate", "deadline", "notify_channel")
    job = call(producer, "SELECT id FROM jobq.enqueue_many(%s)", json.dumps([{"queue": "sms", **dict.fromkeys(keys)}]))[0][0]
    assert row(db, job) == ("sms", None, "", None, 5, "pending", {}, None, True, "infinity")


def test_many_all_or_nothing(db, producer):
    for jobs, what in (([{"queue": "sms"}, {"queue": "sms", "tennant": 1}], 'jobq: job 2 has an unknown key "tennant"'),
                       ([{"queue": "sms"}, {"payload": 1}], "jobq: job 2 has no queue"), ([{"queue": "sms"}, 7], "jobq: job 2 is not an object"),
                       ([{"queue": "sms"}, [{"queue": "sms"}]], "jobq: job 2 is not an object"), ({"queue": "sms"}, None), ("sms", None)):
        code, message, _ = refused(producer, "SELECT jobq.enqueue_many(%s)", json.dumps(jobs))
        assert code == "22023" and (what is None or message == what)
    assert refused(producer, "SELECT jobq.enqueue_many(NULL)")[0] == "22023"
    assert refused(producer, "SELECT jobq.enqueue_many(%s)", json.dumps([{"queue": "sms"}, {"queue": "sms", "run_at": "tomorrowish"}]))[0] == "22007"
    assert db.one("SELECT count(*) FROM jobq.jobs") == 0
    assert call(producer, "SELECT * FROM jobq.enqueue_many('[]')") == []


def test_rolls_back_with_its_transaction(db):
    connection = db.connect("jobq_producer", autocommit=False)
    connection.cursor().execute("SELECT jobq.enqueue('sms')")
    connection.rollback()
    connection.close()
    assert db.one("SELECT count(*) FROM jobq.jobs") == 0


def test_insert(db, producer):
    """NULL is allowed in all input columns but queue and payload, and means the default."""
    columns = "type, tenant_id, user_id, priority, max_retries, unique_key, run_at, deadline, notify_channel"
    job = call(producer, f"INSERT INTO jobq.jobs (queue, payload, {columns}) VALUES ('sms', '{{}}'{', NULL' * 9}) RETURNING id")[0][0]
    assert db.sql("SELECT coalesce(tenant_id, ''), coalesce(priority, 5), coalesce(run_at, created_at) <= now(), tableoid::regclass::text FROM jobq.jobs WHERE id = %s", [job]) == [
        ("", 5, True, "jobq.jobs_live")]
    assert refused(producer, "INSERT INTO jobq.jobs (queue, payload) VALUES (NULL, '{}')")[0] == "23502"
    assert refused(producer, "INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', NULL)")[0] == "23502"
    assert refused(producer, "INSERT INTO jobq.jobs (queue, payload, priority) VALUES ('sms', '{}', 11)")[2] == "jobs_priority"


def test_copy(db, producer):
    lines = "".join(f"sms\tt{n % 3}\t\\N\t\\N\t{{\"n\": {n}}}\n" for n in range(1000))
    producer.copy_expert("COPY jobq.jobs (queue, tenant_id, priority, run_at, payload) FROM STDIN", io.StringIO(lines))
    assert db.sql("SELECT count(*), count(DISTINCT id), min(status), count(priority) FROM jobq.jobs_live") == [(1000, 1000, "pending", 0)]


def test_unique_key_by_insert(db, producer):
    """One unfinished job a queue, tenant and key; a NULL tenant is the tenant ''."""
    insert = "INSERT INTO jobq.jobs (queue, payload, tenant_id, unique_key) VALUES (%s, '{}', %s, 'k')"
    producer.execute(insert, ("sms", ""))
    assert refused(producer, insert, "sms", None)[::2] == ("23505", "jobs_unique_key")
    producer.execute(insert, ("sms", "acme"))
    producer.execute(insert, ("email", None))
    job = db.one("SELECT id FROM jobq.jobs WHERE tenant_id = '' AND queue = 'sms'")
    assert call(producer, "SELECT jobq.cancel(%s)", job) == [("cancelled",)]
    producer.execute(insert, ("sms", None))
    assert call(producer, "SELECT jobq.retry(%s)", job) == [("duplicate",)]
    assert db.one("SELECT status FROM jobq.jobs WHERE id = %s", [job]) == "cancelled"


def test_hostile_text(db, producer):
    text = "'; DROP SCHEMA jobq CASCADE; -- $1 \\ \x1b[31m \u202e"
    job = call(producer, "SELECT jobq.enqueue('sms', %s, %s, user_id => %s, type => %s)", json.dumps({text: text}), text, text, text)[0][0]
    assert row(db, job)[1:4] == (text, text, text) and row(db, job)[6] == {text: text}
    with pytest.raises(errors.InvalidParameterValue):
        producer.execute("SELECT jobq.enqueue(%s)", (text,))
