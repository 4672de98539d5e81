"""Wrong files, wrong databases, foreign memory, a second start: a clear error, the right exit code, and nothing lost."""
import os
import shutil
import subprocess

import pytest
from harness.daemon import Daemon
from harness.paths import JOBQD
from harness.wait import wait_until


def run(d, *args, **environment):
    return subprocess.run([JOBQD, "-c", d.config, *args], capture_output=True, text=True, timeout=60, env={**d.environment, **environment})


def said(d, done):
    return done.stderr + (d.text() if os.path.exists(d.log) else "")


@pytest.mark.parametrize("text,words", [
    ("[jobqd]\ndatabse = embedded\n", ["jobqd.conf:2", "databse", "database"]),
    ("[queue sms]\nworkers = many\n", ["jobqd.conf:2", "workers"]),
    ("[queue SMS]\n", ["jobqd.conf:1", "SMS"]),
    ("[queue x]\nhandler = nul\n", ["nul", "null"]),
    ("[queue system]\nhandler = null\n", ["system", "reserved"]),
    ("workers = 5\n", ["jobqd.conf:1"]),
    ("[jobqd\n", ["jobqd.conf:1"]),
    ("[queue null]\nbatch_size = 0\n", ["batch_size"]),
    ("[queue null]\nrate_limit = 50/fortnight\n", ["rate_limit"]),
    ("[web]\nlisten = 127.0.0.1:1\n", ["not in this version"]),
    ("[queue texts]\nhandler = ai\n", ["not in this version"]),
    ("[queue mail]\nhandler = email\n", ["smtp_url"]),
    ("%include /nonexistent/file.conf\n", ["jobqd.conf:1", "/nonexistent/file.conf"]),
])
def test_config(daemon, text, words, where):
    """Exit 3, file and line, and the nearest right name; the same from -t."""
    d = daemon("embedded", {})
    d.write(text)
    for args in ([], ["-t"]):
        done = run(d, *args)
        assert done.returncode == 3, done.stderr
        assert all(word in said(d, done) for word in words), said(d, done)


def test_environment(daemon):
    """A variable that matches nothing is an error that names it."""
    d = daemon("embedded", {"null": {}})
    done = run(d, "-t", JOBQ_QUEUE_NULL_WOKERS="3")
    assert done.returncode == 3 and "JOBQ_QUEUE_NULL_WOKERS" in done.stderr
    assert run(d, "-t", JOBQ_QUEUE_NULL_WORKERS="3").returncode == 0
    assert "workers = 3" in run(d, "-T", JOBQ_QUEUE_NULL_WORKERS="3").stdout


def test_no_config_file(daemon):
    """Exit 3 and the path."""
    d = daemon("embedded", {})
    os.unlink(d.config)
    done = run(d)
    assert done.returncode == 3 and d.config in done.stderr


def test_usage(daemon):
    """Exit 2 for a wrong option; -h and -V exit 0."""
    d = daemon("embedded", {})
    assert run(d, "-Z").returncode == 2
    assert run(d, "-h").returncode == 0 and run(d, "-V").returncode == 0


def test_second_start(daemon, db):
    """Refused with exit 4 and the pid; the first one notices nothing."""
    d = daemon(db, {"null": {}}).start()
    done = run(d)
    assert done.returncode == 4 and str(d.process.pid) in said(d, done)
    db.wait_job(db.enqueue("null", {}), "completed")


def test_stale_files(daemon, db):
    """Pid file and sockets of a dead daemon are in nobody's way."""
    d = daemon(db, {"null": {}}).start()
    d.kill()
    wait_until(lambda: not d.family(), "its children to leave")
    assert os.listdir(d.run)
    with open(os.path.join(d.run, "jobqd.pid"), "w", encoding="ascii") as f:
        f.write(f"{os.getpid()}\n")
    d.start()
    db.wait_job(db.enqueue("null", {}), "completed")


def test_no_permission(daemon, db):
    """A run directory that is not ours: exit 5 or 1 with its path."""
    d = daemon(db, {"null": {}})
    d.sections["jobqd"]["run_dir"] = "/proc/sys"
    d.write()
    done = run(d)
    assert done.returncode in (1, 5) and "/proc/sys" in said(d, done)


def test_no_schema(daemon, pg, db):
    """A database without jobq: jobqd says so in status, waits, and goes on after `migrate`."""
    pg.sql(f'CREATE DATABASE "{db.name}_bare"')
    try:
        d = daemon(pg.dsn(f"{db.name}_bare", "postgres"), {"null": {}}).start(ready=False)
        d.wait_status(lambda s: s["database"]["state"] == "waiting" and "migrate" in (s["database"]["last_error"] or ""), "the missing schema in status")
        from harness.database import Database
        bare = Database(pg, f"{db.name}_bare")
        bare.migrate()
        d.wait_ready()
        bare.wait_job(bare.enqueue("null", {}), "completed")
        bare.close()
        d.stop()
    finally:
        pg.sql(f'DROP DATABASE "{db.name}_bare" WITH (FORCE)')


def test_newer_schema(daemon, db):
    """A schema from the future (beyond the next version) is refused: no job is touched, status says why."""
    db.sql("INSERT INTO jobq.migrations (number, name, checksum) SELECT n, 'future', repeat('0', 64) FROM generate_series((SELECT max(number) FROM jobq.migrations) + 1, 99) n")
    job = db.enqueue("null", {})
    d = daemon(db, {"null": {}}).start(ready=False)
    d.wait_status(lambda s: s["database"]["state"] == "waiting" and s["database"]["last_error"], "the refusal in status")
    assert db.job(job)["status"] == "pending"


@pytest.mark.parametrize("how", ["foreign", "truncated", "garbage"])
def test_foreign_shared_memory(daemon, db, how):
    """A leftover segment of a dead daemon is replaced, whatever it holds; a client never trusts it."""
    d = daemon(db, {"null": {}}).start()
    segment = next(iter(d.segments))
    d.kill()
    wait_until(lambda: not d.family(), "its children to leave")
    size = os.path.getsize(segment)
    with open(segment, "r+b") as f:
        if how == "truncated":
            f.truncate(100)
        elif how == "garbage":
            f.seek(16)
            f.write(os.urandom(size - 16))
        else:
            f.write(b"somebody else's memory" * 10)
    done = d.ctl("status", code=None)
    assert done.returncode in (1, 3) and "Sanitizer" not in done.stderr
    d.start(ready=False)
    def verdict():
        return d.process.poll() is not None or d.status()["database"]["state"] == "connected"
    wait_until(verdict, "a start or a refusal")
    if d.process.poll() is not None:  # not ours to remove: the text says what to do
        assert d.process.returncode == 7 and os.path.basename(segment) in d.text()
        os.unlink(segment)
        d.start()
    db.wait_job(db.enqueue("null", {}), "completed")


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"null\n", b'{"v":1,"cmd":"nosuch"}\n', b'{"v":1,"cmd":"status","args":{"x":1}}\n', b"\x00\xff\xfe\n",
                                  b'{"v":1,"cmd":"job","args":{"id":"DROP TABLE"}}\n', b"[" * 100000 + b"\n", b"x" * 200000, b'{"v":99,"cmd":"ping"}\n'],
                         ids=["empty", "object", "null", "unknown", "arguments", "bytes", "sql", "deep", "endless", "version"])
def test_garbage_on_the_control_socket(daemon, db, line):
    """Any bytes get an error or an end; the daemon lives on."""
    import socket
    d = daemon(db, {"null": {}}).start()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(d.run, "jobqd.sock"))
        s.settimeout(10)
        s.sendall(line)
        s.shutdown(socket.SHUT_WR)
        try:
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or b'"ok":false' in answer.replace(b" ", b""), answer[:200]
    assert d.json("ping")["pid"] == d.process.pid


def test_garbage_on_the_dispatch_socket(daemon, db):
    """The workers' socket shrugs strangers off."""
    import socket
    d = daemon(db, {"null": {}}).start()
    path = os.path.join(d.run, "dispatch.sock")
    for junk in (os.urandom(5000), b"\xff" * 16, b"\x00" * 64, b""):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            try:
                s.sendall(junk)
            except OSError:
                pass
    db.wait_job(db.enqueue("null", {}), "completed")
    assert d.status()["processes"][1]["restarts"] == 0


def test_a_worker_that_is_none(daemon, db):
    """Well-formed frames of somebody that the dispatcher cannot place end that connection, and nothing else."""
    import socket
    import struct
    d = daemon(db, {"null": {}}).start()
    worker = next(p for p in d.status()["processes"] if p["role"] == "worker")

    def frame(kind, *words):
        return struct.pack("=IHHII", 4 * len(words), kind, 0, 0, 0) + struct.pack(f"={len(words)}I", *words)

    hello, outcomes, version = 1, 4, 2
    placed = frame(hello, version, worker["slot"], worker["generation"], 0, 1)
    before = d.pids("dispatcher")
    for said in (frame(hello, version, 999999, 1, 0, 1), frame(hello, version, worker["slot"], worker["generation"] + 7, 0, 1),
                 frame(hello, version, worker["slot"], worker["generation"], 77, 1), frame(hello, version + 1, 0, 0, 0, 1), frame(hello), frame(outcomes),
                 placed + frame(outcomes), placed + frame(outcomes, 3), placed + frame(99)):
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(os.path.join(d.run, "dispatch.sock"))
                s.settimeout(10)
                s.sendall(said)
                while s.recv(4096):
                    pass
    db.wait_job(db.enqueue("null", {}), "completed")
    assert d.pids("dispatcher") == before


def test_payloads_that_grow(daemon, db):
    """Numbers of a few bytes in the database that are 131,000 digits as text: together more than a frame holds, and one alone."""
    d = daemon(db, {"null": {}}).start()

    for numbers, jobs in ((24, 30), (530, 1)):
        db.sql("INSERT INTO jobq.jobs (queue, payload) SELECT 'null', ('[' || repeat('1e131071,', %s) || '1]')::jsonb FROM generate_series(1, %s)", (numbers, jobs))
    db.settle("null")
    assert db.statuses("null") == {"completed": 30, "failed": 1}
    assert "more than a worker can be sent" in db.one("SELECT error_message FROM jobq.jobs WHERE status = 'failed'")
    assert "closed its connection" not in d.text()


def test_hostile_texts(daemon, db):
    """Tenants' text is data everywhere: in SQL, in logs, on the terminal."""
    evil = "x'; DROP TABLE jobq.jobs; --\u202e\x1b[2J \" \\ $1 %s {}"
    d = daemon(db, {"sleep": {}}).start()
    job = db.enqueue("sleep", {"outcome": "fail", "error": evil}, tenant_id=evil[:60], type=evil[:60], user_id=evil[:60])
    row = db.wait_job(job, "failed")
    assert row["tenant_id"] == evil[:60] and "DROP TABLE" in row["error_message"]
    assert "\x1b" not in d.ctl("jobs") + d.ctl("job", job) + d.ctl("status") + d.text()
    assert d.json("jobs", "--tenant", evil[:60])["jobs"][0]["id"] == str(job)


def test_big_error_text(daemon, db):
    """A megabyte of error text is clipped, not refused."""
    daemon(db, {"sleep": {}}).start()
    job = db.enqueue("sleep", {"outcome": "fail", "error": "e" * 200000})
    assert 100 < len(db.wait_job(job, "failed")["error_message"]) < 100000


def test_disk_state(daemon, where):
    """A state directory that is a file: a clear error."""
    d = Daemon(os.path.join(where, "x"), "embedded", {"null": {}})
    shutil.rmtree(d.state)
    with open(d.state, "w", encoding="ascii"):
        pass
    done = run(d)
    assert done.returncode in (1, 5) and d.state in said(d, done)
    d.cleanup()
