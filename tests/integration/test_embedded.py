"""database = embedded: a private PostgreSQL that nobody has to set up, and that outlives a dead master."""
import os

import psycopg2
import pytest
from harness import procs
from harness.database import Database
from harness.wait import wait_until


class Embedded(Database):
    """The daemon's own database, reached by its socket as an administrator would."""

    def __init__(self, d):
        self.d, self._admin, self.name = d, None, "jobq"
        self.server = self

    def conninfo(self, user):
        directory = os.path.dirname(next(iter(self.sockets())))
        return f"host={directory} dbname={self.dbname()} user={user}"

    def sockets(self):
        for base, _, files in os.walk(self.d.dir):
            for name in files:
                if name.startswith(".s.PGSQL") and not name.endswith(".lock"):
                    yield os.path.join(base, name)

    def dbname(self):
        return self.d.status()["database"]["target"].rpartition("/")[2]

    def connect(self, name_or_user="jobq_owner", autocommit=True, **kwargs):
        user = "jobq_owner" if name_or_user == self.name else name_or_user
        connection = psycopg2.connect(self.conninfo(user), connect_timeout=10)
        connection.autocommit = autocommit
        return connection


@pytest.fixture
def d(daemon):
    return daemon("embedded", {"null": {}, "sleep": {}})


def postmaster(d):
    return d.pid("postgres")


def test_first_start_and_clean_stop(d):
    """initdb, migrations and a job, without anyone's help; a stop leaves PostgreSQL shut down."""
    d.start()
    status = d.status()
    assert status["database"]["embedded"] is True and "postgres" in [p["role"] for p in status["processes"]]
    db = Embedded(d)
    db.wait_job(db.enqueue("null", {}), "completed")
    db.close()
    pid = postmaster(d)
    assert d.stop() == 0
    assert not procs.alive(pid) and list(db.sockets()) == []
    log = d.text()
    assert "database system was not properly shut down" not in log


def test_only_a_socket(d):
    """It listens on no address."""
    d.start()
    db = Embedded(d)
    assert db.one("SHOW listen_addresses") == "" and db.one("SHOW fsync") == "on"
    db.close()


def test_data_survive(d):
    """Stop and start: the same data, no recovery, the same history."""
    d.start()
    db = Embedded(d)
    job = db.enqueue("null", {"n": 1})
    db.wait_job(job, "completed")
    db.close()
    assert d.stop() == 0
    d.start()
    assert db.job(job)["status"] == "completed"
    db.close()


def test_adopted_after_kill(d):
    """kill -9 of the master: PostgreSQL goes on in its own session, and the next master adopts it, jobs and all."""
    d.start()
    db = Embedded(d)
    pid = postmaster(d)
    ids = [db.enqueue("sleep", {"sleep": "200ms"}) for _ in range(20)]
    d.kill()
    assert procs.alive(pid) and os.getsid(pid) == pid
    d.start()
    assert postmaster(d) == pid
    for job in ids:
        db.wait_job(job, "completed")
    db.close()
    assert d.stop() == 0
    assert not procs.alive(pid)


def test_postmaster_killed(d):
    """PostgreSQL itself killed with -9: started again, recovered, work goes on."""
    d.start()
    db = Embedded(d)
    pid = postmaster(d)
    os.kill(pid, 9)
    db.close()
    wait_until(lambda: postmaster(d) != pid and procs.alive(postmaster(d)), "another postmaster", 60)
    d.wait_ready()
    db.wait_job(db.enqueue("null", {}), "completed")
    db.close()


def test_other_version_refused(d):
    """Data of another PostgreSQL: a clear error that names both, and the data are left alone."""
    d.start()
    assert d.stop() == 0
    version = next(os.path.join(base, "PG_VERSION") for base, dirs, files in os.walk(d.state) if "PG_VERSION" in files and "global" in dirs)
    with open(version, encoding="ascii") as f:
        was = f.read()
    with open(version, "w", encoding="ascii") as f:
        f.write("14\n")
    d.start(ready=False)
    d.process.wait(30)
    assert d.process.returncode not in (0, None) and "14" in d.text() and "15" in d.text()
    with open(version, "w", encoding="ascii") as f:
        f.write(was)
    d.start()


def test_half_an_initdb(d):
    """A first start killed in the middle leaves nothing that the second one trips over."""
    d.start(ready=False)
    wait_until(lambda: os.listdir(d.state), "the first start to have begun")
    procs.kill_all(d.dir)
    d.process.wait(10)
    d.start()
    db = Embedded(d)
    db.wait_job(db.enqueue("null", {}), "completed")
    db.close()
