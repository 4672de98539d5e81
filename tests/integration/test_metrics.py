"""`jobqctl metrics`: what it tells is what the receivers' own logs tell; a reset moves the beginning and no counter."""
import collections
import os
import signal
import time
from datetime import datetime, timezone

import pytest
from harness.wait import stays, wait_until

QUEUE = {"batches", "jobs", "success", "errors", "avgProcessingTime", "throughput", "rateExceededCount", "batch", "buffer"}
FLUSHES = {"size", "age", "high", "urgent", "deadline", "early", "emergency", "shutdown"}
CLOCKS = 0.005  # between the real and the monotonic clock, and a timestamp's milliseconds
HOSTILE = "\x1b[2J\x1b[31m漢字" + "x" * 200 + "\u202e\nnext line"


def when(text):
    assert text.endswith("Z") and len(text) == len("2026-01-31T12:00:00.123Z")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")


def keys(receiver, **more):
    """The receiver is told whose message it is, so that its log is a witness by tenant."""
    return {**receiver.queue_keys(), "body": '{"to": "{to}", "text": "{text}", "tenant": "{tenant}"}', "retry_backoff": "fixed 100ms", "rate_adaptive": "off", **more}


def send(db, tenant, numbers, queue="sms"):
    return db.enqueue_many([{"queue": queue, "tenant_id": tenant, "payload": {"to": number, "text": "x"}} for number in numbers])


def good(count, first=0):
    return [f"+35840{n:07d}" for n in range(first, first + count)]


def told(d, tenant, queue="sms"):
    return d.json("metrics", "--tenant", tenant)[queue]


def test_document(daemon, db, receiver):
    """Every queue is a key; keys and forms are those of the interface; nobody's tenant has zeros."""
    d = daemon(db, {"sms": keys(receiver), "null": {"batch_size": 10, "batch_min": 2, "batch_max": 20, "buffer_max": 700}}).start()
    doc = d.json("metrics")
    assert set(doc) == {"sms", "null", "workspaceRateLimits", "since", "timestamp"} and doc["workspaceRateLimits"] == {}
    assert when(doc["since"]) <= when(doc["timestamp"])
    for queue in ("sms", "null"):
        assert set(doc[queue]) == QUEUE and set(doc[queue]["batch"]) == {"size", "min", "max"}
        assert set(doc[queue]["buffer"]) == {"entries", "max", "utilization", "flushes"} and set(doc[queue]["buffer"]["flushes"]) == FLUSHES
        assert all(doc[queue][key] == 0 for key in QUEUE - {"batch", "buffer"}) and set(doc[queue]["buffer"]["flushes"].values()) == {0}
    status = wait_until(lambda: (q := d.json("metrics")["null"])["buffer"]["max"] == 700 and q, "the buffer's bound")
    assert status["batch"] == {"size": 10, "min": 2, "max": 20}
    one = d.json("metrics", "--tenant", "nobody")
    assert set(one) == {"sms", "null", "workspaceId", "timestamp"} and one["workspaceId"] == "nobody"
    assert one["sms"] == one["null"] == {"count": 0, "lastExceeded": None, "details": []}


def test_tells_what_the_receiver_logged(daemon, db, receiver):
    """Jobs, successes, errors and refusals by tenant, against the receiver's log; the rate is held meanwhile."""
    d = daemon(db, {"sms": keys(receiver, rate_limit="50/s", max_retries=3, rate_adaptive="on"), "null": {}}).start()
    send(db, "acme", good(90) + [f"+999400{n:04d}" for n in range(4)] + [f"+999010{n:04d}" for n in range(3)] + [f"+999012{n:04d}" for n in range(2)])
    send(db, "shop", good(20, 1000) + ["+9990121001"])
    db.enqueue_many([{"queue": "null", "tenant_id": "acme"} for _ in range(60)])
    db.settle()
    attempts, effects = receiver.attempts(), receiver.effects()
    refused = collections.Counter(a["data"]["tenant"] for a in attempts if a["manner"] == "later" and a["attempt"] == 1)
    errors = sum(a["manner"] == "400" or a["manner"] == "flaky" and a["attempt"] == 1 for a in attempts)
    assert len(effects) == 116 and errors == 7 and refused == {"acme": 2, "shop": 1}

    doc = wait_until(lambda: (m := d.json("metrics"))["sms"]["success"] == len(effects) and m["null"]["jobs"] == 60 and m, "everything to be counted")
    sms, null = doc["sms"], doc["null"]
    assert sms["errors"] == errors and sms["jobs"] == len(effects) + errors == len(attempts) - sum(refused.values())
    assert null["success"] == 60 and null["errors"] == null["rateExceededCount"] == 0
    assert sms["batches"] >= 3 and sms["avgProcessingTime"] > 0 and sms["throughput"] > 0
    assert sum(sms["buffer"]["flushes"].values()) == sms["batches"] and sum(null["buffer"]["flushes"].values()) == null["batches"]

    worst = doc["workspaceRateLimits"]
    assert sum(w["sms"]["count"] for w in worst.values()) == sms["rateExceededCount"] == d.queue_status("sms")["rate"]["exceeded"]
    assert all(set(w) == {"sms"} for w in worst.values())
    for tenant in ("acme", "shop"):
        one = told(d, tenant)
        refusals = [detail for detail in one["details"] if "429" in detail["errorMessage"]]
        waits = [detail for detail in one["details"] if detail["errorMessage"] == "Rate limit exceeded: 50 per second"]
        assert len(refusals) == refused[tenant] and len(refusals) + len(waits) == len(one["details"]) == one["count"] == worst[tenant]["sms"]["count"]
        assert one["lastExceeded"] == one["details"][0]["timestamp"] == worst[tenant]["sms"]["lastExceeded"]
        assert [when(x["timestamp"]) for x in one["details"]] == sorted((when(x["timestamp"]) for x in one["details"]), reverse=True)
        assert len({int(when(x["timestamp"]).timestamp()) for x in waits}) == len(waits), "a second was counted twice"
    assert d.json("metrics", "--tenant", "acme")["null"]["count"] == 0
    assert any(detail["batchSize"] > 10 for detail in told(d, "acme")["details"])


def test_the_modest_are_not_charged(daemon, db, receiver):
    """A full bucket counts against the tenant above its fair share, not against the one with a job now and then."""
    d = daemon(db, {"sms": keys(receiver, rate_limit="40/s")}).start()
    send(db, "greedy", good(250))
    wait_until(lambda: told(d, "greedy")["count"] >= 2, "two seconds of the greedy tenant")
    for n in range(3):
        job = send(db, "modest", good(1, 5000 + n))[0]
        db.wait_job(job, "completed")
    assert db.unfinished() > 0, "the greedy tenant was done before the modest one"
    db.settle()
    attempts = receiver.attempts()
    seconds = attempts[-1]["m"] - attempts[0]["m"]
    greedy = told(d, "greedy")
    assert told(d, "modest")["count"] == 0 and 3 <= greedy["count"] <= seconds + 2
    assert all(detail["errorMessage"] == "Rate limit exceeded: 40 per second" for detail in greedy["details"])
    assert greedy["details"][-1]["batchSize"] > greedy["details"][0]["batchSize"] > 0


def test_limits_of_tenants_and_tiers(daemon, db, receiver, begun):
    """Who waits for its own limit, or its tier's, is charged for it, every second; who stays below, or waits for something else, is not."""
    send(db, "slow", good(60))
    db.sql("INSERT INTO jobq.tiers (tier, queue, rate_limit) VALUES ('free', '*', '12/s')")
    db.sql("INSERT INTO jobq.tenants (id, tier) VALUES ('f1', 'free'), ('f2', 'free')")
    db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, rate_limit) VALUES ('slow', 'sms', '10/s'), ('rare', 'sms', '6/min'), ('calm', 'sms', '5/s')")
    d = daemon(db, {"sms": keys(receiver, workers=3)}).start()
    watch = begun(d)
    for tenant, count in (("f1", 30), ("f2", 30), ("rare", 3), ("free", 100)):
        send(db, tenant, good(count))
    for n in range(3):
        db.wait_job(send(db, "calm", good(1, 7000 + n))[0], "completed")
        mine = len([a for a in receiver.attempts() if a["data"]["tenant"] == "slow"])
        wait_until(lambda: len([a for a in receiver.attempts() if a["data"]["tenant"] == "slow"]) >= min(mine + 5, 60), "half a second to pass")
    wait_until(lambda: db.one("SELECT count(*) FROM jobq.jobs_live WHERE tenant_id <> 'rare'") == 0, "the others' jobs to end")
    mine = [a["m"] for a in receiver.attempts() if a["data"]["tenant"] == "slow"]
    slow, rare = told(d, "slow"), told(d, "rare")
    assert mine[-1] - mine[0] - 2 <= slow["count"] <= mine[-1] - mine[0] + 2
    assert {x["errorMessage"] for x in slow["details"]} == {"Rate limit exceeded: 10 per second"}
    assert slow["details"][-1]["batchSize"] > slow["details"][0]["batchSize"] > 0
    assert rare["count"] >= 3 and {x["errorMessage"] for x in rare["details"]} == {"Rate limit exceeded: 6 per minute"}
    ids = {job for (job,) in db.sql("SELECT id FROM jobq.jobs WHERE tenant_id = 'rare'")}
    sent = [at + time.time() - time.monotonic() for job, at in watch.marks() if job in ids]
    assert 1 <= len(sent) <= 3 and rare["details"][0]["batchSize"] <= 2
    for detail in rare["details"]:  # of three jobs those that had not begun, but for one that was on its way to the worker
        at = when(detail["timestamp"]).replace(tzinfo=timezone.utc).timestamp()
        most, least = (3 - sum(s <= at + late for s in sent) for late in (-CLOCKS, CLOCKS))
        assert max(1, least - 1) <= detail["batchSize"] <= most, (detail, sent)
    for tenant in ("f1", "f2"):
        assert {x["errorMessage"] for x in told(d, tenant)["details"]} == {"Rate limit exceeded: 12 per second"}
    assert told(d, "calm")["count"] == told(d, "free")["count"] == 0


def test_no_limit_no_exceedance(daemon, db, receiver):
    """A backlog alone is not an exceedance; nor is one behind a pause."""
    d = daemon(db, {"sms": keys(receiver), "slow": keys(receiver, handler="sms", rate_limit="2/s")}).start()
    d.ctl("pause", "slow")
    send(db, "a", good(200))
    send(db, "a", good(20, 1000), queue="slow")
    db.settle("sms")
    stays(lambda: d.json("metrics")["slow"]["rateExceededCount"] == 0, "the paused queue to exceed nothing", 1.5)
    assert d.json("metrics")["sms"]["rateExceededCount"] == 0 and d.json("metrics")["workspaceRateLimits"] == {}


def test_reset(daemon, db, receiver):
    """Of one tenant, one queue, everything. Status goes on counting; the others are left alone."""
    d = daemon(db, {"sms": keys(receiver, max_retries=3), "null": {}}).start()
    for tenant in ("a", "b"):
        send(db, tenant, good(3) + ["+9990121234"] if tenant == "a" else ["+9990124321"])
    db.enqueue_many([{"queue": "null"} for _ in range(5)])
    db.settle()
    before = wait_until(lambda: (m := d.json("metrics"))["sms"]["jobs"] == 5 and m["null"]["jobs"] == 5 and m, "the counts")
    assert before["sms"]["rateExceededCount"] == 2 and set(before["workspaceRateLimits"]) == {"a", "b"}

    answer = d.json("metrics", "--reset", "--tenant", "a")
    assert answer["reset"] == {"type": None, "workspaceId": "a"} and when(answer["timestamp"])
    after = d.json("metrics")
    assert set(after["workspaceRateLimits"]) == {"b"} and told(d, "a")["count"] == 0 and after["sms"]["jobs"] == 5

    assert d.json("metrics", "--reset", "sms")["reset"] == {"type": "sms", "workspaceId": None}
    after = d.json("metrics")
    assert after["sms"]["jobs"] == after["sms"]["batches"] == after["sms"]["rateExceededCount"] == after["sms"]["avgProcessingTime"] == 0
    assert set(after["sms"]["buffer"]["flushes"].values()) == {0} and after["workspaceRateLimits"] == {}
    assert after["null"]["jobs"] == 5 and after["since"] == before["since"]
    status = d.queue_status("sms")
    assert status["completed"] == 5 and status["rate"]["exceeded"] == 2

    answer = d.json("metrics", "--reset")
    after = d.json("metrics")
    assert answer["reset"] == {"type": None, "workspaceId": None} and after["null"]["jobs"] == 0 and after["since"] > before["since"]
    send(db, "a", good(2, 100))
    wait_until(lambda: d.json("metrics")["sms"]["jobs"] == 2, "what came afterwards")
    assert d.queue_status("sms")["completed"] == 7


def test_wrong_words(daemon, db):
    """Errors say what to do; a queue needs --reset."""
    d = daemon(db, {"null": {}}).start()
    done = d.ctl("metrics", "--reset", "nul", code=None)
    assert done.returncode == 1 and 'did you mean "null"?' in done.stderr
    assert d.ctl("metrics", "null", code=None).returncode == 2
    assert d.ctl("metrics", "--reset", "null", "sms", code=None).returncode == 2


@pytest.mark.parametrize("how", ["reload", "kill"])
def test_outlives_the_dispatcher(daemon, db, receiver, how):
    """A reload replaces the dispatcher, a crash too: who exceeded limits stays known, and what was reset stays reset."""
    d = daemon(db, {"sms": keys(receiver, max_retries=3), "null": {}}).start()
    send(db, "gone", ["+9990120001"])
    db.settle()
    d.ctl("metrics", "--reset", "sms")
    send(db, "a", ["+9990120002", "+9990120003"])
    db.settle()
    before = wait_until(lambda: (m := d.json("metrics"))["sms"]["jobs"] == 2 and m["sms"]["rateExceededCount"] == 2 and m, "two refusals")
    details = told(d, "a")["details"]
    old = d.pid("dispatcher")
    if how == "kill":
        saved = os.path.join(d.run, "exceeded")
        last = when(details[0]["timestamp"]).replace(tzinfo=timezone.utc).timestamp()
        wait_until(lambda: os.path.exists(saved) and os.stat(saved).st_mtime > last, "the record to be saved")
        os.kill(old, signal.SIGKILL)
    else:
        d.queue("sms", rate_limit="30/s")
        d.ctl("reload")
    wait_until(lambda: d.pids("dispatcher") not in ([], [old]), "another dispatcher")
    d.wait_ready()
    after = d.json("metrics")
    assert after["workspaceRateLimits"] == before["workspaceRateLimits"] and told(d, "a")["details"] == details
    assert after["sms"]["jobs"] == 2 and after["sms"]["rateExceededCount"] == 2


def test_another_life_begins_anew(daemon, db, receiver):
    """What belongs to an earlier life of the daemon is not counted in this one, whether that ended well or not."""
    d = daemon(db, {"sms": keys(receiver, max_retries=3)}).start()
    saved = os.path.join(d.run, "exceeded")
    for tenant, number in (("a", "+9990120002"), ("b", "+9990120003")):
        send(db, tenant, [number])
        db.settle()
        wait_until(lambda: told(d, tenant)["count"] == 1 and os.path.exists(saved), "the refusal, and that it is saved")
        if tenant == "a":
            assert d.stop() == 0 and not os.path.exists(saved)
        else:
            d.kill()
            wait_until(lambda: not d.family(), "the children to leave")
            assert os.path.exists(saved)
        d.start()
        assert told(d, tenant)["count"] == 0 and d.json("metrics")["sms"]["jobs"] == 0


def test_without_the_database(daemon, own_db, own_pg, receiver):
    """Metrics and their reset need no database."""
    d = daemon(own_db, {"sms": keys(receiver, max_retries=3)}).start()
    send(own_db, "a", ["+9990120002"])
    own_db.settle()
    wait_until(lambda: told(d, "a")["count"] == 1 and d.json("metrics")["sms"]["jobs"] == 1, "the refusal")
    own_db.close()
    own_pg.stop()
    d.wait_status(lambda s: s["database"]["state"] != "connected", "the outage to show")
    assert told(d, "a")["count"] == 1 and d.json("metrics")["sms"]["jobs"] == 1
    d.ctl("metrics", "--reset")
    assert told(d, "a")["count"] == 0 and d.json("metrics")["sms"]["jobs"] == 0
    own_pg.start()
    d.wait_ready()


def test_without_the_dispatcher(daemon, db, receiver):
    """A dispatcher that does not answer: what shared memory has is told, and that it is not all."""
    d = daemon(db, {"sms": keys(receiver)}).start()
    send(db, "a", good(3))
    db.settle()
    wait_until(lambda: d.json("metrics")["sms"]["jobs"] == 3, "the counts")
    pid = d.pid("dispatcher")
    os.kill(pid, signal.SIGSTOP)
    try:
        done = d.ctl("--json", "metrics", code=0)
        assert '"workspaceRateLimits": null' in done and '"jobs": 3' in done
        assert d.ctl("metrics", "--tenant", "a", code=None).returncode == 1
        assert "read from shared memory" in d.ctl("metrics", code=None).stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    d.wait_ready()


def test_text(daemon, db, receiver):
    """80 columns, whatever tenants call themselves; nothing of theirs moves a cursor."""
    d = daemon(db, {"sms": keys(receiver, max_retries=3)}).start()
    send(db, HOSTILE, ["+9990120002", *good(2)])
    db.settle()
    wait_until(lambda: told(d, HOSTILE)["count"] == 1, "the refusal")
    for text in (d.ctl("metrics"), d.ctl("metrics", "--tenant", HOSTILE)):
        assert "429" in text or "EXCEEDED" in text
        assert "\x1b" not in text and "\u202e" not in text
        for line in text.splitlines():
            assert sum(2 if ch in "漢字" else 1 for ch in line) <= 80, line
    assert HOSTILE in d.json("metrics")["workspaceRateLimits"]


def test_through_kannel(daemon, db, kannel):
    """An SMS run through a real gateway under a rate limit: what was sent is what the telephone network got."""
    before = len(kannel.received())
    d = daemon(db, {"sms": {**kannel.queue_keys(), "rate_limit": "30/s", "workers": 3}}).start()
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 3}", "payload": {"to": f"+35850{n:07d}", "text": f"metrics {n}"}} for n in range(120)])
    db.settle()
    wait_until(lambda: len(kannel.received()) == before + 120, "the telephones to ring")
    doc = wait_until(lambda: (m := d.json("metrics"))["sms"]["success"] == 120 and m, "120 successes")
    assert doc["sms"]["errors"] == 0 and doc["sms"]["jobs"] == 120
    counts = {tenant: w["sms"]["count"] for tenant, w in doc["workspaceRateLimits"].items()}
    assert set(counts) <= {"t0", "t1", "t2"} and 2 <= sum(counts.values()) == doc["sms"]["rateExceededCount"]
    assert all(told(d, tenant)["count"] == counts[tenant] for tenant in counts)
