"""docs/handlers.md is what it says: its programs, configurations, commands and SQL are taken from the page and run."""
import os
import re
import socket
import subprocess

import pytest
from harness import procs
from harness.paths import BUILD, SOURCE
from harness.wait import wait_until

with open(os.path.join(SOURCE, "docs", "handlers.md"), encoding="utf-8") as page:
    PAGE = page.read()


@pytest.fixture
def doc(where, daemon, db):
    return Doc(where, daemon(db, {"null": {}}))


class Doc:
    """The page, with /srv/jobs/ moved to a directory of the test's own and the port to one that is free."""

    def __init__(self, where, jobqd):
        self.dir, self.daemon = os.path.join(where, "jobs"), jobqd
        os.mkdir(self.dir)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.text = PAGE.replace("/srv/jobs/", self.dir + "/").replace(":8099", f":{port}").replace(", 8099)", f", {port})")
        self.port = port

    def section(self, title):
        """[(language, text)] of the section's blocks. A program's file is the last path named before it."""
        body = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", self.text, re.M | re.S).group(1)
        blocks = []
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", body, re.M | re.S):
            paths = re.findall(rf"[Aa]s `({re.escape(self.dir)}/\S+)`", body[:match.start()])
            blocks.append((match.group(1), match.group(2), paths[-1] if paths else None))
        return blocks

    def install(self, blocks):
        """Programs into their files, configuration into the daemon's."""
        for language, text, path in blocks:
            if language in ("python", "bash"):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            elif language == "ini":
                with open(self.daemon.config, "a", encoding="utf-8") as f:
                    f.write(text)

    def shell(self, text):
        env = {**os.environ, "PATH": BUILD + ":" + os.environ["PATH"], "JOBQ_SOCKET": os.path.join(self.daemon.run, "jobqd.sock")}
        done = subprocess.run(["sh", "-e", "-c", text], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}\n{self.daemon.tail()}"
        return done.stdout

    def run(self, title, db):
        """Everything of the section, in its order. What the commands said."""
        blocks = self.section(title)
        self.daemon.start()
        self.install(blocks)
        said = []
        for language, text, _ in blocks:
            if language == "sh":
                said.append(self.shell(text))
                self.daemon.wait_ready()
            elif language == "sql":
                db.sql(text)
        return said


def result(db, queue):
    db.settle(queue)
    return db.sql("SELECT result FROM jobq.jobs WHERE queue = %s AND status = 'completed' ORDER BY id", [queue])


def test_ten_lines(doc, db):
    said = doc.run("Ten lines", db)
    assert said[0] == '{"id": "1", "outcome": "done", "result": "Hello Ann"}\n'
    assert "hello" in said[2]
    assert result(db, "hello") == [("Hello Ann",), ("Hello Bo",)]
    program = next(text for language, text, _ in doc.section("Ten lines") if language == "python")
    assert len(program.strip().splitlines()) <= 11


def test_modes(doc, db):
    doc.run("Three modes", db)
    assert result(db, "sum") == [(42,)]


def test_web_hook(doc, db):
    doc.install([b for b in doc.section("A web hook") if b[0] == "python"])
    server = procs.spawn(["/usr/bin/python3", os.path.join(doc.dir, "hook.py")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: socket.create_connection(("127.0.0.1", doc.port), 1).close() is None, "the hook to listen")
        doc.run("A web hook", db)
        assert result(db, "hook") == [(2,)]
    finally:
        procs.end(server)


def test_sql_function(doc, db):
    doc.run("A function in the database", db)
    db.settle("visits")
    assert db.sql("SELECT status, error_message FROM jobq.jobs WHERE queue = %s", ["visits"]) == [("completed", None)]
    assert db.sql("SELECT * FROM public.visits") == [("/", 1)]


def test_every_outcome_is_in_the_page():
    """The table names each outcome that is understood, as an answer that is JSON."""
    answers = [eval(a, {"__builtins__": {}}) for a in re.findall(r"^\| `(\{\"id\".*?\})` \|", PAGE, re.M)]  # plain literals of Python too
    assert {a.get("outcome", "progress") for a in answers} == {"done", "retry", "fail", "snooze", "uncertain", "committed", "progress"}


def test_every_example_is_in_the_page():
    names = set(os.listdir(os.path.join(SOURCE, "contrib", "examples"))) - {"local.mk"}
    assert all(f"`{name}`" in PAGE or f"`{name}/`" in PAGE for name in names), names
