"""Every jobqctl command of this version, against a living daemon, by its exit code and its words."""
import json
import subprocess

import pytest
from harness.paths import JOBQCTL
from harness.wait import stays, wait_until

LATER = ["check", "work", "top", "nodes", "tenants", "doctor", "confirm-database", "bench"]


@pytest.fixture
def d(daemon, db):
    return daemon(db, {"sleep": {"workers": 2}, "null": {}}, count_max_age="1s").start()


def test_ping_and_version(d):
    """Alive, and who it is."""
    assert d.json("ping")["pid"] == d.process.pid
    version = d.json("version")
    assert version["schema"] == version["schema_wanted"] and version["libraries"]["libpq"]
    assert version["version"] in d.ctl("version")


def test_status_text(d, db):
    """One screen of at most 80 columns, no colour when it is not a terminal, and every queue on it."""
    text = d.ctl("status")
    assert "sleep" in text and "null" in text and "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_enqueue(d, db):
    """One job from the command line, with all its arguments."""
    out = d.json("enqueue", "null", '{"a": 1}', "--tenant", "acme", "--priority", "high", "--type", "x")
    job = int(out["results"][0]["id"])
    row = db.wait_job(job, "completed")
    assert (row["tenant_id"], row["priority"], row["type"], row["payload"]) == ("acme", 2, "x", {"a": 1})


def test_enqueue_file(d, db):
    """One job a line from standard input; a wrong line is named, with its file and line."""
    lines = "".join(json.dumps({"queue": "null", "payload": {"n": n}, "tenant_id": f"t{n}"}) + "\n" for n in range(1200))
    d.ctl("enqueue", "--file", "-", stdin=lines)
    db.settle("null")
    assert db.statuses("null") == {"completed": 1200}
    done = d.ctl("enqueue", "--file", "-", stdin='{"queue": "null"}\n{"queue": \n', code=None)
    assert done.returncode != 0 and ":2:" in done.stderr


def test_enqueue_wrong(d):
    """The database's own words: what is wrong and what would be right."""
    for args, words in [(["NO such", "{}"], "queue"), (["null", "{}", "--priority", "2"], "urgent, high, normal, low"), (["null", "{not json"], "JSON")]:
        done = d.ctl("enqueue", *args, code=None)
        assert done.returncode in (1, 2) and words in done.stderr, done.stderr


def test_jobs_and_job(d, db):
    """Lists by filter, newest first; one job; its payload only when asked."""
    ids = [db.enqueue("null", {"secret": "s3cret", "n": n}, tenant_id=f"t{n % 2}", type="a", user_id="u1") for n in range(6)]
    bad = db.enqueue("sleep", {"outcome": "fail", "error": "no such page"})
    db.settle()
    jobs = d.json("jobs", "--queue", "null", "--tenant", "t0")["jobs"]
    assert [int(j["id"]) for j in jobs] == sorted(ids[0::2], reverse=True)
    assert [j["id"] for j in d.json("jobs", "--status", "failed", "--error", "*such*")["jobs"]] == [str(bad)]
    assert len(d.json("jobs", "--user", "u1", "--type", "a", "--since", "1h", "--limit", 2)["jobs"]) == 2
    text = d.ctl("jobs", "--queue", "null")
    assert str(ids[0]) in text and "s3cret" not in text
    one = d.json("job", ids[0])
    assert one["status"] == "completed" and "payload" not in one
    assert d.json("job", ids[0], "--payload")["payload"] == {"secret": "s3cret", "n": 0}
    assert d.ctl("job", 10**15, code=None).returncode == 1
    assert str(bad) in d.ctl("jobs", "-o", "id,status,error_message", "--status", "failed")


def test_retry(d, db):
    """A failed job runs again under its id; many by filter; --dry-run only counts."""
    ids = [db.enqueue("sleep", {"outcome": "fail", "error": "gateway down", "times": 1}, max_retries=0) for _ in range(5)]
    for job in ids:
        db.wait_job(job, "failed")
    assert "5" in d.ctl("retry", "--queue", "sleep", "--status", "failed", "--dry-run")
    assert db.statuses("sleep") == {"failed": 5}
    assert d.json("retry", ids[0])["results"][0]["result"] == "pending"
    wait_until(lambda: db.job(ids[0])["status"] in ("failed", "completed") and not db.unfinished(), "the job to end again")
    d.ctl("retry", "--queue", "sleep", "--error", "gateway*", "--yes")
    wait_until(lambda: not db.unfinished(), "all to end again")
    assert db.one("SELECT count(*) FROM jobq.jobs WHERE queue = 'sleep'") == 5
    assert d.json("retry", 10**15)["results"][0]["result"] == "unknown"


def test_cancel(d, db):
    """By id and by filter."""
    one = db.enqueue("null", {}, run_at="2999-01-01")
    many = [db.enqueue("null", {}, run_at="2999-01-01", tenant_id="gone") for _ in range(120)]
    assert d.json("cancel", one)["results"][0]["result"] == "cancelled"
    d.ctl("cancel", "--tenant", "gone", "--yes")
    assert {db.job(j)["status"] for j in many} == {"cancelled"}
    d.ctl("cancel", "-", stdin=f"{one}\n")


def test_asks_above_a_hundred(d, db):
    """Without --yes more than 100 jobs are not touched when nobody answers."""
    db.enqueue_many([{"queue": "null", "run_at": "2999-01-01"} for _ in range(150)])
    assert d.ctl("cancel", "--queue", "null", code=None, stdin="").returncode != 0
    assert db.statuses("null") == {"pending": 150}


def test_pause_and_resume(d, db):
    """Nothing is claimed while a queue is paused; status says who, when and why; it survives a restart."""
    d.ctl("pause", "null", "--reason", "stock-taking")
    pause = d.wait_status(lambda s: next(q for q in s["queues"] if q["name"] == "null")["pause"], "the pause in status")
    pause = d.queue_status("null")["pause"]
    assert pause["reason"] == "stock-taking" and pause["by"] and pause["since"] and d.queue_status("null")["state"] == "paused"
    job = db.enqueue("null", {})
    assert d.json("why", job)["reasons"][0]["code"] == "paused_queue"
    stays(lambda: db.job(job)["status"] == "pending", "the job waits", 1)
    assert d.stop() == 0
    d.start()
    d.wait_status(lambda s: next(q for q in s["queues"] if q["name"] == "null")["state"] == "paused", "the pause after a restart")
    assert db.job(job)["status"] == "pending"
    d.ctl("resume", "null")
    db.wait_job(job, "completed")


def test_pause_for_a_time(d, db):
    """--for ends by itself."""
    d.ctl("pause", "null", "--for", "2s")
    d.wait_status(lambda s: next(q for q in s["queues"] if q["name"] == "null")["pause"], "the pause in status")
    db.wait_job(db.enqueue("null", {}), "completed")
    assert d.queue_status("null")["pause"] is None or d.queue_status("null")["state"] == "running"


def test_pause_one_tenant(d, db):
    """The others go on."""
    d.ctl("pause", "null", "--tenant", "slow", "--reason", "bill")
    slow, quick = db.enqueue("null", {}, tenant_id="slow"), db.enqueue("null", {}, tenant_id="quick")
    db.wait_job(quick, "completed")
    assert db.job(slow)["status"] == "pending"
    assert "paused_tenant" in [r["code"] for r in d.json("why", slow)["reasons"]]
    pause = wait_until(lambda: d.queue_status("null")["pause"], "the tenant's pause in status")
    assert pause["tenant"] == "slow" and pause["reason"] == "bill" and pause["by"] and d.queue_status("null")["state"] == "running"
    d.ctl("resume", "null", "--tenant", "slow")
    db.wait_job(slow, "completed")


def test_why(d, db):
    """Every state has its reason."""
    later = db.enqueue("null", {}, run_at="2999-01-01")
    reasons = d.json("why", later)["reasons"]
    assert reasons[0]["code"] == "scheduled" and reasons[0]["until"].startswith("2999-01-01")
    running = db.enqueue("sleep", {"sleep": "30s"})
    wait_until(lambda: d.json("why", running)["reasons"][0]["code"] == "running", "why to say running")
    failing = db.enqueue("sleep", {"outcome": "retry", "after": "1h", "error": "busy"})
    wait_until(lambda: db.job(failing)["retry_count"] == 1, "a first try")
    assert d.json("why", failing)["reasons"][0]["code"] == "backoff"
    done = db.enqueue("null", {})
    db.wait_job(done, "completed")
    assert d.json("why", done)["reasons"][0]["code"] == "finished"
    assert d.json("why", 10**15)["reasons"][0]["code"] == "unknown"
    assert d.ctl("why", "null")
    d.ctl("cancel", running)


def test_held_and_resolve(d, db):
    """Uncertain outcomes wait for a person, whose verdict counts and is kept."""
    ids = [db.enqueue("sleep", {"outcome": "uncertain", "error": "no answer"}) for _ in range(3)]
    for job in ids:
        db.wait_job(job, "held")
    assert sorted(int(j["id"]) for j in d.json("held", "sleep")["jobs"]) == ids
    d.wait_status(lambda s: next(q for q in s["queues"] if q["name"] == "sleep")["held"] == 3, "three held jobs in status")
    d.ctl("resolve", ids[0], "--done", "--note", "seen at the gateway")
    d.ctl("resolve", ids[1], "--failed")
    before = db.job(ids[2])["started_at"]
    d.ctl("resolve", ids[2], "--retry")
    db.wait_job(ids[0], "completed")
    db.wait_job(ids[1], "failed")
    wait_until(lambda: (row := db.job(ids[2]))["status"] == "held" and row["started_at"] > before, "the third to have run again (and to be held again)")
    assert [j["id"] for j in d.json("held")["jobs"]] == [str(ids[2])]


def test_config(d):
    """A value with its origin; all of them; the nearest name for a wrong one; secrets masked."""
    one = d.json("config", "queue.sleep.workers")
    assert one[0]["value"] == "2" and "jobqd.conf:" in one[0]["origin"]
    everything = d.ctl("config")
    assert "dbname=" not in everything and "queue.null.workers" in everything
    done = d.ctl("config", "queue.sleep.wokers", code=None)
    assert done.returncode == 1 and "workers" in done.stderr


def test_stop_with_wait(d):
    """stop --wait returns when the daemon is gone."""
    d.ctl("stop", "--wait", "30s")
    assert d.gone(5) == 0


@pytest.mark.parametrize("command", LATER)
def test_not_in_this_version(d, command):
    """Known names whose machinery comes later are refused in so many words."""
    done = d.ctl(command, code=None)
    assert done.returncode == 2 and "not in this version" in done.stderr


def test_usage(d):
    """Exit 2, the nearest name, and help that names every command."""
    done = d.ctl("staus", code=None)
    assert done.returncode == 2 and "status" in done.stderr
    assert d.ctl("status", "--frobnicate", code=None).returncode == 2
    helped = subprocess.run([JOBQCTL, "--help"], capture_output=True, text=True, timeout=10)
    assert helped.returncode == 0 and all(word in helped.stdout for word in ("status", "enqueue", "resolve", "migrate"))


def test_daemon_not_running(where):
    """Exit 3, and what to do."""
    done = subprocess.run([JOBQCTL, "-s", f"{where}/none.sock", "ping"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 3 and f"cannot reach jobqd at {where}/none.sock" in done.stderr and "is it running?" in done.stderr


def test_finds_the_socket_by_config(d):
    """-c FILE leads to the same daemon, and so does $JOBQ_SOCKET."""
    done = subprocess.run([JOBQCTL, "-c", d.config, "--json", "ping"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and json.loads(done.stdout)["pid"] == d.process.pid
    done = subprocess.run([JOBQCTL, "ping"], capture_output=True, text=True, timeout=10, env={"JOBQ_SOCKET": f"{d.run}/jobqd.sock"})
    assert done.returncode == 0
