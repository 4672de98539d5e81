"""Unique keys: one unfinished job a queue, tenant and key, and what each mode does when there is one already.

The races are real: sessions that hold their transactions open at the moment that matters, and writers beside a daemon that is killed.
"""
import json
import os
import signal
import threading
import uuid

import psycopg2
import pytest
from harness.wait import stays, wait_until

KEYED = "SELECT jobq.enqueue('sms', %s, 'acme', unique_key => 'k', on_duplicate => %s)"
LIVE = "SELECT status, payload, priority, retry_count, crashes FROM jobq.jobs_live WHERE id = %s"


@pytest.fixture
def session(db):
    """Sessions of the producer role with a transaction that the test ends."""
    made = []

    def open_one(role="jobq_producer", autocommit=False):
        made.append(db.connect(role, autocommit=autocommit))
        return made[-1], made[-1].cursor()
    yield open_one
    for connection in made:
        connection.close()


def keyed(db, payload, mode="keep", **args):
    return db.enqueue("sms", payload, tenant_id="acme", unique_key="k", on_duplicate=mode, **args)


def claim(db, job, token):
    db.sql("UPDATE jobq.jobs_live SET status = 'claimed', claim_token = %s, claimed_by = 'n1', started_at = now() WHERE id = %s", [token, job])


def finish(cursor_or_db, job, token, status="completed", expire_on="now"):
    """As the dispatcher does; [(busy, waits again)]."""
    sql = ("SELECT busy, again_at IS NOT NULL FROM jobq.finish_tied(ARRAY[%s]::bigint[], ARRAY[%s]::bigint[], current_date + 30, ARRAY[1]::bigint[],"
           " ARRAY[%s], ARRAY[NULL]::jsonb[], ARRAY[NULL]::text[])")
    if hasattr(cursor_or_db, "sql"):
        return cursor_or_db.sql(sql, [job, token, status])
    cursor_or_db.execute(sql, [job, token, status])
    return cursor_or_db.fetchall()


def waiting(db, connection):
    return wait_until(lambda: db.one("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [connection.info.backend_pid]), "the session to wait")


# --- the modes


def test_keep(db):
    first = keyed(db, {"n": 1}, priority="low")
    assert keyed(db, {"n": 2}, priority="urgent") == first
    assert db.sql(LIVE, [first]) == [("pending", {"n": 1}, 10, 0, 0)]
    claim(db, first, 7)
    assert keyed(db, {"n": 3}) == first and db.one("SELECT count(*) FROM jobq.replacements") == 0
    assert finish(db, first, 7) == [(False, False)]
    assert keyed(db, {"n": 4}) != first


def test_an_entry_by_its_uuid(db):
    """An entry of a feed: its source is the type, its uuid the key. Queued again while it waits it is one job; each entry is its own."""
    one, two = (str(uuid.uuid4()) for _ in range(2))
    ids = [db.enqueue("entries", {"n": n}, tenant_id="acme", type="rss", unique_key=key) for n, key in enumerate((one, two, one))]
    assert ids[0] == ids[2] != ids[1] and db.sql("SELECT type, unique_key, payload FROM jobq.jobs ORDER BY id") == [("rss", one, {"n": 0}), ("rss", two, {"n": 1})]


def test_other_tenant_queue_key(db):
    ids = {db.enqueue(q, {}, tenant_id=t, unique_key=k) for q in ("a", "b") for t in ("x", "y", None) for k in ("1", "2")}
    assert len(ids) == 12
    assert {db.enqueue(q, {}, tenant_id=t, unique_key=k) for q in ("a", "b") for t in ("x", "y", "") for k in ("1", "2")} == ids


def test_error(db, session):
    first = keyed(db, {"n": 1})
    _, cursor = session(autocommit=True)
    with pytest.raises(psycopg2.errors.UniqueViolation) as caught:
        cursor.execute(KEYED, ["{}", "error"])
    diag = caught.value.diag
    assert (diag.constraint_name, diag.message_primary, diag.message_detail) == (
        "jobs_unique_key", 'jobq: queue "sms" has an unfinished job with the unique key "k"', f"It is job {first}.")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        cursor.execute("SELECT jobq.enqueue_many(%s)", [json.dumps([{"queue": "sms"}, {"queue": "sms", "tenant_id": "acme", "unique_key": "k", "on_duplicate": "error"}])])
    with pytest.raises(psycopg2.errors.UniqueViolation) as caught:
        cursor.execute("INSERT INTO jobq.jobs (queue, payload, tenant_id, unique_key) VALUES ('sms', '{}', 'acme', 'k')")
    assert caught.value.diag.constraint_name == "jobs_unique_key"
    assert db.one("SELECT count(*) FROM jobq.jobs") == 1


def test_replace_of_a_waiting_job(db):
    """Payload, priority, time and deadline are the new ones, with all tries; everything else is the first one's."""
    job = keyed(db, {"n": 1}, priority="low", run_at="2040-01-01", type="t", user_id="u", max_retries=9, deadline="2041-01-01")
    db.sql("UPDATE jobq.jobs_live SET retry_count = 2, crashes = 1 WHERE id = %s", [job])
    assert keyed(db, {"n": 2}, "replace", priority="urgent", type="other", user_id="v", max_retries=1) == job
    assert db.sql(LIVE, [job]) == [("pending", {"n": 2}, 1, 0, 0)]
    assert db.sql("SELECT run_at <= now(), deadline, type, user_id, max_retries FROM jobq.jobs_live") == [(True, None, "t", "u", 9)]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_replace_of_a_started_job(db, status):
    """It runs once more when it ends, however it ends: the latest wish, with all its tries, no token; then it ends for good."""
    job = keyed(db, {"n": 1})
    claim(db, job, 7)
    assert keyed(db, {"n": 2}, "replace") == job and keyed(db, {"n": 3}, "replace", priority="high", run_at="2040-01-01") == job
    assert db.sql(LIVE, [job]) == [("claimed", {"n": 1}, 5, 0, 0)]
    assert finish(db, job, 7, status) == [(False, True)]
    assert db.sql(LIVE, [job]) == [("pending", {"n": 3}, 2, 0, 0)]
    assert db.sql("SELECT claim_token, claimed_by, run_at = '2040-01-01' FROM jobq.jobs_live") == [(None, None, True)]
    assert finish(db, job, 7, status) == [], "its old token is worth nothing"
    claim(db, job, 8)
    assert finish(db, job, 8, status) == [(False, False)]
    assert db.one("SELECT status FROM jobq.status(%s)", [job]) == status and db.one("SELECT count(*) FROM jobq.replacements") == 0


def test_replace_of_a_job_that_is_put_back(db):
    """A retry goes on with the replacement at once, with all its tries."""
    job = keyed(db, {"n": 1})
    claim(db, job, 7)
    keyed(db, {"n": 2}, "replace")
    back = "SELECT busy, again_at <= now() FROM jobq.back_tied(ARRAY[%s]::bigint[], ARRAY[%s]::bigint[], '{1}', '{3600000000}', '{1}', '{bad}', '{NULL}')"
    assert db.sql(back, [job, 7]) == [(False, True)]
    assert db.sql(LIVE, [job]) == [("pending", {"n": 2}, 5, 0, 0)]
    claim(db, job, 8)
    assert db.sql(back, [job, 8]) == [(False, False)]
    assert db.sql(LIVE, [job]) == [("pending", {"n": 2}, 5, 1, 1)]


def test_replace_after_its_node_was_lost(db):
    """A row that the sweep released still has its replacement: a newer wish takes its place, and an older one never comes back."""
    job = keyed(db, {"n": 1})
    claim(db, job, 7)
    keyed(db, {"n": 2}, "replace")
    db.sql("UPDATE jobq.jobs_live SET status = 'pending', claim_token = NULL WHERE id = %s", [job])
    keyed(db, {"n": 3}, "replace")
    claim(db, job, 8)
    assert finish(db, job, 8) == [(False, False)]
    assert db.one("SELECT payload FROM jobq.jobs WHERE id = %s", [job]) == {"n": 3}


def test_replace_of_a_held_job(db):
    """It waits for the verdict, whichever it is."""
    for verdict in ("done", "failed", "retry"):
        job = keyed(db, {"n": 1})
        db.sql("UPDATE jobq.jobs_live SET status = 'held', claim_token = 7, run_at = 'infinity' WHERE id = %s", [job])
        keyed(db, {"n": 2}, "replace")
        assert db.sql(LIVE, [job])[0][:2] == ("held", {"n": 1})
        assert db.one("SELECT jobq.resolve(%s, %s)", [job, verdict]) == "pending"
        assert db.sql(LIVE, [job])[0][:2] == ("pending", {"n": 2})
        assert db.one("SELECT jobq.cancel_key('sms', 'k', 'acme')") == "cancelled"


def test_many(db):
    """Rows that were there say created = false; duplicates within one array too; the last replacement wins; n keeps its order."""
    old = keyed(db, {"n": 0})
    jobs = [{"queue": "sms", "tenant_id": "acme", "unique_key": k, "payload": {"n": n}, "on_duplicate": m} for n, (k, m) in enumerate(
        [("z", "keep"), ("k", "keep"), ("a", "error"), ("z", "replace"), (None, "error"), ("z", "replace"), ("a", "keep"), ("k", "replace")], 1)]
    with db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n, id, created FROM jobq.enqueue_many(%s)", [json.dumps(jobs)])
        rows = cursor.fetchall()
    connection.close()
    assert [r[0] for r in rows] == list(range(1, 9))
    assert [r[2] for r in rows] == [True, False, True, False, True, False, False, False]
    assert rows[1][1] == rows[7][1] == old and rows[0][1] == rows[3][1] == rows[5][1] and rows[2][1] == rows[6][1]
    assert db.sql("SELECT unique_key, payload->>'n' FROM jobq.jobs_live ORDER BY 1") == [("a", "3"), ("k", "8"), ("z", "6"), (None, "5")]


def test_cancel_key(db):
    cancel = "SELECT jobq.cancel_key('sms', 'k', 'acme')"
    assert db.one(cancel) == "unknown" and db.one("SELECT jobq.cancel_key('sms', NULL)") == "unknown"
    job = keyed(db, {})
    assert db.one("SELECT jobq.cancel_key('sms', 'k')") == "unknown", "another tenant's"
    assert db.one(cancel) == "cancelled" and db.one("SELECT status FROM jobq.status(%s)", [job]) == "cancelled"
    job = db.enqueue("sms", {}, unique_key="k")
    claim(db, job, 7)
    assert db.one("SELECT jobq.cancel_key('sms', 'k', '')") == "requested" == db.one("SELECT jobq.cancel_key('sms', 'k')")


def test_cancel_and_replace(db):
    """What was asked for last counts: a cancel withdraws the replacement, a later replacement outlives the cancel."""
    job = keyed(db, {"n": 1})
    claim(db, job, 7)
    keyed(db, {"n": 2}, "replace")
    assert db.one("SELECT jobq.cancel(%s)", [job]) == "requested"
    keyed(db, {"n": 3}, "replace")
    assert finish(db, job, 7, "cancelled") == [(False, True)]
    assert db.sql(LIVE, [job])[0][:2] == ("pending", {"n": 3}) and db.one("SELECT count(*) FROM jobq.cancels") == 0
    claim(db, job, 8)
    keyed(db, {"n": 4}, "replace")
    assert db.one("SELECT jobq.cancel(%s)", [job]) == "requested"
    assert finish(db, job, 8, "cancelled") == [(False, False)]


def test_retry_of_a_key_that_is_taken(db):
    first = keyed(db, {"n": 1})
    db.sql("SELECT jobq.cancel(%s)", [first])
    second = keyed(db, {"n": 2})
    assert second != first and db.one("SELECT jobq.retry(%s)", [first]) == "duplicate"
    db.sql("SELECT jobq.cancel(%s)", [second])
    assert db.one("SELECT jobq.retry(%s)", [first]) == "pending"


def test_complete_of_a_replaced_job(db):
    """jobq.complete is true, the job waits again; the acknowledgement that comes later finds that its run was written."""
    job = keyed(db, {"n": 1})
    claim(db, job, 7)
    keyed(db, {"n": 2}, "replace")
    assert db.one("SELECT jobq.complete(%s, 7, '{}')", [job])
    assert db.sql(LIVE, [job])[0][:2] == ("pending", {"n": 2})
    assert db.sql("SELECT ended_token, payload FROM jobq.replacements") == [(7, None)]
    assert not db.one("SELECT jobq.complete(%s, 7, '{}')", [job])
    claim(db, job, 8)
    assert db.one("SELECT jobq.complete(%s, 8, '{}')", [job]) and db.one("SELECT count(*) FROM jobq.replacements") == 0


# --- sessions at the same moment


def test_two_at_once(db, session):
    """The second waits for the first one's commit and gets its id; after a rollback the job is its own."""
    for ends in ("commit", "rollback"):
        (one, cursor), (two, other) = session(), session()
        cursor.execute(KEYED, ['{"n": 1}', "keep"])
        first = cursor.fetchone()[0]
        thread = threading.Thread(target=other.execute, args=(KEYED, ['{"n": 2}', "keep"]))
        thread.start()
        waiting(db, two)
        getattr(one, ends)()
        thread.join(30)
        assert (other.fetchone()[0] == first) == (ends == "commit")
        two.commit()
        assert db.one("SELECT jobq.cancel_key('sms', 'k', 'acme')") == "cancelled"


def test_replace_in_an_open_transaction_delays_its_own_job_only(db, session):
    """The end of the job that it replaces is answered `busy`; its neighbours end at once; nothing waits for a lock."""
    job, other = keyed(db, {"n": 1}), db.enqueue("sms", {}, unique_key="other")
    claim(db, job, 7)
    claim(db, other, 7)
    producer, cursor = session()
    cursor.execute(KEYED, ['{"n": 2}', "replace"])
    ends = db.sql("SELECT id, busy FROM jobq.finish_tied(%s, '{7,7}', current_date, '{1,1}', '{completed,completed}', '{NULL,NULL}', '{NULL,NULL}') ORDER BY id", [[job, other]])
    assert ends == [(job, True), (other, False)]
    producer.commit()
    assert finish(db, job, 7) == [(False, True)]
    assert db.sql(LIVE, [job])[0][:2] == ("pending", {"n": 2})


def test_replace_waits_for_an_end_in_flight(db, session):
    """The end holds the row first: the replacement becomes a job of its own when it commits, a replacement when it rolls back."""
    for ends in ("commit", "rollback"):
        job = keyed(db, {"n": 1})
        claim(db, job, 7)
        (dispatcher, cursor), (producer, other) = session("jobq_worker"), session()
        assert finish(cursor, job, 7) == [(False, False)]
        thread = threading.Thread(target=other.execute, args=(KEYED, ['{"n": 2}', "replace"]))
        thread.start()
        waiting(db, producer)
        getattr(dispatcher, ends)()
        thread.join(30)
        got = other.fetchone()[0]
        producer.commit()
        assert (got == job) == (ends == "rollback")
        if ends == "rollback":
            assert finish(db, job, 7) == [(False, True)]
        assert db.sql(LIVE, [got])[0][:2] == ("pending", {"n": 2})
        assert db.one("SELECT jobq.cancel_key('sms', 'k', 'acme')") == "cancelled"


def test_serializable_producers(db, session):
    """A stricter isolation level gets its serialization failure to try again, not a wrong answer."""
    (one, cursor), (two, other) = session(), session()
    two.set_session(isolation_level="REPEATABLE READ")
    other.execute("SELECT 1")
    cursor.execute(KEYED, ['{"n": 1}', "keep"])
    one.commit()
    with pytest.raises(psycopg2.errors.SerializationFailure):
        other.execute(KEYED, ['{"n": 2}', "replace"])


def hammer(db, number, keys, rounds, errors):
    """Replaces keys over and over, each time with a higher number of its own."""
    connection = db.connect()
    try:
        with connection.cursor() as cursor:
            for n in range(rounds):
                payload = json.dumps({"writer": number, "n": n, "sleep": "5ms"})
                cursor.execute("SELECT jobq.enqueue('sleep', %s, 'acme', unique_key => %s, on_duplicate => 'replace')", [payload, f"k{n % keys}"])
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)
    finally:
        connection.close()


@pytest.mark.parametrize("retain", ["30d", "0"])
def test_no_wish_is_lost(daemon, db, retain):
    """Six writers replace twenty keys while a daemon runs them, with workers and dispatcher killed: the last run of each key has the last
    payload that was committed for it, and each key's job ends."""
    db.sql("CREATE TABLE public.wishes (key text, writer int, n int, seq bigserial)")
    node = daemon(db, {"sleep": {"workers": 2, "batch_size": 5, "retain_completed": retain}}).start()
    errors = []
    threads = [threading.Thread(target=hammer, args=(db, number, 20, 400, errors)) for number in range(6)]
    for thread in threads:
        thread.start()
    for role in ("worker", "dispatcher", "worker"):
        os.kill(node.pid(role), signal.SIGKILL)
        stays(lambda: True, "a moment between kills", 0.3)
    for thread in threads:
        thread.join(120)
    assert not errors, errors
    db.settle("sleep")
    assert db.one("SELECT count(*) FROM jobq.replacements") == 0 and db.one("SELECT count(*) FROM jobq.jobs_live") == 0
    if retain != "0":
        rows = db.sql("SELECT DISTINCT ON (unique_key) unique_key, (payload->>'n')::int FROM jobq.jobs ORDER BY unique_key, id DESC")
        assert [n for _, n in rows] == [380 + int(k[1:]) for k, _ in rows] and len(rows) == 20


def test_replaced_while_it_runs(daemon, db):
    """Through a daemon: the run under way ends, the next has the new payload; the outcome of the last is the job's."""
    node = daemon(db, {"sleep": {"workers": 1}}).start()
    job = db.enqueue("sleep", {"sleep": "300ms", "result": 1}, unique_key="k")
    wait_until(lambda: db.job(job)["status"] in ("claimed", "running"), "the first run to begin")
    assert db.enqueue("sleep", {"result": 2}, unique_key="k", on_duplicate="replace", priority="urgent") == job
    row = db.wait_job(job, "completed")
    assert (row["result"], row["priority"], row["payload"]) == (2, 1, {"result": 2})
    assert db.one("SELECT count(*) FROM jobq.jobs WHERE id = %s", [job]) == 1
    assert "ownership lost" not in node.text()


def test_enqueue_by_jobqctl(daemon, db):
    """`enqueue --unique`: the id of the job that is there, and the word that it was."""
    node = daemon(db, {"null": {}}).start()
    node.ctl("pause", "null")
    first = node.ctl("enqueue", "null", "{}", "--unique", "k", "--tenant", "t").strip()
    again = node.ctl("enqueue", "null", "{}", "--unique", "k", "--tenant", "t", code=None)
    assert again.returncode == 0 and again.stdout.strip() == first and "unfinished job already" in again.stderr
    line = json.dumps({"queue": "null", "tenant_id": "t", "unique_key": "k", "on_duplicate": "error"})
    refused = node.ctl("enqueue", "--file", "-", stdin=line + "\n", code=None)
    assert refused.returncode == 1 and 'unfinished job with the unique key "k"' in refused.stderr
    assert node.json("job", first)["unique_key"] == "k"


def test_keys_of_a_receiver(daemon, db, receiver):
    """A receiver that drops what it has seen gets the replacement under another idempotency key; attempts of one run share theirs."""
    receiver.control(slow=0.5)
    daemon(db, {"sms": {**receiver.queue_keys(), "workers": 1}}).start()
    job = db.enqueue("sms", {"to": "+358401234567", "text": "first"}, unique_key="k")
    wait_until(lambda: db.job(job)["status"] in ("claimed", "running"), "the first to be sent")
    db.enqueue("sms", {"to": "+358401234567", "text": "second"}, unique_key="k", on_duplicate="replace")
    db.wait_job(job, "completed")
    keys = [(e["text"], e["headers"]["idempotency-key"]) for e in receiver.effects()]
    assert [t for t, _ in keys] == ["first", "second"] and keys[0][1].endswith(f"-{job}") and keys[1][1].startswith(keys[0][1] + "-")


def test_keys_are_found_by_index(db):
    """Among many jobs without keys: the look for a key reads the index of keys, and jobs without one are not in it."""
    db.sql("INSERT INTO jobq.jobs (queue, payload) SELECT 'sms', '{}' FROM generate_series(1, 5000)")
    job = keyed(db, {})
    db.sql("ANALYZE jobq.jobs_live")
    plan = "\n".join(r[0] for r in db.sql("EXPLAIN SELECT id FROM jobq.jobs_live WHERE queue = 'sms' AND coalesce(tenant_id, '') = 'acme' AND unique_key = 'k' FOR UPDATE"))
    assert "jobs_unique_key" in plan and "Seq Scan" not in plan and db.one("SELECT pg_relation_size('jobq.jobs_unique_key')") <= 16384
    assert keyed(db, {}) == job
