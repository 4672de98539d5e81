"""Secrets stay where they belong: not in argv, environments of children, logs, status, error texts or -T."""
import glob

from harness.wait import wait_until

SECRET = "hunter2-gateway-Pa55"
DBPASS = "db-Pa55word"


def test_nowhere_to_be_seen(daemon, db, receiver, where):
    """Gateway password from a file, database password in the conninfo: both used, neither shown."""
    path = f"{where}/password"
    with open(path, "w", encoding="ascii") as f:
        f.write(SECRET + "\n")
    keys = {**receiver.queue_keys("kannel"), "gateway_password": f"file:{path}"}
    d = daemon(db.dsn() + f" password={DBPASS}", {"sms": keys}).start()
    receiver.control(manner="401")
    db.enqueue("sms", {"to": "+358401234567", "text": "private words"})
    wait_until(lambda: receiver.attempts(), "an attempt")
    receiver.control(manner="")
    db.settle("sms")
    assert receiver.attempts()[0]["headers"]["x-kannel-password"] == SECRET
    seen = d.ctl("status") + d.ctl("--json", "status") + d.ctl("config") + d.ctl("--json", "config") + d.text()
    for pid in d.family():
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            seen += f.read().decode(errors="replace")
    for segment in d.segments:
        with open(segment, "rb") as f:
            seen += f.read().decode("latin-1")
    import subprocess
    from harness.paths import JOBQD
    seen += subprocess.run([JOBQD, "-c", d.config, "-T"], capture_output=True, text=True, timeout=20).stdout
    for secret in (SECRET, DBPASS, "private words", "+358401234567"):
        assert secret not in seen, secret


def test_wrong_database_password_error(daemon, db, where):
    """The error about a database that refuses us names host and database, not the password."""
    d = daemon(f"host=127.0.0.1 port=1 dbname={db.name} user=u password={DBPASS}", {"null": {}}).start(ready=False)
    d.wait_status(lambda s: s["database"]["last_error"], "an error in status")
    assert DBPASS not in d.ctl("--json", "status") + d.text()


def test_env_secret(daemon, db, receiver):
    """env:NAME works, and children do not carry the variable on."""
    keys = {**receiver.queue_keys("kannel"), "gateway_password": "env:GATEWAY_PASSWORD"}
    d = daemon(db, {"sms": keys}).start(GATEWAY_PASSWORD=SECRET)
    db.wait_job(db.enqueue("sms", {"to": "+358401234567", "text": "x"}), "completed")
    assert receiver.effects()[0]["headers"]["x-kannel-password"] == SECRET
    assert SECRET not in d.ctl("config") + d.text()


def test_files_are_private(daemon, db):
    """Nothing that jobqd makes is open to the world."""
    import os
    d = daemon(db, {"null": {}}).start()
    for path in [*glob.glob(d.run + "/*"), *d.segments, d.log]:
        assert os.stat(path).st_mode & 0o007 == 0, path
