"""No room: on the file system of PostgreSQL, of jobqd's log, of everything that jobqd's processes may write to. Nothing is lost, nothing is there by
halves, and it goes on by itself when there is room again.

A server that may not write beyond a size (RLIMIT_FSIZE) writes a part of a block, which PostgreSQL takes for a full disk (53100)."""
import os
import resource
import sys

import pytest
from harness.wait import wait_until

FREE = resource.RLIM_INFINITY
PART = (24 << 20) + 1000  # more than a segment of the WAL; not a whole number of blocks


def room(pids, size):
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, FREE))


def test_the_servers_disk_is_full(daemon, own_db, own_pg, where):
    """An import finds no room for its rows: none of them is there, it is tried again, and is complete when there is room."""
    own_db.sql("CREATE TABLE items (store_id text, sku int, name text); GRANT SELECT, INSERT ON items TO jobq_worker")
    with open(os.path.join(where, "a.csv"), "w", encoding="ascii") as f:
        f.write("sku,name\n" + "".join(f"{n},{'x' * 900}\n" for n in range(40000)))
    room([own_pg.process.pid], PART)  # and of every backend to come
    daemon(own_db, {"import": {"import_dir": where, "tables": "items", "tenant_column": "store_id", "workers": 1, "retry_backoff": "fixed 200ms", "max_retries": 1000}}).start()
    job = own_db.enqueue("import", {"source": "a.csv", "table": "items"}, tenant_id="acme")
    row = wait_until(lambda: (r := own_db.job(job))["retry_count"] >= 2 and r, "two tries")
    assert "53100" in row["error_message"] and own_db.one("SELECT count(*) FROM items") == 0
    room([own_pg.process.pid], FREE)
    row = own_db.wait_job(job, "completed", 60)
    assert row["result"]["inserted"] == own_db.one("SELECT count(*) FROM items") == 40000


@pytest.mark.parametrize("what", ["log", "all"])
def test_jobqds_disk_is_full(daemon, db, receiver, where, what):
    """A log that takes nothing (/dev/full), or processes that cannot write to any file: jobs go on, of programs that talk much as well, and no process is lost."""
    noisy = os.path.join(where, "noisy.py")
    with open(noisy, "w", encoding="ascii") as f:
        f.write("import sys\nfor line in sys.stdin:\n    print('x' * 100000, file=sys.stderr, flush=True)\nprint('{}')\n")
    d = daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "40/s"}, "noisy": {"handler": "exec", "command": f"{sys.executable} {noisy}", "mode": "once"}},
               **({"log": "/dev/full"} if what == "log" else {})).start()
    pids = sorted(d.family())
    if what == "all":
        room(pids, 0)
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 3}", "payload": {"to": f"+35840{n:07d}", "text": str(n)}} for n in range(120)])
    db.enqueue_many([{"queue": "noisy"} for _ in range(20)])
    db.settle()
    assert db.statuses() == {"completed": 140} and len(receiver.effects()) == 120
    assert d.queue_status("sms")["rate"]["exceeded"] > 0 and sorted(d.family()) == pids
    d.ctl("reload")
    if what == "all":
        room(d.family(), FREE)
        db.wait_job(db.enqueue("noisy"), "completed")
        wait_until(lambda: "role=worker queue=noisy" in d.text().partition("serving:")[2], "the log to go on")
    assert d.stop() == 0
