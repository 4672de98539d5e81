"""Mail to a real SMTP server: what arrives, to whom, how often, and what each answer means for the job."""
import base64
import contextlib
import json
import os
import signal
import socket
import threading

import pytest
from harness.mail import certificate
from harness.wait import stays, wait_until

FAST = {"workers": 1, "retry_backoff": "fixed 100ms", "max_retries": 2}


@pytest.fixture
def start(daemon, db, mail):
    def make(host="127.0.0.1", scheme="smtp", options=None, environment=None, **keys):
        mail.start(**(options or {}))
        return daemon(db, {"email": {**mail.queue_keys(host, scheme), **FAST, **keys}}).start(**(environment or {}))
    return make


def send(db, to, **payload):
    return db.enqueue("email", {"to": to, "subject": "x", "text": "x", **payload})


def tried(mail):
    """How often each recipient was asked for."""
    count = {}
    for line in mail.attempts("rcpt"):
        count[line["rcpt"]] = count.get(line["rcpt"], 0) + 1
    return count


def got(mail):
    """How many messages each recipient was sent."""
    count = {}
    for effect in mail.effects():
        for to in effect["to"]:
            count[to] = count.get(to, 0) + 1
    return count


# --- what arrives

@pytest.mark.parametrize("pipelining", [False, True])
def test_message(start, db, mail, pipelining):
    """Everything a payload can hold arrives as it was meant, read by another library."""
    start(options={"pipelining": pipelining})
    text = "Hei 日本 äö\n.\n..dots\nFrom here\n" + "long " * 400 + "\n" + "x" * 3000 + "\n"
    job = db.enqueue("email", {
        "to": ["Ann Ö <ann@example.com>", "bo@example.com"], "cc": "\"Cee, C\" <cc@example.com>", "bcc": ["hidden@example.com", "bo@example.com"],
        "from": "Päivä <paiva@example.com>", "reply_to": "help@example.com", "subject": "Tilaus 42 – " + "käsittely " * 20,
        "text": text, "html": "<p>日本</p>" * 50, "headers": {"X-Campaign": "kevät", "List-Unsubscribe": "<https://example.com/u?x=1>"},
        "attachments": [{"filename": "lasku ä.pdf", "content_type": "application/pdf", "data_base64": base64.b64encode(bytes(range(256)) * 40).decode()},
                        {"filename": "a.txt", "data_base64": ""}]})
    row = db.wait_job(job, "completed")
    effect, = mail.effects()
    m = effect["message"]
    assert effect["from"] == "paiva@example.com"
    assert effect["to"] == ["ann@example.com", "bo@example.com", "cc@example.com", "hidden@example.com"]
    assert [(a.display_name, a.addr_spec) for a in m["to"].addresses] == [("Ann Ö", "ann@example.com"), ("", "bo@example.com")]
    assert m["cc"].addresses[0].display_name == "Cee, C" and m["from"].addresses[0].display_name == "Päivä"
    assert m["reply-to"].addresses[0].addr_spec == "help@example.com" and m["bcc"] is None and b"hidden@" not in effect["raw"]
    assert m["subject"].rstrip() == ("Tilaus 42 – " + "käsittely " * 20).rstrip()
    assert m["x-campaign"] == "kevät" and m["list-unsubscribe"] == "<https://example.com/u?x=1>"
    assert m.get_body(("plain",)).get_content().replace("\r\n", "\n") == text
    assert m.get_body(("html",)).get_content().strip() == "<p>日本</p>" * 50
    first, second = m.iter_attachments()
    assert first.get_filename() == "lasku ä.pdf" and first.get_content_type() == "application/pdf" and first.get_content() == bytes(range(256)) * 40
    assert second.get_content_type() == "application/octet-stream" and second.get_content() == b""
    assert row["result"]["message_id"] == m["message-id"] and row["result"]["reply"].startswith("250 2.0.0 OK: queued as")
    assert m["message-id"].endswith(f"-{job}@example.com>") and abs((m["date"].datetime - row["created_at"]).total_seconds()) < 1.5
    assert max(map(len, effect["raw"].split(b"\r\n"))) <= 998 and not m.defects


def test_plain(start, db, mail):
    """The least: one recipient, one text, the queue's sender."""
    start()
    db.wait_job(db.enqueue("email", {"to": "a@example.com", "text": "hei"}), "completed")
    effect, = mail.effects()
    assert effect["from"] == "shop@example.com" and effect["message"].get_content_type() == "text/plain"
    assert effect["message"].get_content() == "hei\r\n"


def test_files(start, db, mail, where):
    """Attachments from files beneath attachment_dir, and nothing from anywhere else."""
    files = os.path.join(where, "files")
    os.makedirs(os.path.join(files, "acme"))
    with open(os.path.join(files, "acme", "a.csv"), "wb") as f:
        f.write(b"\x00sku\r\n" * 100000)
    os.symlink("/etc/passwd", os.path.join(files, "link"))
    os.symlink("/etc", os.path.join(files, "etc"))
    os.mkfifo(os.path.join(files, "fifo"))
    start(attachment_dir=files)
    db.wait_job(send(db, "a@example.com", attachments=[{"file": "acme/a.csv", "content_type": "text/csv", "filename": "a.csv"}]), "completed")
    part, = mail.effects()[0]["message"].iter_attachments()
    assert part.get_payload(decode=True) == b"\x00sku\r\n" * 100000
    for path in ["../jobqd.conf", "/etc/passwd", "link", "etc/passwd", "acme/../../x", "fifo", "acme", "none", "acme/a.csv\x01", "a" * 5000]:
        row = db.wait_job(send(db, "a@example.com", attachments=[{"file": path}]), "failed")
        assert "attachment 1: its file" in row["error_message"] and row["retry_count"] == 0, path
    assert len(mail.effects()) == 1


HOSTILE = [
    {}, {"to": "a@example.com"}, {"to": [], "text": "x"}, {"to": "a@example.com\r\nRCPT TO:<evil@example.com>", "text": "x"},
    {"to": "a@example.com>\r\nDATA\r\n", "text": "x"}, {"to": "a@example.com, evil@example.com", "text": "x"}, {"to": "evil", "text": "x"},
    {"to": "a@example.com", "from": "x@y\nQUIT", "text": "x"}, {"to": "a@example.com", "text": "x", "subject": "a\r\nBcc: evil@example.com"},
    {"to": "a@example.com", "text": "x", "headers": {"Bcc": "evil@example.com"}}, {"to": "a@example.com", "text": "x", "headers": {"X\r\nBcc": "e@x"}},
    {"to": "a@example.com", "text": "x", "headers": {"X": "a\nBcc: evil@example.com"}}, {"to": {"a": 1}, "text": "x"}, {"to": "a@example.com", "text": 5},
    {"to": "a@example.com", "text": "x", "attachments": [{"data_base64": "!"}]}, {"to": "a@example.com", "text": "x", "attachments": [{"file": "x"}]},
    {"to": ["a@example.com"] * 251, "text": "x"}, {"to": "ä@example.com", "text": "x"}, {"to": "x" * 300 + "@example.com", "text": "x"},
]


def test_hostile_payloads(start, db, mail):
    """None leaves the house, each says why without repeating an address, and their neighbour is sent."""
    d = start()
    ids = db.enqueue_many([{"queue": "email", "payload": p} for p in HOSTILE + [{"to": "good@example.com", "text": "x\r\n.\r\nMAIL FROM:<x@y>\r\n.\r\n"}]])
    db.settle("email")
    rows = [db.job(i) for i in ids]
    assert [r["status"] for r in rows] == ["failed"] * len(HOSTILE) + ["completed"]
    assert all(r["error_message"] and r["retry_count"] == 0 and "example.com" not in r["error_message"] for r in rows[:-1])
    effect, = mail.effects()
    assert effect["to"] == ["good@example.com"] and "MAIL FROM" in effect["message"].get_content()
    assert "example.com" not in "".join(line for line in d.text().splitlines() if "queue=email" in line)


# --- what the answers mean

def test_refused_for_good(start, db, mail):
    """5yz: failed at once, with the server's words, of the sender, the only recipient, or the message; addresses stay out of the error."""
    d = start()
    jobs = [send(db, "a@example.com", **{"from": "m550-x@example.com"}), send(db, "r550-a@example.com"), send(db, "e554-a@example.com")]
    for job, word in zip(jobs, ["refused the sender: 550", "1 of 1 recipients refused: 550", "refused the message: 554"]):
        row = db.wait_job(job, "failed")
        assert word in row["error_message"] and "@" not in row["error_message"] and row["retry_count"] == 0
        assert row["result"]["rejected"][0]["to"].endswith("a@example.com")
    assert not mail.effects() and "a@example.com" not in d.text()
    db.wait_job(send(db, "next@example.com"), "completed")


def test_refused_for_now(start, db, mail):
    """4yz: tried again up to max_retries, with the same Message-ID and Date; the sender, the recipient or the message."""
    start()
    ids = [send(db, "r450-a@example.com"), send(db, "e451-a@example.com"), send(db, "a@example.com", **{"from": "m452-x@example.com"})]
    for job in ids:
        assert db.wait_job(job, "failed")["retry_count"] == 2
    ids = [send(db, "o450-b@example.com"), send(db, "f451-b@example.com")]
    for job in ids:
        assert db.wait_job(job, "completed")["retry_count"] == 1
    assert got(mail) == {"o450-b@example.com": 1, "f451-b@example.com": 1}


@pytest.mark.parametrize("pipelining", [False, True])
def test_partial(start, db, mail, pipelining):
    """Who took it is not sent it again; who put it off gets it later, under the same Message-ID; who refused it is named in the result."""
    start(options={"pipelining": pipelining})
    job = send(db, ["a@example.com", "o450-b@example.com"], cc=["r550-c@example.com"], bcc="d@example.com")
    row = db.wait_job(job, "completed")
    assert row["retry_count"] == 1 and [r["to"] for r in row["result"]["rejected"]] == ["r550-c@example.com"]
    assert row["result"]["rejected"][0]["reply"].startswith("550 5.1.1") and row["result"]["reply"].startswith("250")
    assert got(mail) == {"a@example.com": 1, "d@example.com": 1, "o450-b@example.com": 1}
    assert tried(mail) == {"a@example.com": 1, "d@example.com": 1, "o450-b@example.com": 2, "r550-c@example.com": 1}
    first, second = mail.effects()
    assert first["raw"] == second["raw"] and first["message"]["message-id"] == row["result"]["message_id"]


def test_partial_to_the_last_try(start, db, mail):
    """Some have it, one never takes it: done when the tries are over, and the one is in the result."""
    start()
    row = db.wait_job(send(db, ["a@example.com", "r450-b@example.com"]), "completed")
    assert row["retry_count"] == 2 and [r["to"] for r in row["result"]["rejected"]] == ["r450-b@example.com"]
    assert got(mail) == {"a@example.com": 1} and tried(mail) == {"a@example.com": 1, "r450-b@example.com": 3}


def test_partial_result_is_seen_while_it_waits(start, db, mail):
    """What is known stands in the row of the job that waits; a cancelled job keeps it, and goes on from there when it is wanted again."""
    start(retry_backoff="fixed 1h")
    job = send(db, ["a@example.com", "o450-b@example.com"])
    wait_until(lambda: db.job(job)["retry_count"] == 1, "the first try to be over")
    assert db.job(job)["result"]["accepted"] == ["a@example.com"]
    assert db.one("SELECT jobq.cancel(%s)", [job]) == "cancelled"
    assert db.job(job)["result"]["accepted"] == ["a@example.com"]
    assert db.one("SELECT jobq.retry(%s)", [job]) == "pending"
    db.wait_job(job, "completed")
    assert got(mail) == {"a@example.com": 1, "o450-b@example.com": 1}


def test_retry_of_a_failed_job(start, db, mail):
    """Nobody has the message of a failed job: when a person wants it tried again, all of its recipients are asked again."""
    start()
    job = send(db, ["o550-a@example.com", "o550-b@example.com"])
    assert len(db.wait_job(job, "failed")["result"]["rejected"]) == 2
    assert db.one("SELECT jobq.retry(%s)", [job]) == "pending"
    assert "rejected" not in db.wait_job(job, "completed")["result"]
    assert got(mail) == {"o550-a@example.com": 1, "o550-b@example.com": 1}


def test_too_many_recipients(start, db, mail):
    """A server that takes two at a time gets them two at a time, and no try is burnt."""
    mail.control(max_rcpts=2)
    start(max_retries=0)
    row = db.wait_job(send(db, [f"r{n}x@example.com" for n in range(5)]), "completed", 60)
    assert row["retry_count"] == 0 and "rejected" not in row["result"]
    assert got(mail) == {f"r{n}x@example.com": 1 for n in range(5)}


@pytest.mark.parametrize("pipelining", [False, True])
@pytest.mark.parametrize("to", ["take-a@example.com", "mute-a@example.com"])
def test_no_answer_held(start, db, mail, to, pipelining):
    """The whole message left and no answer came: held for a person, not sent again; the neighbours go out."""
    start(job_timeout="2s", options={"pipelining": pipelining})
    job, other = send(db, to), send(db, "b@example.com")
    row = db.wait_job(job, "held")
    assert "may have been sent" in row["error_message"] and "@" not in row["error_message"]
    db.wait_job(other, "completed")
    stays(lambda: got(mail) == {to: 1, "b@example.com": 1}, "one message each", 0.5)


def test_no_answer_retried(start, db, mail):
    """on_uncertain = retry: sent again, the same message."""
    start(on_uncertain="retry")
    db.wait_job(send(db, "take-a@example.com"), "failed")
    effects = mail.effects()
    assert len(effects) == 3 and len({e["raw"] for e in effects}) == 1


def test_no_answer_to_some(start, db, mail):
    """Refused recipients stay known over an uncertain end: a person's retry does not ask for them again."""
    start()
    job = send(db, ["take-a@example.com", "r550-b@example.com"])
    assert db.wait_job(job, "held")["result"]["rejected"][0]["to"] == "r550-b@example.com"
    assert db.one("SELECT jobq.resolve(%s, 'retry')", [job]) == "pending"
    wait_until(lambda: len(mail.effects()) == 2, "the second message")
    assert tried(mail) == {"take-a@example.com": 2, "r550-b@example.com": 1}


def test_dropped_before_the_end(start, db, mail):
    """Cut before the message was whole: certainly not sent, so tried again."""
    start()
    row = db.wait_job(send(db, "rdrop-a@example.com"), "failed")
    assert row["retry_count"] == 2 and "went away before the message was sent" in row["error_message"] and not mail.effects()


@pytest.mark.parametrize("cut", ["cut_received", "cut_sent"])
@pytest.mark.parametrize("pipelining", [False, True])
def test_cut_at_every_byte(start, db, mail, cut, pipelining):
    """Every other connection is cut, one byte later each time, over a whole conversation: nobody gets it twice, what is done has arrived."""
    span = 700 if cut == "cut_received" else 260
    mail.control(**{cut: span})
    start(max_retries=1000, retry_backoff="fixed 1ms", max_connections=2, workers=2, max_messages_per_connection=1,
          options={"pipelining": pipelining})
    jobs = 2 * span # each has a connection to itself
    db.enqueue_many([{"queue": "email", "payload": {"to": f"a{n}@example.com", "text": "x"}} for n in range(jobs)])
    db.settle("email", 120)
    count, states = got(mail), db.statuses("email")
    assert set(count.values()) == {1} and set(states) == {"completed", "held"} and sum(states.values()) == jobs, states
    assert {r[0] for r in db.sql("SELECT payload->>'to' FROM jobq.jobs WHERE status = 'completed'")} <= set(count)
    assert max(line["connection"] for line in mail.effects()) > 2 * span


def test_slow(start, db, mail):
    """A slow server holds up nobody else: as many messages are under way as there are connections."""
    start(max_connections=5)
    ids = [send(db, f"slow-{n}@example.com") for n in range(5)]
    for job in ids:
        db.wait_job(job, "completed")
    assert len({e["connection"] for e in mail.effects()}) > 1


# --- connections

def test_one_connection_for_many(start, db, mail):
    """A connection serves max_messages_per_connection messages, refused ones included; then comes a new one."""
    start(max_connections=1, max_messages_per_connection=10)
    db.enqueue_many([{"queue": "email", "payload": {"to": f"{'r550-' if n % 5 == 0 else ''}a{n}@example.com", "text": "x"}} for n in range(40)])
    db.settle("email")
    assert db.statuses("email") == {"completed": 32, "failed": 8}
    used = [line["connection"] for line in mail.attempts("mail")]
    assert {c: used.count(c) for c in used} == {1: 10, 2: 10, 3: 10, 4: 10}


def test_server_comes_and_goes(start, db, mail):
    """Nobody listens, then a server; it is restarted under an open connection: no try is lost on the old connection."""
    d = start(max_retries=50)
    db.wait_job(send(db, "a@example.com"), "completed")
    mail.stop()
    mail.start()
    row = db.wait_job(send(db, "b@example.com"), "completed")
    assert row["retry_count"] == 0
    mail.stop(signal.SIGKILL)
    job = send(db, "c@example.com")
    wait_until(lambda: "cannot be reached" in (db.job(job)["error_message"] or ""), "a failed try")
    mail.start()
    db.wait_job(job, "completed")
    assert got(mail) == {"a@example.com": 1, "b@example.com": 1, "c@example.com": 1}
    assert "example.com" not in "".join(line for line in d.text().splitlines() if "c@" in line)


@pytest.mark.parametrize("greet", ["421 4.3.2 busy", "554 5.7.1 go away", "HTTP/1.1 400 Bad Request"])
def test_turned_away(start, db, mail, greet):
    """Refused at the door: nothing is sent, and it goes out when the server is well again. 5yz there is about us: the gate."""
    mail.control(greet=greet)
    d = start(max_retries=1000)
    job = send(db, "a@example.com")
    if greet.startswith("554"):
        wait_until(lambda: "gate" in [r["code"] for r in d.json("why", job)["reasons"]], "why to name the gate")
    else:
        wait_until(lambda: db.job(job)["error_message"], "a failed try")
    mail.control()
    assert db.wait_job(job, "completed")["result"]["reply"].startswith("250")
    if greet.startswith("554"):
        assert db.job(job)["retry_count"] == 0


def test_never_greeted(start, db, mail):
    """A server that accepts and says nothing: cut off after job_timeout, tried again; other queues' workers are not its business."""
    mail.control(greet="mute")
    start(job_timeout="1s", max_retries=50)
    job = send(db, "a@example.com")
    wait_until(lambda: db.job(job)["retry_count"] >= 1, "a failed try")
    assert "before the message was sent" in db.job(job)["error_message"]
    mail.control()
    db.wait_job(job, "completed")
    assert got(mail) == {"a@example.com": 1}


def test_rate_by_recipients(start, db, mail):
    """rate_unit = recipients: a message weighs as many as it has."""
    start(rate_limit="20/s", rate_burst=1, rate_unit="recipients")
    db.enqueue_many([{"queue": "email", "payload": {"to": [f"a{n}-{i}@example.com" for i in range(10)], "text": "x"}} for n in range(5)])
    db.settle("email")
    span = db.one("SELECT extract(epoch FROM max(completed_at) - min(started_at)) FROM jobq.jobs")
    assert span > 1.5 and len(got(mail)) == 50


# --- being let in

def test_auth(start, db, mail):
    """AUTH with the queue's user and password; the password is in no log."""
    d = start(options={"user": "shop", "password": "s3cret-word"}, smtp_user="shop", smtp_password="s3cret-word")
    db.wait_job(send(db, "a@example.com"), "completed")
    assert [a["answer"] for a in mail.attempts("auth")] == [True] and "s3cret-word" not in d.text()


@pytest.mark.parametrize("keys", [{}, {"smtp_user": "shop", "smtp_password": "wrong"}])
def test_auth_refused(start, db, mail, keys):
    """530 (no credentials) and 535 (wrong ones) close the gate, loudly, and burn nothing; with good ones all goes out."""
    d = start(options={"user": "shop", "password": "right"}, max_retries=0, **keys)
    ids = [send(db, f"a{n}@example.com") for n in range(20)]
    code = "535" if keys else "530"
    d.wait_status(lambda s: s["queues"][0]["last_error"] and code in s["queues"][0]["last_error"], "the gate in status")
    wait_until(lambda: "gate" in [r["code"] for r in d.json("why", ids[-1])["reasons"]], "why to name the gate")
    assert db.one("SELECT max(retry_count) FROM jobq.jobs") == 0 and not mail.effects()
    d.queue("email", smtp_user="shop", smtp_password="right")
    d.ctl("reload")
    db.settle("email")
    assert db.statuses("email") == {"completed": 20} and len(got(mail)) == 20
    assert "level=error" in d.text() or "level=warn" in d.text()


def tls(where, names, kind):
    cert, key = certificate(where, names)
    return {"tls": kind, "cert": cert, "key": key}


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_tls(start, db, mail, where, kind):
    """TLS from the first byte or by STARTTLS, with a verified peer; AUTH inside it."""
    options = {**tls(where, "DNS:localhost", kind), **({"user": "u", "password": "p"} if kind == "starttls" else {})}
    keys = {"smtp_user": "u", "smtp_password": "p"} if kind == "starttls" else {}
    start("localhost", "smtps" if kind == "implicit" else "smtp", options, {"SSL_CERT_FILE": options["cert"]},
          **({"smtp_tls": "require"} if kind == "starttls" else {}), **keys)
    text = "y" * 200000
    ids = [send(db, f"a{n}@example.com", text=text) for n in range(20)]
    for job in ids:
        db.wait_job(job, "completed")
    effects = mail.effects()
    assert len(effects) == 20 and all(e["tls"] and e["message"].get_content().strip() == text for e in effects)


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
@pytest.mark.parametrize("wrong", ["host", "authority"])
def test_tls_not_verified(start, db, mail, where, kind, wrong):
    """A certificate for another host, or of an authority that nobody knows: not a byte of mail, and no password."""
    options = tls(where, "DNS:other.example" if wrong == "host" else "DNS:localhost", kind)
    d = start("localhost", "smtps" if kind == "implicit" else "smtp", {**options, "user": "u", "password": "p"},
              {"SSL_CERT_FILE": options["cert"]} if wrong == "host" else None,
              **({"smtp_tls": "try"} if kind == "starttls" else {}), smtp_user="u", smtp_password="p")
    job = send(db, "a@example.com")
    status = d.wait_status(lambda s: s["queues"][0]["gate"], "the gate to shut")
    assert "cannot be reached" in status["queues"][0]["gate"]["reason"] and "ertificate" in status["queues"][0]["gate"]["reason"]
    assert db.job(job)["retry_count"] == 0
    assert not mail.effects() and not mail.attempts("auth") and not mail.attempts("mail") and d.alive()


def test_starttls_is_not_fooled(daemon, db):
    """Plain text behind the server's 220 to STARTTLS, or none of TLS behind it: not a byte of mail, and no password, in the clear."""
    heard, says = [], [b"220 go\r\n250-AUTH PLAIN\r\n250 injected\r\n", b"220 go\r\n" + b"\x16\x03\x01 no TLS\r\n" * 100]

    def serve(listener):
        for turn in range(1000):
            with contextlib.suppress(OSError):
                with listener.accept()[0] as connection:
                    connection.sendall(b"220 mail\r\n")
                    heard.append(connection.recv(4096))
                    connection.sendall(b"250-STARTTLS\r\n250 AUTH PLAIN\r\n")
                    heard.append(connection.recv(4096))
                    connection.sendall(says[turn % len(says)])
                    connection.shutdown(socket.SHUT_WR)
                    heard.append(connection.recv(4096))
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=[listener], daemon=True).start()
    url = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
    daemon(db, {"email": {"handler": "email", "smtp_url": url, "smtp_tls": "require", "from": "a@example.com", "smtp_user": "user", "smtp_password": "word", **FAST, "max_retries": 1000}}).start()
    job = send(db, "a@example.com")
    wait_until(lambda: heard.count(b"STARTTLS\r\n") >= len(says), "all of it")
    assert {h[:4] for h in heard} <= {b"EHLO", b"STAR", b"QUIT", b"", b"\x16\x03\x01\x02"} and db.job(job)["status"] in ("pending", "claimed", "failed")
    listener.close()


def test_tls_required(start, db, mail):
    """smtp_tls = require, and the server has none: not sent in the clear."""
    d = start(smtp_tls="require")
    send(db, "a@example.com")
    status = d.wait_status(lambda s: s["queues"][0]["gate"], "the gate to shut")
    assert "cannot be reached" in status["queues"][0]["gate"]["reason"] and not mail.effects() and not mail.attempts("mail")


# --- deaths

@pytest.mark.parametrize("policy", ["hold", "retry"])
def test_kill_in_the_middle(start, db, mail, policy):
    """kill -9 of workers under load: everything ends, nothing is lost, and what may have gone out twice is held or was under way."""
    d = start(workers=2, max_connections=2, on_uncertain=policy, max_retries=10)
    db.enqueue_many([{"queue": "email", "payload": {"to": [f"a{n}@example.com", f"o450-b{n}@example.com"], "text": "x"}} for n in range(300)])
    kills = 0
    for target in (40, 120, 200):
        wait_until(lambda: len(mail.effects()) >= target, f"{target} messages")
        pids = d.pids("worker", "email")
        if pids:
            os.kill(pids[0], signal.SIGKILL)
            kills += 1
        wait_until(lambda: len(d.pids("worker", "email")) == 2, "the worker to be back")
    db.settle("email", 120)
    states, count = db.statuses("email"), got(mail)
    assert sum(states.values()) == 300 and set(states) <= {"completed", "held"}
    assert sum(c - 1 for c in count.values()) <= (0 if policy == "hold" else kills * 2 * 2)
    for to in db.sql("SELECT payload->'to' FROM jobq.jobs WHERE status = 'completed'"):
        assert all(address in count for address in to[0]), to
    if policy == "hold":
        assert states.get("held", 0) <= kills * 2
    else:
        assert states == {"completed": 300}


def test_stop_under_load(start, db, mail):
    """A graceful stop ends what is under way and gives the rest back; the next life sends it, once."""
    d = start(max_connections=3)
    db.enqueue_many([{"queue": "email", "payload": {"to": f"a{n}@example.com", "text": "x"}} for n in range(400)])
    wait_until(lambda: len(mail.effects()) >= 50, "50 messages")
    assert d.stop() == 0
    d.start()
    db.settle("email")
    assert db.statuses("email") == {"completed": 400} and set(got(mail).values()) == {1}


def test_cancel(start, db, mail):
    """A job that waits for its turn at the server can be cancelled; one whose message left is done."""
    mail.control(end="slow")
    start(max_connections=1)
    jobs = [send(db, f"a{n}@example.com") for n in range(4)]
    wait_until(lambda: mail.attempts("end"), "the first message")
    answers = [db.one("SELECT jobq.cancel(%s)", [job]) for job in jobs]
    mail.control()
    db.settle("email")
    assert set(answers) <= {"requested", "cancelled"}
    states = {job: db.job(job)["status"] for job in jobs}
    assert states[jobs[0]] == "completed" and "cancelled" in states.values()
    assert len(mail.effects()) == list(states.values()).count("completed")
    assert json.dumps(states)
