"""Fixtures of the integration and fault tests. Each test gets its own database, directory and daemons; PostgreSQL and Kannel serve a session.

Whatever a test starts is ended by its fixture, and a test fails when its daemon leaves a process or a shared-memory segment behind,
or when a sanitizer spoke.
"""
import itertools
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "fault")]

from harness import paths, procs  # noqa: E402
from harness.begun import Begun  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from harness.database import Database  # noqa: E402
from harness.http import Receiver, Site  # noqa: E402
from harness.kannel import Kannel  # noqa: E402
from harness.mail import MailServer  # noqa: E402
from harness.pg import PgServer  # noqa: E402

NUMBERS = itertools.count(1)


def pytest_sessionstart(session):
    if not session.config.option.collectonly:
        procs.become_reaper()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Fixtures can see how their test went: a failed one's files are kept with KEEP=1."""
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """Short, private, removed by tests/run.sh (or by pytest's own habits when run by hand)."""
    problem = paths.problem()
    if problem:
        pytest.exit(problem, 2)
    path = os.environ.get("JOBQ_TEST_DIR") or str(tmp_path_factory.getbasetemp())
    assert len(path) < 40, f"{path} is too long: a socket's path has 107 bytes; set JOBQ_TEST_DIR"
    path = os.path.join(path, "t")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def pg(run_dir):
    server = PgServer(os.path.join(run_dir, "pg")).create().start()
    yield server
    server.stop("immediate")


@pytest.fixture
def own_pg(where):
    """A PostgreSQL of the test's own, for what would disturb the others: stops, crashes, frozen processes."""
    server = PgServer(os.path.join(where, "pg")).create().start()
    yield server
    if server.process and server.process.poll() is None:
        server.thaw()
        server.stop("immediate")


@pytest.fixture
def where(run_dir, request):
    """The test's own directory."""
    path = os.path.join(run_dir, f"{next(NUMBERS)}")
    os.makedirs(path, mode=0o700)
    yield path
    procs.kill_all(path + "/") # a program's child outlives a daemon that was killed with all of its processes
    if not os.environ.get("KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def db(pg):
    database = Database(pg, f"t{next(NUMBERS)}").create()
    yield database
    database.drop()


@pytest.fixture
def own_db(own_pg):
    database = Database(own_pg, "jobq").create()
    yield database
    database.close()


@pytest.fixture
def daemon(where, request):
    """daemon(database, {queue: {key: value}}, **jobqd keys) makes one (not started); several make several nodes."""
    made = []

    def make(database, queues, **jobqd):
        conninfo = database if isinstance(database, str) else database.dsn()
        made.append(Daemon(os.path.join(where, f"n{len(made) + 1}"), conninfo, queues, **jobqd))
        return made[-1]

    yield make
    reports = []
    for one in made:
        one.cleanup()
        reports += one.sanitizer_reports()
        failed = getattr(request.node, "report_call", None)
        if failed is not None and failed.failed:
            print(one.tail(80))
    assert not reports, "the sanitizers spoke:\n" + "\n".join(reports)


@pytest.fixture
def begun():
    """begun(daemon), of one that has started: when its jobs begin."""
    made = []

    def make(daemon):
        made.append(Begun(daemon))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def receiver(where):
    one = Receiver(os.path.join(where, "receiver")).start()
    yield one
    one.stop()


@pytest.fixture
def mail(where):
    """Not started: its options come with start()."""
    one = MailServer(os.path.join(where, "mail"))
    yield one
    one.stop()


@pytest.fixture
def site():
    """site(answer) is an HTTP server whose answers are a function of the test's."""
    made = []

    def make(answer, **kwargs):
        made.append(Site(answer, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def kannel(run_dir):
    one = Kannel(os.path.join(run_dir, "kannel")).start()
    yield one
    one.stop()
