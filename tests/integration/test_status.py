"""`jobqctl status --json`: every field that is promised, with its type, and true values where they can be checked from outside."""
import os

from harness import procs
from harness.wait import wait_until

NUMBER = (int, float)
SHAPE = {
    "version": str, "node": str, "pid": int, "uptime_s": NUMBER,
    "config": {"path": str, "generation": int, "ok": bool, "error": (str, None)},
    "database": {"state": str, "target": str, "embedded": bool, "schema": (int, None), "last_error": (str, None)},
    "counts_age_s": (*NUMBER, None),
    "queues": [{
        "name": str, "handler": str, "state": str, "workers": {"want": int, "ready": int},
        "pending": int, "scheduled": int, "in_flight": int, "held": int, "oldest_pending_s": NUMBER,
        "completed": int, "failed": int, "retried": int, "rescued": int, "throughput_per_s": NUMBER,
        "batch": {"size": int, "min": int, "max": int, "last": int, "avg_ms": NUMBER, "p50_ms": NUMBER, "p95_ms": NUMBER, "p99_ms": NUMBER},
        "buffer": {"entries": int, "max": int, "bytes": int, "utilization": NUMBER, "healthy": (bool, None)},
        "pickup_ms": {"p50": NUMBER, "p95": NUMBER, "p99": NUMBER},
        "rate": {"limit_per_s": (*NUMBER, None), "effective_per_s": (*NUMBER, None), "exceeded": int},
        "pause": (dict, None), "gate": (dict, None), "counters": dict, "last_error": (str, None)}],
    "unserved": [{"name": str, "pending": int, "oldest_pending_s": NUMBER}],
    "nodes": [{"name": str, "leader": (bool, None), "last_seen": str, "version": str}],
    "pools": (list, None), "tenant_cache": (dict, None), "alerts": (list, None),
    "processes": [{
        "role": str, "queue": (str, None), "slot": int, "pid": (int, None), "generation": int, "restarts": int, "state": str,
        "uptime_s": NUMBER, "rss_bytes": int, "doing": (str, None), "last_exit": (dict, None)}],
}
PAUSE = {"tenant": (str, None), "by": str, "reason": (str, None), "since": str, "until": (str, None)}
LAST_EXIT = {"at": str, "code": (int, None), "signal": (str, int, None), "doing": (str, None)}


def differences(shape, value, path="status"):
    """What is missing, of a wrong type, or not promised."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{path} is {value!r}, not an object"]
        found = [f"{path}.{key} is missing" for key in shape.keys() - value.keys()]
        found += [f"{path}.{key} is not promised" for key in value.keys() - shape.keys()]
        for key in shape.keys() & value.keys():
            found += differences(shape[key], value[key], f"{path}.{key}")
        return found
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} is {value!r}, not a list"]
        return [text for n, item in enumerate(value) for text in differences(shape[0], item, f"{path}[{n}]")]
    allowed = shape if isinstance(shape, tuple) else (shape,)
    if value is None:
        return [] if None in allowed else [f"{path} is null"]
    kinds = tuple(kind for kind in allowed if kind is not None)
    if not isinstance(value, kinds) or isinstance(value, bool) and bool not in kinds:
        return [f"{path} is {value!r}"]
    return []


def test_every_field(daemon, db):
    """Shape and types, with an unserved queue, a pause and a death to show."""
    d = daemon(db, {"null": {}, "sleep": {"rate_limit": "50/s"}}, count_max_age="1s").start()
    db.enqueue("nobody", {})
    d.ctl("pause", "sleep", "--reason", "test")
    os.kill(d.pids("worker", "null")[0], 9)
    status = d.wait_status(lambda s: s["unserved"] and any(q["pause"] for q in s["queues"]) and any(p["last_exit"] for p in s["processes"]), "all of it to show")
    assert differences(SHAPE, status) == []
    assert [d for q in status["queues"] if q["pause"] for d in differences(PAUSE, q["pause"], "pause")] == []
    assert [d for p in status["processes"] if p["last_exit"] for d in differences(LAST_EXIT, p["last_exit"], "last_exit")] == []


def test_true_values(daemon, db):
    """Pids, counts, limits and targets are those of the world outside."""
    d = daemon(db, {"null": {"workers": 3, "batch_size": 10, "batch_adaptive": "off"}, "sleep": {"rate_limit": "50/s"}}, count_max_age="1s").start()
    db.enqueue_many([{"queue": "null"} for _ in range(100)] + [{"queue": "null", "run_at": "2999-01-01"} for _ in range(7)])
    status = d.wait_status(lambda s: (q := next(q for q in s["queues"] if q["name"] == "null"))["completed"] == 100 and q["scheduled"] == 7 and q["pending"] == 0,
                           "100 completed and 7 scheduled")
    null, sleep = (next(q for q in status["queues"] if q["name"] == name) for name in ("null", "sleep"))
    assert null["workers"] == {"want": 3, "ready": 3} and null["batch"]["size"] == 10 and null["handler"] == "null"
    assert sleep["rate"]["limit_per_s"] == 50 and null["failed"] == null["held"] == null["in_flight"] == 0
    assert status["pid"] == d.process.pid and status["node"] == os.path.basename(d.dir) and status["config"]["path"] == d.config
    assert status["database"]["target"].endswith("/" + db.name) and "user=" not in status["database"]["target"]
    assert status["database"]["schema"] == db.one("SELECT max(number) FROM jobq.migrations") and status["database"]["embedded"] is False
    roles = [p["role"] for p in status["processes"]]
    assert roles.count("master") == roles.count("dispatcher") == 1 and roles.count("worker") == 8
    for process in status["processes"]:
        assert procs.alive(process["pid"]) and (process["role"] == "master" or procs.stat(process["pid"])[1] == d.process.pid)
        assert 1 << 20 < process["rss_bytes"] < 1 << 31
    assert [n["name"] for n in status["nodes"]] == [status["node"]]


def test_pending_while_held_up(daemon, db):
    """pending and its oldest age, at most counts_age_s old; worst queue first."""
    d = daemon(db, {"null": {}, "sleep": {}}, count_max_age="1s").start()
    d.ctl("pause", "sleep")
    db.enqueue_many([{"queue": "sleep"} for _ in range(42)])
    status = d.wait_status(lambda s: s["queues"][0]["name"] == "sleep" and s["queues"][0]["pending"] == 42 and s["queues"][0]["oldest_pending_s"] >= 1,
                           "42 pending jobs, in the first queue")
    assert status["counts_age_s"] <= 10


def test_answers_without_the_database(daemon, own_pg, own_db):
    """From shared memory: status is there while PostgreSQL is not, and says so; so is ping."""
    d = daemon(own_db, {"null": {}}).start()
    own_db.close()
    own_pg.stop()
    status = d.wait_status(lambda s: s["database"]["state"] in ("waiting", "connecting") and s["database"]["last_error"], "the outage to show")
    assert differences(SHAPE, status) == []
    assert d.json("ping")["pid"] == d.process.pid
    assert d.alive() and len(d.pids("worker")) == 5
    own_pg.start()
    d.wait_ready()


def test_watch(daemon, db):
    """--watch draws again until it is interrupted."""
    import signal
    import subprocess
    from harness.paths import JOBQCTL
    d = daemon(db, {"null": {}}).start()
    out = os.path.join(d.dir, "watch")
    with open(out, "wb") as f:
        watch = procs.spawn([JOBQCTL, "-s", f"{d.run}/jobqd.sock", "status", "--watch"], stdout=f, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: open(out, encoding="utf-8", errors="replace").read().count("null") >= 2, "two screens")
    finally:
        procs.end(watch, signal.SIGINT)
