"""Reload: swapped when it is good, refused with the old one kept when it is not, and only what changed is rolled."""
import signal

from harness.wait import stays, wait_until


def workers(d, queue):
    return sorted(d.pids("worker", queue))


def test_only_what_changed(daemon, db):
    """Another queue's workers keep their pids; the changed queue's are new, and jobs go on all the while."""
    d = daemon(db, {"null": {"workers": 2}, "sleep": {"workers": 2, "sleep": "10ms"}}).start()
    before = workers(d, "null"), workers(d, "sleep"), d.pid("dispatcher")
    ids = db.enqueue_many([{"queue": "sleep"} for _ in range(200)])
    d.queue("sleep", sleep="5ms")
    assert d.json("reload") == {"generation": 2, "changed": True}
    wait_until(lambda: len(w := workers(d, "sleep")) == 2 and not set(w) & set(before[1]), "new workers of sleep")
    assert workers(d, "null") == before[0]
    db.settle("sleep")
    assert db.statuses("sleep") == {"completed": len(ids)} and d.status()["config"]["generation"] == 2


def test_more_and_fewer_workers(daemon, db):
    """A change of `workers` adds or drains, and keeps the rest."""
    d = daemon(db, {"null": {"workers": 2}}).start()
    before = set(workers(d, "null"))
    d.queue("null", workers=5)
    d.ctl("reload")
    d.wait_status(lambda s: s["queues"][0]["workers"] == {"want": 5, "ready": 5}, "five workers")
    assert before < set(workers(d, "null"))
    d.queue("null", workers=1)
    d.ctl("reload")
    d.wait_status(lambda s: s["queues"][0]["workers"] == {"want": 1, "ready": 1}, "one worker")
    wait_until(lambda: len(workers(d, "null")) == 1, "the others to be gone")


def test_queue_added_and_removed(daemon, db):
    """A new queue starts; one that is taken out drains and its jobs stay for others."""
    d = daemon(db, {"null": {}, "sleep": {}}, count_max_age="1s").start()
    d.queue("other", handler="null", workers=1)
    d.ctl("reload")
    db.wait_job(db.enqueue("other", {}), "completed")
    del d.sections["queue sleep"]
    d.write()
    d.ctl("reload")
    wait_until(lambda: not d.pids("worker", "sleep"), "the workers of sleep to be gone")
    job = db.enqueue("sleep", {})
    d.wait_status(lambda s: [u["name"] for u in s["unserved"]] == ["sleep"], "sleep to be unserved")
    assert db.job(job)["status"] == "pending"


def test_bad_config_refused(daemon, db):
    """All problems with file and line; exit 1; nothing restarts; status keeps saying it until a good one comes."""
    d = daemon(db, {"null": {}}).start()
    before = [p["pid"] for p in d.status()["processes"]]
    d.queue("null", wokers=3, rate_limit="fast")
    done = d.ctl("reload", code=None)
    assert done.returncode == 1 and "jobqd.conf:" in done.stderr and "workers" in done.stderr and "rate_limit" in done.stderr
    config = d.status()["config"]
    assert config["ok"] is False and "wokers" in config["error"] and config["generation"] == 1
    db.wait_job(db.enqueue("null", {}), "completed")
    assert [p["pid"] for p in d.status()["processes"]] == before
    d.queue("null", wokers=None, rate_limit=None)
    d.ctl("reload")
    assert d.status()["config"]["ok"] is True


def test_restart_key_refused(daemon, db):
    """A key that needs a restart is named, and nothing changes."""
    d = daemon(db, {"null": {}}).start()
    d.sections["jobqd"]["state_dir"] = d.dir
    d.write()
    done = d.ctl("reload", code=None)
    assert done.returncode == 1 and "state_dir" in done.stderr and "restart" in done.stderr


def test_hup(daemon, db):
    """HUP does what reload does."""
    d = daemon(db, {"null": {"workers": 1}}).start()
    d.queue("null", workers=2)
    d.signal(signal.SIGHUP)
    d.wait_status(lambda s: s["queues"][0]["workers"] == {"want": 2, "ready": 2}, "two workers after HUP")


def test_storm(daemon, db):
    """Fifty reloads, good and bad mixed, under load: nothing lost, nothing left, the last good one in force."""
    d = daemon(db, {"sleep": {"workers": 2, "sleep": "2ms"}}).start()
    ids = db.enqueue_many([{"queue": "sleep", "tenant_id": f"t{n % 5}"} for n in range(500)])
    for n in range(50):
        d.queue("sleep", sleep="broken" if n % 3 == 1 else f"{1 + n % 2}ms")
        d.signal(signal.SIGHUP)
        if n % 10 == 0:
            d.ctl("ping")
    d.queue("sleep", sleep="1ms", workers=3)
    wait_until(lambda: d.ctl("reload", code=None).returncode == 0, "the last reload to be taken")
    db.settle("sleep")
    assert db.statuses("sleep") == {"completed": len(ids)}
    d.wait_status(lambda s: s["queues"][0]["workers"] == {"want": 3, "ready": 3} and s["config"]["ok"], "three workers")
    stays(lambda: len(d.pids("worker")) == 3, "three workers", 1)
    assert d.stop() == 0


def test_rate_limit_without_restart_of_others(daemon, db):
    """A dispatcher's key takes effect and loses nothing."""
    d = daemon(db, {"null": {}}).start()
    d.queue("null", rate_limit="500/s")
    d.ctl("reload")
    d.wait_status(lambda s: s["queues"][0]["rate"]["limit_per_s"] == 500, "the new limit in status")
    db.wait_job(db.enqueue("null", {}), "completed")


def test_reopen_logs(daemon, db):
    """USR1 opens the log again: after a rotation every process writes to the new file."""
    import os
    d = daemon(db, {"null": {}}).start()
    os.rename(d.log, d.log + ".1")
    d.signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(d.log), "the new log")
    d.signal(signal.SIGUSR2)
    wait_until(lambda: os.path.getsize(d.log) > 0, "the dump of USR2 in the new log")
