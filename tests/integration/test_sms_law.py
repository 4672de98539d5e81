"""What each answer of a gateway means for a message: accepted, again, never, wait, or nobody knows."""
import pytest
from harness.wait import stays, wait_until


@pytest.fixture
def start(daemon, db, receiver):
    def make(**keys):
        return daemon(db, {"sms": {**receiver.queue_keys(), "workers": 1, "retry_backoff": "fixed 100ms", "max_retries": 2, **keys}}).start()
    return make


def send(db, number, text="x"):
    return db.enqueue("sms", {"to": number, "text": text})


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_permanent(start, db, receiver, status):
    """4xx: failed at once, with the receiver's words."""
    start()
    row = db.wait_job(send(db, f"+999{status}1234"), "failed")
    assert row["retry_count"] == 0 and str(status) in row["error_message"] and "refused with" in row["error_message"]
    assert len(receiver.attempts()) == 1


def test_transient(start, db, receiver):
    """500: tried again up to max_retries. By one message alone it is no outage."""
    start()
    row = db.wait_job(send(db, "+9995001234"), "failed")
    assert row["retry_count"] == 2 and len(receiver.attempts()) == 3


def test_unavailable_with_retry_after(start, db, receiver):
    """503 with Retry-After: not before then, and no try is burnt."""
    receiver.control(manner="503")
    start(max_retries=0)
    job = send(db, "+358401234567")
    wait_until(lambda: len(receiver.attempts()) >= 2, "a second try", 20)
    first, second = receiver.attempts()[:2]
    assert second["m"] - first["m"] >= 1.9
    receiver.control(manner="")
    assert db.wait_job(job, "completed")["retry_count"] == 0


@pytest.mark.parametrize("status", [502, 504])
def test_uncertain_status(start, db, receiver, status):
    """502 and 504 may have been delivered: held for a person."""
    start()
    assert str(status) in db.wait_job(send(db, f"+999{status}1234"), "held")["error_message"]
    assert len(receiver.attempts()) == 1


@pytest.mark.parametrize("number", ["+9990111234", "+9990121234"])
def test_snooze_with_retry_after(start, db, receiver, number):
    """429: not before Retry-After (seconds or a date), and no try is burnt."""
    start(max_retries=0)
    row = db.wait_job(send(db, number), "completed")
    first, second = receiver.attempts()
    assert row["retry_count"] == 0 and second["m"] - first["m"] >= 0.9


@pytest.mark.parametrize("status", [408, 425])
def test_snooze(start, db, receiver, status):
    """408 and 425: put back without burning a try, and not hammered."""
    start(max_retries=0)
    job = send(db, f"+999{status}1234")
    wait_until(lambda: len(receiver.attempts()) >= 2, "a second try", 20)
    row = db.job(job)
    assert row["retry_count"] == 0 and row["status"] in ("pending", "claimed", "running")
    assert len(receiver.attempts()) < 10


@pytest.mark.parametrize("status", ["401", "403"])
def test_gate(start, db, receiver, status):
    """Refused credentials close the queue's gate, loudly, and burn nothing; when they work again all goes out."""
    receiver.control(manner=status)
    d = start(max_retries=0)
    ids = [send(db, f"+35840{n:07d}", str(n)) for n in range(30)]
    d.wait_status(lambda s: s["queues"][0]["last_error"] and status in s["queues"][0]["last_error"], "the gate in status")
    wait_until(lambda: "gate" in [r["code"] for r in d.json("why", ids[-1])["reasons"]], "why to name the gate")
    tried = len(receiver.attempts())
    assert tried <= 20
    receiver.control(manner="")
    db.settle("sms")
    assert db.statuses("sms") == {"completed": 30} and db.one("SELECT max(retry_count) FROM jobq.jobs") == 0
    assert "level=error" in d.text() or "level=warn" in d.text()


def test_refused_connection(start, db, receiver):
    """Nobody listens: certainly not sent, so tried again, and no try is burnt."""
    d = start(max_retries=0)
    receiver.stop()
    job = send(db, "+358401234567")
    d.wait_status(lambda s: s["queues"][0]["gate"], "the gate to shut")
    receiver.start()
    assert db.wait_job(job, "completed")["retry_count"] == 0
    assert len(receiver.effects()) == 1


@pytest.mark.parametrize("number", ["+9990021234", "+9990061234"])
def test_sent_and_no_answer_held(start, db, receiver, number):
    """Sent, and the connection broke before a usable answer: held, not sent again."""
    start()
    job = send(db, number)
    assert db.wait_job(job, "held")["error_message"]
    stays(lambda: len(receiver.attempts()) == 1, "one attempt", 0.5)


def test_sent_and_no_answer_retried(start, db, receiver):
    """on_uncertain = retry: sent again, under the same reference."""
    start(on_uncertain="retry", max_retries=2)
    job = send(db, "+9990021234")
    db.wait_job(job, "failed")
    keys = {a["headers"]["idempotency-key"] for a in receiver.attempts()}
    assert len(receiver.attempts()) == 3 and len(keys) == 1 and keys.pop().endswith(f"-{job}")


@pytest.mark.parametrize("number", ["+9990031234", "+9990041234"])
def test_no_answer_in_time(start, db, receiver, number):
    """A receiver that never ends its answer is cut off after job_timeout: uncertain; its neighbours go out meanwhile."""
    start(job_timeout="2s", workers=2)
    job = send(db, number)
    others = [send(db, f"+35840{n:07d}", str(n)) for n in range(5)]
    assert db.wait_job(job, "held")["error_message"]
    for other in others:
        db.wait_job(other, "completed")


def test_huge_answer(start, db):
    """10 MB of error text: clipped, and the worker is well."""
    d = start()
    job = send(db, "+9990051234")
    pids = d.pids("worker")
    row = db.wait_job(job, "failed")
    assert 20 < len(row["error_message"]) < 10000
    db.wait_job(send(db, "+358401234567"), "completed")
    assert d.pids("worker") == pids


def test_dirty_answer(start, db):
    """NUL, broken UTF-8 and escapes in an error text become something that a table and a terminal can hold."""
    d = start()
    job = send(db, "+9990071234")
    error = db.wait_job(job, "failed")["error_message"]
    assert "bad" in error and "number" in error and "\0" not in error
    shown = d.ctl("job", job)
    assert "\x1b" not in shown
    assert "\x1b[31m" not in d.text()


def test_accepted_without_json(start, db, receiver):
    """2xx with a body that is no JSON where an id was expected: not sent twice, whatever it is called."""
    start()
    job = send(db, "+9990091234")
    row = wait_until(lambda: (r := db.job(job))["status"] in ("completed", "held") and r, "an end")
    assert len(receiver.attempts()) == 1 and row["retry_count"] in (0, 1)


@pytest.mark.parametrize("payload,words", [
    ({"text": "x"}, "to"), ({"to": "0401234567", "text": "x"}, "+"), ({"to": "+35840", "text": "x"}, "E.164"), ({"to": "+1234567890123456", "text": "x"}, "to"),
    ({"to": 17, "text": "x"}, "to"), ({"to": "+35840123456\r\nX-Evil: 1", "text": "x"}, "to"), ([], "object"), ({"to": "+358401234567"}, "text"),
], ids=["no-to", "national", "short", "long", "not-text", "crlf", "array", "no-text"])
def test_bad_payload(start, db, receiver, payload, words):
    """A payload that the handler cannot use fails that job, with the reason, and never reaches the gateway; its neighbours go on."""
    start()
    bad, good = db.enqueue("sms", payload), send(db, "+358401234567")
    row = db.wait_job(bad, "failed")
    assert words in row["error_message"] and row["retry_count"] == 0
    db.wait_job(good, "completed")
    assert [e["to"] for e in receiver.attempts()] == ["+358401234567"]


def test_gateway_down_and_up(daemon, db, run_dir):
    """A real Kannel stopped and started again: everything arrives at least once, nothing fails."""
    import os
    from harness.kannel import Kannel
    kannel = Kannel(os.path.join(run_dir, f"kannel-{db.name}")).start()
    try:
        d = daemon(db, {"sms": {**kannel.queue_keys(), "retry_backoff": "fixed 500ms", "max_retries": 3, "on_uncertain": "retry", "rate_limit": "100/s"}}).start()
        db.enqueue_many([{"queue": "sms", "payload": {"to": f"+35840{n:07d}", "text": f"n{n}"}} for n in range(300)])
        wait_until(lambda: len(kannel.received()) > 50, "messages on the network")
        kannel.stop()
        d.wait_status(lambda s: s["queues"][0]["gate"], "the gate to shut")
        kannel.start()
        db.settle("sms")
        assert db.statuses("sms") == {"completed": 300}
        # what Kannel had accepted and not yet passed on when it was told to stop is Kannel's to lose
        assert len({text for _, _, text in kannel.received()}) >= 290
    finally:
        kannel.stop()
