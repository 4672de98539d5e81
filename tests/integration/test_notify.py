"""Notify channels: whoever listens hears the end of a job when it commits, once, and nothing else."""
import json
import os
import select
import signal

import pytest
from harness.wait import wait_until


@pytest.fixture
def listen(db):
    """listen(channel, …): a function that waits for n notifications and returns [(channel, document)]."""
    connection = db.connect("jobq_reader")
    heard = []

    def look():
        select.select([connection], [], [], 0.05)
        connection.poll()
        heard.extend((n.channel, json.loads(n.payload)) for n in connection.notifies)
        connection.notifies.clear()
        return heard

    def start(*channels):
        with connection.cursor() as cursor:
            for channel in channels:
                cursor.execute('LISTEN "%s"' % channel.replace('"', '""'))

        def take(n):
            return wait_until(lambda: len(look()) >= n and list(heard), f"{n} notifications")
        return take
    yield start
    connection.close()


def said(job, status, channel="ends"):
    return channel, {"id": str(job), "status": status}


def test_each_end(daemon, db, listen):
    """Completed, failed, cancelled, by whichever way; not a retry, not a hold."""
    take = listen("ends")
    daemon(db, {"sleep": {"retry_backoff": "fixed 10ms", "workers": 2}}).start()
    ended = {db.enqueue("sleep", payload, notify_channel="ends"): status for payload, status in (
        ({}, "completed"), ({"outcome": "fail"}, "failed"), ({"outcome": "retry", "times": 2}, "completed"), ({"outcome": "snooze", "after": "20ms", "times": 2}, "completed"))}
    waits = db.enqueue("sleep", {}, run_at="2040-01-01", notify_channel="ends")
    assert db.one("SELECT jobq.cancel(%s)", [waits]) == "cancelled"
    late = db.enqueue("sleep", {}, run_at="2040-01-01", deadline="2020-01-01", notify_channel="ends")
    runs = db.enqueue("sleep", {"sleep": "1min"}, notify_channel="ends")
    wait_until(lambda: db.job(runs)["status"] in ("claimed", "running"), "it to run")
    db.sql("SELECT jobq.cancel(%s)", [runs])
    held = db.enqueue("sleep", {"outcome": "uncertain"}, notify_channel="ends")
    db.wait_job(held, "held")
    assert db.one("SELECT jobq.resolve(%s, 'done')", [held]) == "completed"
    ended.update({waits: "cancelled", late: "failed", runs: "cancelled", held: "completed"})
    heard = take(len(ended))
    assert sorted(heard, key=str) == sorted((said(j, s) for j, s in ended.items()), key=str)


@pytest.mark.parametrize("retain", ["30d", "0"])
def test_many(daemon, db, listen, retain):
    """With and without history; jobs without a channel are silent."""
    take = listen("ends")
    daemon(db, {"null": {"retain_completed": retain}}).start()
    ids = db.enqueue_many([{"queue": "null", "notify_channel": "ends" if n % 2 else None} for n in range(1000)])
    db.settle("null")
    assert sorted(int(d["id"]) for _, d in take(500)) == [i for n, i in enumerate(ids) if n % 2]


def test_when_it_commits(db, listen):
    """jobq.complete in a transaction: nothing before its commit, nothing at all after its rollback."""
    take = listen("ends")
    jobs = [db.enqueue("sms", {}, notify_channel="ends") for _ in range(2)]
    db.sql("UPDATE jobq.jobs_live SET status = 'claimed', claim_token = 7")
    for job, ends in zip(jobs, ("rollback", "commit")):
        connection = db.connect(autocommit=False)
        connection.cursor().execute("SELECT jobq.complete(%s, 7)", [job])
        getattr(connection, ends)()
        connection.close()
    assert take(1) == [said(jobs[1], "completed")]


def test_strange_channels(daemon, db, listen):
    """A name is a name: quotes, blanks, 63 bytes, another alphabet."""
    channels = ['a "b" c', "x" * 63, "Заказы", "'; DROP TABLE t; --", "MiXed"]
    take = listen(*channels)
    daemon(db, {"null": {}}).start()
    jobs = [db.enqueue("null", {}, notify_channel=c) for c in channels]
    assert sorted(take(5), key=str) == sorted((said(j, "completed", c) for j, c in zip(jobs, channels)), key=str)


def test_not_before_the_last_run(daemon, db, listen):
    """A job that runs once more has not ended."""
    take = listen("ends")
    daemon(db, {"sleep": {"workers": 1}}).start()
    job = db.enqueue("sleep", {"sleep": "300ms"}, unique_key="k", notify_channel="ends")
    wait_until(lambda: db.job(job)["status"] in ("claimed", "running"), "the first run")
    db.enqueue("sleep", {"outcome": "fail"}, unique_key="k", on_duplicate="replace")
    db.wait_job(job, "failed")
    assert take(1) == [said(job, "failed")]


def test_dispatcher_killed(daemon, db, listen):
    """Each end is heard exactly once, kills or not: it is part of the end's own transaction."""
    take = listen("ends")
    node = daemon(db, {"null": {"batch_size": 5}}).start()
    ids = []
    for role in ("dispatcher", "worker", "dispatcher"):
        ids += db.enqueue_many([{"queue": "null", "notify_channel": "ends"} for _ in range(300)])
        os.kill(node.pid(role), signal.SIGKILL)
    db.settle("null")
    heard = [int(d["id"]) for _, d in take(900)]
    assert sorted(heard) == sorted(ids)
