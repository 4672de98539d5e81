"""cancel, retry, resolve, status, set_progress, complete, pause, resume: what they say, what they do, and how they race."""
import threading

import psycopg2
import pytest

LIVE = "SELECT status, retry_count, claim_token, crashes, progress FROM jobq.jobs_live WHERE id = %s"


def enqueue(db, queue="sms", **values):
    job = db.enqueue(queue)
    for column, value in values.items():
        db.sql(f"UPDATE jobq.jobs_live SET {column} = %s WHERE id = %s", [value, job])
    return job


def claimed(db, token=7, **values):
    return enqueue(db, status="claimed", claim_token=token, claimed_by="n1", **values)


def ended(db, verdict="failed", note=None):
    job = enqueue(db, status="held", claim_token=3, run_at="infinity")
    db.sql("SELECT jobq.resolve(%s, %s, %s)", [job, verdict, note])
    return job


def status(db, job):
    return db.one("SELECT status FROM jobq.status(%s)", [job])


def in_background(db, query, values):
    """Runs a statement on its own connection in a thread, until it waits for a lock; .answer() joins and gives its value."""
    connection = db.connect("postgres")
    box = {}

    def run():
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            box["value"] = cursor.fetchone()[0]
    thread = threading.Thread(target=run)
    thread.start()
    from harness.wait import wait_until
    wait_until(lambda: db.one("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [connection.info.backend_pid]),
               "the other session to wait for the lock")

    def answer():
        thread.join(30)
        assert not thread.is_alive()
        connection.close()
        return box["value"]
    return answer


def test_status(db):
    job = claimed(db)
    assert db.sql("SELECT * FROM jobq.status(%s)", [job]) == [("claimed", None, None, None, None, None)]
    assert db.one("SELECT jobq.set_progress(%s, 7, 12.5, 'page 1')", [job])
    assert db.sql("SELECT status, progress, progress_note FROM jobq.status(%s)", [job])[0][::2] == ("running", "page 1")
    assert db.one("SELECT jobq.complete(%s, 7, '{\"sent\": 1}')", [job])
    assert db.sql("SELECT status, progress::int, result, completed_at IS NOT NULL FROM jobq.status(%s)", [job]) == [("completed", 100, {"sent": 1}, True)]
    assert db.sql("SELECT * FROM jobq.status(-1)") == []


def test_progress_needs_the_token(db):
    job = claimed(db)
    assert not db.one("SELECT jobq.set_progress(%s, 8, 50)", [job])
    assert not db.one("SELECT jobq.set_progress(%s, NULL, 50)", [job])
    assert db.sql(LIVE, [job]) == [("claimed", 0, 7, 0, None)]
    assert not db.one("SELECT jobq.set_progress(%s, 7, 50)", [enqueue(db, claim_token=7)])
    for percent in (-1, 100.5):
        with pytest.raises(psycopg2.errors.InvalidParameterValue):
            db.sql("SELECT jobq.set_progress(%s, 7, %s)", [job, percent])
    assert db.one("SELECT jobq.set_progress(%s, 7, NULL, 'only a note')", [job])
    assert db.sql("SELECT progress, progress_note FROM jobq.status(%s)", [job]) == [(None, "only a note")]


def test_complete_is_fenced(db):
    job = claimed(db, token=7)
    assert not db.one("SELECT jobq.complete(%s, 6)", [job])
    assert not db.one("SELECT jobq.complete(-1, 7)")
    assert status(db, job) == "claimed"
    assert db.one("SELECT jobq.complete(%s, 7)", [job])
    assert not db.one("SELECT jobq.complete(%s, 7)", [job])
    assert db.sql("SELECT claim_token, status, claimed_by FROM jobq.jobs WHERE id = %s", [job]) == [(7, "completed", "n1")]


def test_complete_rolls_back_with_the_effect(db):
    job = claimed(db)
    with db.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT jobq.complete(%s, 7)", [job])
        connection.rollback()
    connection.close()
    assert status(db, job) == "claimed"


def test_retention(db):
    """The leaf is that of the queue's own retention for that status; 0 keeps nothing."""
    db.sql("INSERT INTO jobq.queues (name, retain_completed, retain_failed) VALUES ('sms', '0', '7 days')")
    done, failed = claimed(db), ended(db)
    assert db.one("SELECT jobq.complete(%s, 7)", [done])
    assert status(db, done) is None
    assert db.one("SELECT expire_on - completed_at::date FROM jobq.jobs WHERE id = %s", [failed]) in (7, 8)
    other = claimed(db, queue="email")
    assert db.one("SELECT jobq.complete(%s, 7)", [other])
    assert db.one("SELECT expire_on - completed_at::date FROM jobq.jobs WHERE id = %s", [other]) in (30, 31)
    assert db.one("SELECT tableoid::regclass::text = 'jobq.' || jobq.leaf_name(expire_on) FROM jobq.jobs WHERE id = %s", [other])


def test_cancel(db):
    waiting, held, flying = enqueue(db), enqueue(db, status="held", run_at="infinity"), claimed(db)
    cancel = "SELECT jobq.cancel(%s)"
    assert [db.one(cancel, [j]) for j in (waiting, held, flying, flying, -1)] == ["cancelled", "cancelled", "requested", "requested", "unknown"]
    assert [status(db, j) for j in (waiting, held, flying)] == ["cancelled", "cancelled", "claimed"]
    assert db.sql("SELECT id FROM jobq.cancels") == [(flying,)]
    assert [db.one(cancel, [j]) for j in (waiting, held)] == ["finished", "finished"]
    assert db.one("SELECT jobq.complete(%s, 7)", [flying]) and status(db, flying) == "completed"
    assert db.one("SELECT count(*) FROM jobq.cancels") == 0


@pytest.mark.parametrize("commit, says, ends", [(True, "finished", "completed"), (False, "requested", "claimed")])
def test_cancel_waits_for_a_completion(db, commit, says, ends):
    job = claimed(db)
    with db.connect("postgres", autocommit=False) as first, first.cursor() as cursor:
        cursor.execute("SELECT jobq.complete(%s, 7)", [job])
        answer = in_background(db, "SELECT jobq.cancel(%s)", [job])
        first.commit() if commit else first.rollback()
        assert answer() == says
    first.close()
    assert status(db, job) == ends


def test_completion_waits_for_a_cancel(db):
    job = claimed(db)
    with db.connect("postgres", autocommit=False) as first, first.cursor() as cursor:
        cursor.execute("SELECT jobq.cancel(%s)", [job])
        answer = in_background(db, "SELECT jobq.complete(%s, 7)", [job])
        first.commit()
        assert answer() is True
    first.close()
    assert status(db, job) == "completed"


def test_two_cancels_at_once(db):
    job = enqueue(db)
    with db.connect("postgres", autocommit=False) as first, first.cursor() as cursor:
        cursor.execute("SELECT jobq.cancel(%s)", [job])
        answer = in_background(db, "SELECT jobq.cancel(%s)", [job])
        first.commit()
        assert answer() == "finished"
    first.close()
    assert db.one("SELECT count(*) FROM jobq.jobs WHERE id = %s", [job]) == 1


def test_retry(db):
    failed = ended(db, "failed", "no such number")
    assert db.sql("SELECT status, error_message FROM jobq.status(%s)", [failed]) == [("failed", "no such number")]
    cancelled = enqueue(db)
    db.sql("SELECT jobq.cancel(%s)", [cancelled])
    held = enqueue(db, status="held", claim_token=3, run_at="infinity", retry_count=2, crashes=2)
    retry = "SELECT jobq.retry(%s)"
    for job in (failed, cancelled, held):
        assert db.one(retry, [job]) == "pending"
        assert db.sql(LIVE, [job]) == [("pending", 0, None, 0, None)]
        assert db.one("SELECT run_at <= now() AND completed_at IS NULL FROM jobq.jobs_live WHERE id = %s", [job])
        assert db.one("SELECT count(*) FROM jobq.jobs WHERE id = %s", [job]) == 1
    assert [db.one(retry, [j]) for j in (claimed(db), ended(db, "done"), -1)] == ["running", "completed", "unknown"]


def test_retry_of_a_waiting_job(db):
    """Between two tries: at once. Not tried yet: when it was due."""
    backoff, later = enqueue(db, retry_count=2, run_at="2040-01-01"), enqueue(db, run_at="2040-01-01")
    assert [db.one("SELECT jobq.retry(%s)", [j]) for j in (backoff, later)] == ["pending", "pending"]
    assert db.sql("SELECT retry_count, run_at <= now() FROM jobq.jobs_live ORDER BY id") == [(0, True), (0, False)]


def test_two_retries_at_once(db):
    job = ended(db)
    with db.connect("postgres", autocommit=False) as first, first.cursor() as cursor:
        cursor.execute("SELECT jobq.retry(%s)", [job])
        answer = in_background(db, "SELECT jobq.retry(%s)", [job])
        first.commit()
        assert answer() == "pending"
    first.close()
    assert db.one("SELECT count(*) FROM jobq.jobs WHERE id = %s", [job]) == 1


def test_resolve(db):
    resolve = "SELECT jobq.resolve(%s, %s, %s)"
    held = [enqueue(db, status="held", claim_token=3, run_at="infinity", error_message="sent, not answered") for _ in range(3)]
    assert [db.one(resolve, [j, v, n]) for j, v, n in zip(held, ("done", "failed", "retry"), ("seen at the operator", "not sent", None))] == ["completed", "failed", "pending"]
    assert db.sql("SELECT status, error_message, progress_note FROM jobq.jobs ORDER BY id") == [
        ("completed", "sent, not answered", "seen at the operator"), ("failed", "not sent", None), ("pending", "sent, not answered", None)]
    assert db.one("SELECT bool_and(isfinite(run_at)) FROM jobq.jobs")
    assert [db.one(resolve, [j, "done", None]) for j in (held[0], held[2], -1)] == ["not held", "not held", "unknown"]
    for verdict in ("maybe", None):
        with pytest.raises(psycopg2.errors.InvalidParameterValue):
            db.sql(resolve, [held[0], verdict, None])


def test_pause_and_resume(db):
    db.sql("SELECT jobq.pause('sms', 'acme', NULL, 'asked for'), jobq.pause('sms'), jobq.pause('sms', NULL, '2040-01-01', 'again')")
    pauses = "SELECT queue, tenant_id, reason, paused_by, until IS NULL FROM jobq.pauses ORDER BY tenant_id"
    assert db.sql(pauses) == [("sms", "acme", "asked for", "postgres", True), ("sms", None, "again", "postgres", False)]
    assert [db.one(f"SELECT jobq.resume({a})") for a in ("'sms', ''", "'sms'", "'sms'", "'sms', 'acme'", "'nope'")] == [False, True, False, True, False]
    assert db.sql(pauses) == []
    db.sql("SELECT set_config('jobq.actor', 'alice', false), jobq.pause('sms', '')")
    assert db.sql(pauses) == [("sms", "", None, "alice", True)]
    with pytest.raises(psycopg2.errors.InvalidParameterValue):
        db.sql("SELECT jobq.pause(NULL)")


def test_views(db):
    jobs = {"pending": enqueue(db), "running": claimed(db), "completed": ended(db, "done"), "failed": ended(db, "failed")}
    ended_otherwise = enqueue(db)
    db.sql("SELECT jobq.cancel(%s)", [ended_otherwise])
    for name, job in jobs.items():
        assert db.sql(f"SELECT id FROM jobq.jobs_{name}") == [(job,)], name
