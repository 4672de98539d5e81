"""Programs as handlers, one a batch and one a job; several at a time; and what is left of them."""
import os
import signal

import pytest
from harness import procs
from harness.paths import SOURCE
from harness.program import Program
from harness.wait import wait_until

ONCE = os.path.join(SOURCE, "tests", "programs", "once.sh")


@pytest.fixture
def program(where):
    return Program(where)


def do(*steps):
    return {"do": [list(step) for step in steps]}


# --- one program a batch


@pytest.fixture
def batch(daemon, db, program):
    def make(*options, **keys):
        return daemon(db, {"work": program.keys(*options, mode="batch", **keys)}).start()
    return make


def test_one_program_a_batch(batch, db, program):
    """Each batch has its own: it reads the batch's jobs and the end of its input, and leaves."""
    batch(batch_size=5, batch_max=5, batch_adaptive="off")
    db.enqueue_many([{"queue": "work", "payload": {"n": n}} for n in range(20)])
    db.settle("work")
    starts = program.wait("end", 4)
    by = {}
    for row in program.events("job"):
        by.setdefault(row["pid"], []).append(row["id"])
    assert sorted(map(len, by.values()))[-1] <= 5 and len(starts) == len(by) == len(program.events("start"))
    program.wait_gone()


def test_a_batch_is_read_to_its_end(daemon, db):
    """A program may read everything before it answers anything: jq as a handler, without a line of code of ours."""
    jq = "jq -s -c --unbuffered '. as $all | .[] | {id, outcome: \"done\", result: {n: .payload.n, of: ($all | length)}}'"
    daemon(db, {"work": {"handler": "exec", "command": "/usr/bin/" + jq, "mode": "batch", "workers": 1, "batch_size": 10, "batch_max": 10,
                         "batch_timeout": "2s"}}).start()
    ids = db.enqueue_many([{"queue": "work", "payload": {"n": n}} for n in range(10)])
    db.settle("work")
    assert [db.job(i)["result"] for i in ids] == [{"n": n, "of": 10} for n in range(10)]


def test_a_batch_with_a_slow_door(batch, db, program):
    """The rate limit lets in one job after another: the batch's program waits for all of them."""
    batch(batch_size=5, batch_max=5, batch_timeout="1s", batch_adaptive="off", rate_limit="10/s")
    db.enqueue_many([{"queue": "work", "payload": {"n": n}} for n in range(5)])
    db.settle("work")
    assert len(program.wait("end")) == len(program.events("start")) == 1


def test_a_batch_cut_short(batch, db, program):
    """An early exit in the middle: what was answered stands, the culprit fails alone, the others are done without losing a try."""
    batch(batch_size=6, batch_max=6, batch_timeout="1s", max_retries=1)
    jobs = [{"queue": "work", "payload": {"n": n}} for n in range(6)]
    jobs[2]["payload"] = do(("exit", 5))
    ids = db.enqueue_many(jobs)
    db.settle("work")
    assert db.job(ids[2])["status"] == "failed" and "exit code 5" in db.job(ids[2])["error_message"]
    assert db.statuses("work") == {"completed": 5, "failed": 1}
    assert db.one("SELECT max(retry_count) FROM jobq.jobs WHERE status = 'completed'") == 0
    program.wait_gone()


def test_a_program_that_does_not_leave(batch, db, program):
    """It stays after its last outcome: the jobs are done at once, the program is sent away."""
    d = batch("linger=600", "ignore-term")
    db.wait_job(db.enqueue("work"), "completed")
    db.wait_job(db.enqueue("work"), "completed")
    program.wait_gone()
    assert "does not leave" in d.text()


def test_batches_at_a_time(batch, db, program):
    """concurrency = 3: three programs beside each other in one worker, each with its batch."""
    batch(concurrency=3, batch_size=1, batch_min=1, batch_max=1, batch_adaptive="off")
    ids = [db.enqueue("work", do(("sleep", 600))) for _ in range(3)]
    program.wait("job", 3)
    assert len(program.living()) == 3
    for pid in program.living():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(db.job(i)["retry_count"] == 1 for i in ids), "a try of each")


def test_kill_9_of_a_worker_with_several_programs(batch, db, program):
    d = batch("ignore-term", concurrency=3, batch_size=1, batch_min=1, batch_max=1, batch_adaptive="off")
    for _ in range(3):
        db.enqueue("work", do(("fork", 600, ""), ("sleep", 600)))
    program.wait("child", 3)
    first = set(program.living())
    assert len(first) == 6
    os.kill(d.pids("worker")[0], signal.SIGKILL)
    wait_until(lambda: not [pid for pid in first if procs.alive(pid)], "the programs and their children to be dead")
    program.wait("job", 4)


def test_cancel_before_the_program_has_it(batch, db, program):
    """Jobs of a batch that wait at the door are cancelled there; the others' program is told that no more come."""
    batch(batch_size=2, batch_min=2, batch_max=2, batch_timeout="1s", batch_adaptive="off", rate_limit="1/h", rate_burst=1)
    ids = db.enqueue_many([{"queue": "work", "payload": {"n": n}} for n in range(2)])
    first = wait_until(lambda: program.events("job"), "the first job")[0]
    second = next(i for i in ids if str(i) != first["id"])
    db.one("SELECT jobq.cancel(%s)", [second])
    db.wait_job(second, "cancelled")
    program.wait("end")
    assert db.wait_job(int(first["id"]), "completed")


# --- one program a job


@pytest.fixture
def once(daemon, db, program):
    def make(**keys):
        keys = {"handler": "exec", "command": f"{ONCE} {program.path}", "mode": "once", "workers": 1, "retry_backoff": "fixed 100ms", "max_retries": 1, **keys}
        return daemon(db, {"work": keys}).start()
    return make


@pytest.mark.parametrize("how,status,tries,words,result", [
    ("result", "completed", 0, None, {"length": 17}), ("quiet", "completed", 0, None, None), ("text", "completed", 0, None, None),
    ("closed", "completed", 0, None, None), ("fail", "failed", 0, "no such picture", None), ("again", "failed", 1, "the disk is full", None),
    ("silent", "failed", 0, "the program ended with exit code 4", None), ("kill", "failed", 1, "was ended by signal SIGKILL", None),
    ("flood", "failed", 1, "max_output", None),
], ids=lambda v: v if isinstance(v, str) and v.islower() and " " not in v else "")
def test_exit_codes(once, db, program, how, status, tries, words, result):
    """0 done, with JSON as result; 75 again; any other fails with the last line of stderr; a signal is another try."""
    once()
    row = db.wait_job(db.enqueue("work", {"how": how}), status)
    assert (row["retry_count"], row["result"]) == (tries, result)
    assert words is None or words in row["error_message"]
    assert "first" not in (row["error_message"] or "")
    assert len(program.events(how)) == tries + 1
    program.wait_gone()


def test_once_children_left_behind(once, db, program):
    once()
    assert db.wait_job(db.enqueue("work", {"how": "child"}), "completed")["result"] == "parent"
    assert program.events("left")
    program.wait_gone()


@pytest.mark.parametrize("how", ["sleep", "deaf"])
def test_once_over_its_time(once, db, program, how):
    """TERM, and KILL for what ignores it; the job is tried again and fails."""
    once(job_timeout="1s")
    row = db.wait_job(db.enqueue("work", {"how": how}), "failed")
    assert row["retry_count"] == 1 and "over its time" in row["error_message"]
    db.wait_job(db.enqueue("work", {"how": "quiet"}), "completed")
    program.wait_gone()


@pytest.mark.parametrize("how", ["sleep", "deaf"])
def test_once_cancelled(once, db, program, how):
    once(job_timeout="1h")
    job = db.enqueue("work", {"how": how})
    program.wait(how)
    db.one("SELECT jobq.cancel(%s)", [job])
    assert db.wait_job(job, "cancelled")["retry_count"] == 0
    program.wait_gone()


def test_once_several_at_a_time(once, db, program):
    """A worker runs as many as `concurrency` says; a hundred quick ones all end."""
    once(concurrency=4, workers=2)
    db.enqueue_many([{"queue": "work", "payload": {"how": "result", "n": n}} for n in range(100)])
    db.settle("work")
    assert db.statuses("work") == {"completed": 100}


def test_once_kill_9_of_the_worker(once, db, program):
    d = once(concurrency=2)
    jobs = [db.enqueue("work", {"how": "deaf"}) for _ in range(2)]
    first = {r["pid"] for r in program.wait("deaf", 2)}
    os.kill(d.pids("worker")[0], signal.SIGKILL)
    program.wait("deaf", 3)
    assert not [pid for pid in first if procs.alive(pid)]
    assert [db.job(j)["retry_count"] for j in jobs] == [0, 0]
    for job in jobs:
        db.one("SELECT jobq.cancel(%s)", [job])
    for job in jobs:
        db.wait_job(job, "cancelled", 60)
