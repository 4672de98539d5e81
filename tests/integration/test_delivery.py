"""From jobq.enqueue to the effect: each handler of this version, against the real other side."""
import json

import pytest
from harness.wait import wait_until


def test_null(daemon, db):
    """The shortest way through the house."""
    daemon(db, {"null": {}}).start()
    job = db.enqueue("null", {"n": 1}, tenant_id="acme")
    row = db.wait_job(job, "completed")
    assert row["tenant_id"] == "acme" and row["retry_count"] == 0 and row["completed_at"] >= row["created_at"]


def test_enqueued_before_the_daemon(daemon, db):
    """Jobs that were there first are found without a notification."""
    ids = db.enqueue_many([{"queue": "null", "payload": {"n": n}, "tenant_id": f"t{n % 7}"} for n in range(500)])
    assert len(ids) == len(set(ids)) == 500
    daemon(db, {"null": {}}).start()
    db.settle("null")
    assert db.statuses("null") == {"completed": 500}


def test_plain_insert_and_copy(daemon, db):
    """A plain INSERT and COPY by the producer role wake the daemon and are delivered."""
    daemon(db, {"null": {}}).start()
    with db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobq.jobs (queue, payload, tenant_id, priority) VALUES ('null', '{}', NULL, NULL), ('null', '{}', 'a', 1)")
        import io
        cursor.copy_expert("COPY jobq.jobs (queue, tenant_id, payload) FROM STDIN", io.StringIO("null\tb\t{}\n" * 100))
    wait_until(lambda: db.statuses("null") == {"completed": 102}, "102 jobs to be completed")


def test_sleep_result_and_progress(daemon, db):
    """A handler's result and progress reach the row."""
    daemon(db, {"sleep": {}}).start()
    job = db.enqueue("sleep", {"sleep": "3s", "progress": [40, {"percent": 80, "note": "page 4"}], "result": {"rows": 7}})
    seen = wait_until(lambda: db.sql("SELECT status, progress, progress_note FROM jobq.status(%s) WHERE progress >= 40", [job]), "progress of the job")
    assert seen[0][0] == "running"
    assert db.wait_job(job, "completed")["result"] == {"rows": 7}


@pytest.mark.parametrize("keep", ["30d", "0"])
def test_row_that_moved(daemon, db, keep):
    """A row ends where the claim left it; one that has been moved since (here by an update, and with the whole table) is found by its id."""
    d = daemon(db, {"sleep": {"workers": 1, "batch_size": 10, "retain_completed": keep}}).start()
    ids = db.enqueue_many([{"queue": "sleep", "payload": {"sleep": "3s"}} for _ in range(4)])
    wait_until(lambda: db.one("SELECT count(*) FROM jobq.jobs_live WHERE claim_token IS NOT NULL") == 4, "the claim of four jobs")
    places = dict(db.sql("SELECT id, ctid::text FROM jobq.jobs_live"))
    db.sql("UPDATE jobq.jobs_live SET progress_note = 'moved' WHERE id = %s", [ids[0]])
    db.sql("VACUUM FULL jobq.jobs_live")
    moved = dict(db.sql("SELECT id, ctid::text FROM jobq.jobs_live"))
    assert moved and moved != {job: places[job] for job in moved}
    wait_until(lambda: d.queue_status("sleep")["completed"] == 4, "four completed jobs")
    assert db.one("SELECT count(*) FROM jobq.jobs_live") == 0
    assert db.statuses("sleep") == ({"completed": 4} if keep != "0" else {})
    with open(d.log, encoding="utf-8") as f:
        assert "ownership lost" not in f.read()


def test_sms_through_kannel(daemon, db, kannel):
    """A real gateway: every text arrives once at the telephone network, letters intact, and the result keeps the gateway's words."""
    daemon(db, {"sms": kannel.queue_keys()}).start()
    texts = {f"+35840{n:07d}": f"Hei {n} äö € {db.name}" for n in range(40)}
    ids = db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 3}", "payload": {"to": to, "text": text}} for n, (to, text) in enumerate(texts.items())])
    db.settle("sms")
    assert db.statuses("sms") == {"completed": 40}
    result = db.job(ids[0])["result"]
    assert result["response"].startswith("0:") and result["ref"].endswith(f"-{ids[0]}")
    mine = wait_until(lambda: len(got := [(to, text) for _, to, text in kannel.received() if db.name in text]) >= 40 and got, "40 messages on the network")
    assert dict(mine) == texts and len(mine) == 40


def test_sms_beyond_gsm(daemon, db, kannel):
    """Characters that GSM 03.38 lacks go out as UCS-2 instead of question marks."""
    daemon(db, {"sms": kannel.queue_keys()}).start()
    number = f"+35850{int(db.name[1:]):07d}"
    db.wait_job(db.enqueue("sms", {"to": number, "text": "Привет 日本"}), "completed")

    def arrived():
        with open(f"{kannel.dir}/phone.log", encoding="utf-8", errors="replace") as f:
            return [line for line in f if f" {number} ucs-2 " in line]
    assert "%04%1F%04%40" in wait_until(arrived, "the message on the network")[0]


def test_sms_json(daemon, db, receiver):
    """The generic driver: templated body, escaping, the reference, the receiver's id in the result."""
    daemon(db, {"sms": receiver.queue_keys()}).start()
    text = 'quotes " and \\ and\nlines, ä, {to}'
    job = db.enqueue("sms", {"to": "+358401234567", "text": text})
    row = db.wait_job(job, "completed")
    effects = receiver.effects()
    assert [(e["to"], e["text"]) for e in effects] == [("+358401234567", text)]
    assert effects[0]["headers"]["idempotency-key"].endswith(f"-{job}")
    assert json.dumps(row["result"]).count(f"m-{effects[0]['n']}") == 1


def test_job_end_and_result_by_function(daemon, db):
    """jobq.status tells a producer what became of its job."""
    daemon(db, {"sleep": {}}).start()
    job = db.enqueue("sleep", {"outcome": "fail", "error": "no such page"})
    db.wait_job(job, "failed")
    status, error = db.sql("SELECT status, error_message FROM jobq.status(%s)", [job])[0]
    assert status == "failed" and "no such page" in error
