"""The examples in contrib/examples/, as they are: each does its work in an exec queue; those that write rows write them exactly once."""
import hashlib
import os
import random
import shutil
import signal
import time

import pytest
from harness import npm, procs
from harness.paths import SOURCE
from harness.wait import wait_until

EXAMPLES = os.path.join(SOURCE, "contrib", "examples")


@pytest.fixture
def start(daemon, db):
    def make(command, **keys):
        return daemon(db, {"work": {"handler": "exec", "command": command, "workers": 2, "retry_backoff": "fixed 100ms", **keys}}).start()
    return make


def example(name, *args):
    interpreter = {"py": "/usr/bin/python3", "mjs": shutil.which("node"), "pl": "/usr/bin/perl", "sh": "/bin/sh"}[name.rpartition(".")[2]]
    return " ".join([interpreter, os.path.join(EXAMPLES, name), *args])


def test_python(start, db):
    start(example("words.py"))
    row = db.wait_job(db.enqueue("work", {"text": "to be or not to be"}), "completed")
    assert row["result"] == {"words": 6, "most": [["to", 2], ["be", 2], ["or", 1]]}
    assert "no 'text'" in db.wait_job(db.enqueue("work", {}), "failed")["error_message"]


def test_node(start, db):
    start(example("letters.mjs"), workers=1)
    people = [{"name": "Ann"}, {"name": "Bo"}]
    row = db.wait_job(db.enqueue("work", {"template": "Dear {name}!", "people": people}), "completed")
    assert row["result"] == ["Dear Ann!", "Dear Bo!"]
    assert db.wait_job(db.enqueue("work", {"template": 7}), "failed")["error_message"]
    long = db.enqueue("work", {"template": "{name}", "people": people * 4000, "pause_ms": 50})
    wait_until(lambda: (db.job(long)["progress_note"] or "").endswith("of 8000"), "progress")
    assert db.one("SELECT jobq.cancel(%s)", [long]) == "requested"
    db.wait_job(long, "cancelled")


def test_perl(start, db):
    start(example("invoice.pl"))
    row = db.wait_job(db.enqueue("work", {"lines": [{"cents": 250, "count": 3}, {"cents": 50}], "vat_percent": 24}), "completed")
    assert row["result"] == {"net": 800, "vat": 192, "total": 992}
    assert db.wait_job(db.enqueue("work", {"lines": [{}]}), "failed")["error_message"] == "a line has no cents"


def test_shell(start, db, where):
    reports = os.path.join(where, "reports")
    os.mkdir(reports)
    for n in range(5):
        with open(os.path.join(reports, f"{n}.csv"), "w", encoding="ascii") as f:
            f.write("a,b\n" * 1000)
    start(example("archive.sh", reports))
    ids = [db.enqueue("work", {"file": f"{n}.csv"}) for n in range(5)]
    for n, job in enumerate(ids):
        result = db.wait_job(job, "completed")["result"]
        assert result == {"file": f"{n}.csv.gz", "bytes": os.path.getsize(os.path.join(reports, f"{n}.csv.gz"))}
    db.wait_job(db.enqueue("work", {"file": "0.csv"}), "completed")  # a second time, as after a crash
    assert "not a file name" in db.wait_job(db.enqueue("work", {"file": "../x"}), "failed")["error_message"]
    row = db.wait_job(db.enqueue("work", {"file": "none.csv"}, max_retries=1), "failed")
    assert row["retry_count"] == 1 and "none.csv" in row["error_message"]


def test_shell_once(start, db, where):
    path = os.path.join(where, "file")
    start(example("once.sh"), mode="once")
    job = db.enqueue("work", {"file": path}, max_retries=1000)
    wait_until(lambda: db.job(job)["retry_count"] > 0, "a try without the file")
    assert db.job(job)["error_message"] == f"cannot read {path} yet"
    with open(path, "wb") as f:
        f.write(b"here it is")
    assert db.wait_job(job, "completed")["result"] == {"sha256": hashlib.sha256(b"here it is").hexdigest()}
    assert db.wait_job(db.enqueue("work", {}), "failed")["error_message"] == "the payload has no file"


# --- rows and completion in one transaction


@pytest.fixture
def shop(db):
    """The shop's own table and role, which is a producer of jobq and nothing more."""
    db.sql("CREATE TABLE orders (id bigserial PRIMARY KEY, sku text NOT NULL, count int NOT NULL CHECK (count > 0))")
    db.sql("DO $$ BEGIN CREATE ROLE shop LOGIN IN ROLE jobq_producer; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.sql("GRANT INSERT, SELECT ON orders TO shop; GRANT USAGE ON SEQUENCE orders_id_seq TO shop")
    return [f"PGHOST={db.server.dir}", f"PGPORT={db.server.port}", f"PGDATABASE={db.name}", "PGUSER=shop"]


@pytest.fixture
def orders(where, run_dir):
    """An example in a directory of the test's own, so that its processes are known by their command line."""
    def make(name):
        home = os.path.join(where, "app")
        if name.endswith(".mjs"):
            npm.install(os.path.join(run_dir, "npm-pg"), "pg@8.13.1")
            shutil.copytree(os.path.join(run_dir, "npm-pg", "node_modules"), os.path.join(home, "node_modules"))
        os.makedirs(home, exist_ok=True)
        shutil.copy(os.path.join(EXAMPLES, name), home)
        return os.path.join(home, name)
    return make


@pytest.mark.parametrize("name", ["orders.py", "orders.mjs"])
def test_exactly_once(start, db, shop, orders, name):
    """kill -9 of programs and workers, again and again while orders flow: every order is there once, every job completed."""
    path, rounds, each, rng = orders(name), 20, 30, random.Random(11)
    jobs, interpreter = rounds * each, example(name).split()[0]
    d = start(f"{interpreter} {path}", env=shop, batch_size=5, batch_max=10, max_retries=1000)
    for n in range(rounds):
        before = db.one("SELECT count(*) FROM orders")
        db.enqueue_many([{"queue": "work", "payload": {"sku": f"sku-{n}-{k}", "count": 1}} for k in range(each)])
        wait_until(lambda: db.one("SELECT count(*) FROM orders") > before, "an order", 60)
        victims = wait_until(lambda: procs.find(path) + d.pids("worker"), "somebody to kill")
        time.sleep(rng.random() * 0.01)  # anywhere in a transaction
        try:
            os.kill(rng.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            pass
    db.settle("work", 120)
    assert db.statuses("work") == {"completed": jobs}
    assert db.sql("SELECT count(*), count(DISTINCT sku) FROM orders") == [(jobs, jobs)]
    assert db.one("SELECT count(*) FROM jobq.jobs j JOIN orders o ON o.id = (j.result->>'order')::bigint AND o.sku = j.payload->>'sku'") == jobs
    assert "orders_count_check" in db.wait_job(db.enqueue("work", {"sku": "x", "count": -1}), "failed")["error_message"]
    assert db.one("SELECT count(*) FROM orders WHERE sku = 'x'") == 0


@pytest.mark.parametrize("name", ["orders.py", "orders.mjs"])
def test_a_job_that_is_no_longer_ours(start, db, shop, orders, name):
    """jobq.complete says false: nothing of the order stays."""
    db.sql("CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
           " UPDATE jobq.jobs SET claim_token = claim_token + 1000000 WHERE queue = 'work' AND claim_token IS NOT NULL; RETURN NEW; END $$;"
           "CREATE TRIGGER steal BEFORE INSERT ON orders FOR EACH ROW WHEN (NEW.sku = 'stolen') EXECUTE FUNCTION steal()")
    d = start(f"{example(name).split()[0]} {orders(name)}", env=shop, workers=1)
    job = db.enqueue("work", {"sku": "stolen", "count": 1}, max_retries=0)
    wait_until(lambda: "not ours any more" in str(d.status()) or db.job(job)["status"] == "failed", "the answer")
    assert db.one("SELECT count(*) FROM orders") == 0
