"""The wake gate: no NOTIFY while a dispatcher is awake, one while it sleeps, and no sleeping over a job not yet committed."""
import select

import pytest

KEY = "SELECT jobq.wake_key()"


@pytest.fixture
def listener(db):
    connection = db.connect("jobq_worker")
    connection.cursor().execute("LISTEN jobq_wake")
    yield connection
    connection.close()


def lock(connection, key, shared=False):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        return cursor.fetchone()[0]


def notes(connection):
    """What has been delivered: a query's answer brings along all that was sent before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    select.select([connection], [], [], 0.05)
    connection.poll()
    seen = [note.payload for note in connection.notifies]
    connection.notifies.clear()
    return seen


def test_silent_while_awake(db, listener):
    db.enqueue("sms")
    db.enqueue_many([{"queue": "sms"}])
    db.sql("INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', '{}')")
    assert notes(listener) == []


def test_told_while_asleep(db, listener):
    assert lock(listener, db.one(KEY))
    job = db.enqueue("sms", {}, tenant_id="acme", priority="urgent")
    lane = notes(listener)
    assert len(lane) == 1 and lane[0].split("\t")[:3] == ["sms", "acme", "1"]
    due = db.one("SELECT (extract(epoch FROM run_at) * 1000000)::bigint FROM jobq.jobs WHERE id = %s", [job])
    assert int(lane[0].split("\t")[3]) == due
    db.enqueue("sms", {}, run_at="2040-01-01")
    assert len(notes(listener)) == 1, "the dispatcher learns of a due time as well"
    for sql in ("INSERT INTO jobq.jobs (queue, payload) SELECT 'sms', '{}' FROM generate_series(1, 100)", "SELECT jobq.enqueue_many('[{\"queue\": \"a\"}, {\"queue\": \"b\"}]')"):
        last = db.one("SELECT max(id) FROM jobq.jobs")
        db.sql(sql)
        told = notes(listener)
        assert len(told) == 1 and told[0].startswith("#") and int(told[0][1:]) <= last


def test_many_in_one_transaction_are_one_note(db, listener):
    assert lock(listener, db.one(KEY))
    with db.connect(autocommit=False) as connection, connection.cursor() as cursor:
        for _ in range(50):
            cursor.execute("INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', '{}')")
        assert notes(listener) == []
    connection.close()
    assert 1 <= len(notes(listener)) <= 50


@pytest.mark.parametrize("sql", ["SELECT jobq.enqueue('sms')", "SELECT jobq.enqueue_many('[{\"queue\": \"sms\"}]')", "INSERT INTO jobq.jobs (queue, payload) VALUES ('sms', '{}')"])
def test_no_sleep_over_an_uncommitted_job(db, listener, sql):
    key = db.one(KEY)
    with db.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        assert not lock(listener, key)
        connection.commit()
    connection.close()
    assert lock(listener, key)


def test_long_names_do_not_break_a_note(db, listener):
    """A notification holds under 8,000 bytes; a tenant's name may be longer."""
    assert lock(listener, db.one(KEY))
    job = db.enqueue("sms", {}, tenant_id="x" * 9000)
    assert notes(listener) == [f"#{job - 1}"]
    job = db.enqueue("sms", {}, run_at="infinity")
    assert notes(listener) == [f"#{job - 1}"]


def test_retry_and_cancel_tell(db, listener):
    assert lock(listener, db.one(KEY))
    job = db.enqueue("sms", {}, tenant_id="acme")
    notes(listener)
    db.sql("SELECT jobq.cancel(%s)", [job])
    db.sql("SELECT jobq.retry(%s)", [job])
    assert [n.split("\t")[:3] for n in notes(listener)][-1] == ["sms", "acme", "5"]
    db.sql("SELECT jobq.pause('sms')")
    assert notes(listener) == ["!"]
