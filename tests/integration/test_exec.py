"""Programs as handlers, kept for all jobs (mode persistent): lines each way, whatever is in them; and how programs end."""
import json
import os
import signal

import pytest
from harness import procs
from harness.program import Program
from harness.wait import stays, wait_until


@pytest.fixture
def program(where):
    return Program(where)


@pytest.fixture
def start(daemon, db, program):
    def make(*options, **keys):
        jobqd = {k: keys.pop(k) for k in ("shutdown_timeout", "lease") if k in keys}
        return daemon(db, {"work": program.keys(*options, **keys)}, **jobqd).start()
    return make


def do(*steps):
    return {"do": [list(step) for step in steps]}


def test_a_job_as_the_program_sees_it(start, db, program):
    """One line a job with all that is promised; the same program for all of them; its answer is the result."""
    payload = {"text": "a\nb\u2028ü\"\\", "n": 9007199254740993, "deep": [[{}]]}
    job = db.enqueue("work", payload, tenant_id='acme ü"', type="resize", user_id="u1", priority="high")
    db.sql("UPDATE jobq.jobs SET deadline = '2099-01-02T03:04:05.678Z' WHERE id = %s", [job])
    start()
    seen = db.wait_job(job, "completed")["result"]
    token, key = seen.pop("claim_token"), seen.pop("idempotency_key")
    assert seen == {"v": 1, "id": str(job), "queue": "work", "type": "resize", "tenant_id": 'acme ü"', "user_id": "u1", "priority": "high",
                    "attempt": 1, "max_retries": 2, "deadline": "2099-01-02T03:04:05.678Z", "payload": payload}
    assert token.isdigit() and key.endswith(f"-{job}") and len(key) > len(f"-{job}")
    plain = db.wait_job(db.enqueue("work"), "completed")["result"]
    assert [plain[k] for k in ("type", "tenant_id", "user_id", "deadline", "priority")] == [None, None, None, None, "normal"]
    assert len(program.events("start")) == 1


@pytest.mark.parametrize("answer,status,tries,words", [
    ({"outcome": "done"}, "completed", 0, None),
    ({"outcome": "done", "result": [1, 2.5, "x", None], "more": {"ignored": 1}}, "completed", 0, None),
    ({"outcome": "fail", "error": "bad \x1b[31m input"}, "failed", 0, "input"),
    ({"outcome": "retry", "error": "later"}, "failed", 2, "later"),
    ({"outcome": "retry", "error": "later", "after": "50ms"}, "failed", 2, "later"),
    ({"outcome": "uncertain", "error": "who knows"}, "held", 0, "who knows"),
    ({"outcome": "finished"}, "failed", 2, "has no \"outcome\" that is one of done"),
    ({"outcome": "retry", "after": 30}, "failed", 2, "\"after\""),
    ({"outcome": None}, "failed", 2, "has no \"outcome\""),
], ids=["done", "result", "fail", "retry", "after", "uncertain", "unknown", "bad-after", "null"])
def test_outcomes(start, db, program, answer, status, tries, words):
    start()
    row = db.wait_job(db.enqueue("work", do(("answer", answer))), status)
    assert row["retry_count"] == tries and row["result"] == answer.get("result")
    assert words is None or words in row["error_message"]
    assert len({r["key"] for r in program.events("job")}) == 1 and [r["attempt"] for r in program.events("job")] == list(range(1, tries + 2))
    assert len(program.events("start")) == 1


def test_snooze(start, db, program):
    """Put off as long as it says, and no try is burnt; a job that is not over keeps what it left."""
    start(max_retries=0)
    job = db.enqueue("work", do(("answer", {"outcome": "snooze", "after": "1h"})))
    row = wait_until(lambda: (r := db.job(job))["status"] == "pending" and r["started_at"] is None and program.events("answer") and r, "a snooze")
    assert row["retry_count"] == 0 and db.one("SELECT run_at > now() + interval '50 min' FROM jobq.jobs WHERE id = %s", [job])


def test_progress(start, db):
    start()
    job = db.enqueue("work", do(("progress", 40, "page 4 of 10"), ("wait-cancel", 60)))
    row = wait_until(lambda: (r := db.job(job)) and r["progress"] == 40 and r, "progress in the table")
    assert row["status"] == "running" and row["progress_note"] == "page 4 of 10"


def test_answers_in_any_order(start, db, program):
    """Eight jobs are in the program's hands before it answers the first, and it answers in reverse."""
    start("hold=8", batch_size=8, batch_max=8, batch_timeout="1s")
    ids = db.enqueue_many([{"queue": "work", "payload": {"n": n}} for n in range(8)])
    db.settle("work")
    assert [db.job(i)["result"]["payload"]["n"] for i in ids] == list(range(8))
    order = [int(r["id"]) for r in program.events("answer")]
    assert order == sorted(order, reverse=True) and len(program.events("start")) == 1


def test_many_and_large(start, db, program):
    """Payloads of 200 kB and results of the same size, more of them than a pipe holds, beside small ones."""
    start(workers=2, max_output="2MB")
    db.enqueue_many([{"queue": "work", "payload": {"blob": "x" * (200_000 if n % 10 == 0 else 10), "n": n}} for n in range(200)])
    db.settle("work")
    assert db.statuses("work") == {"completed": 200}
    assert db.one("SELECT count(*) FROM jobq.jobs WHERE length(result->'payload'->>'blob') = 200000") == 20
    assert len(program.events("start")) <= 2


BROKEN = [
    (("say", "not json"), "wrote a line that is no outcome: not json"),
    (("say", "{\"id\": 1"), "no outcome"),
    (("say", "[]"), "no outcome"),
    (("say", "{\"id\":\"x\",\"outcome\":\"done\"}"), "no outcome"),
    (("say", "{\"progress\":\"much\",\"id\":\"1\"}"), "no outcome"),
    (("exit", 3), "ended with exit code 3 before it gave an outcome"),
    (("exit", 0), "ended with exit code 0 before it gave an outcome"),
    (("kill", 11), "was ended by signal SIGSEGV"),
    (("kill", 9), "was ended by signal SIGKILL"),
    (("flood", "stdout", 10**9, ""), "max_output"),
    (("flood", "stdout", 10**9, "{\"id\":\"1\",\"progress\":1}"), "max_output"),
]


@pytest.mark.parametrize("step,words", BROKEN, ids=["text", "half", "list", "no-id", "no-number", "exit-3", "exit-0", "segv", "kill", "long-line", "flood"])
def test_a_broken_program(start, db, program, step, words):
    """Its only job is tried again with the reason, and fails when that does not help; the next job gets a program that is well."""
    start(max_retries=1, max_output="100kB")
    job = db.enqueue("work", do(step, ("wait-cancel", 60)))
    row = db.wait_job(job, "failed")
    assert row["retry_count"] == 1 and words in row["error_message"]
    db.wait_job(db.enqueue("work"), "completed")
    assert len(program.events("job", id=str(job))) == 2 and len({r["key"] for r in program.events("job", id=str(job))}) == 1
    wait_until(lambda: len(program.living()) == 1, "one program")


def test_its_last_words_are_the_reason(start, db):
    """An early exit is told with the last line of stderr, clipped and clean."""
    start(max_retries=0)
    row = db.wait_job(db.enqueue("work", do(("stderr", "first", 1), ("stderr", "\x1b[31mKeyError: 'sku'" + "x" * 5000, 1), ("exit", 1))), "failed")
    assert "exit code 1" in row["error_message"] and "KeyError: 'sku'" in row["error_message"] and len(row["error_message"]) < 1500


def test_neighbours_of_a_poisonous_job(start, db, program):
    """One job of twenty ends the program: it fails by itself, with its tries; nobody else loses one."""
    start(workers=2, batch_size=20, batch_max=20)
    jobs = [{"queue": "work", "payload": {"n": n}} for n in range(20)]
    jobs[7]["payload"] = do(("sleep", 0.05), ("exit", 9))
    ids = db.enqueue_many(jobs)
    row = db.wait_job(ids[7], "failed")
    db.settle("work")
    assert row["retry_count"] == 2 and "exit code 9" in row["error_message"]
    assert db.statuses("work") == {"completed": 19, "failed": 1}
    assert db.one("SELECT max(retry_count) FROM jobq.jobs WHERE status = 'completed'") == 0


def test_early_exit_between_jobs(start, db, program):
    """A program that goes when nothing is to be done costs nothing: the next job starts another."""
    start()
    db.wait_job(db.enqueue("work", do(("answer", {"outcome": "done"}))), "completed")
    os.kill(program.events("start")[0]["pid"], signal.SIGKILL)
    program.wait_gone()
    assert db.wait_job(db.enqueue("work"), "completed")["retry_count"] == 0
    assert len(program.events("start")) == 2


def test_cancel_is_passed_on(start, db, program):
    """A running job's program reads the cancel line; what it answers then is the end: retry means cancelled."""
    start(job_timeout="1h")
    stopped = db.enqueue("work", do(("wait-cancel", 600), ("answer", {"outcome": "retry", "error": "stopped as asked"})))
    program.wait("job", id=str(stopped))
    assert db.one("SELECT jobq.cancel(%s)", [stopped]) == "requested"
    row = db.wait_job(stopped, "cancelled")
    assert row["retry_count"] == 0 and program.events("cancel", id=str(stopped))
    finished = db.enqueue("work", do(("wait-cancel", 600), ("answer", {"outcome": "done", "result": "too late"})))
    program.wait("job", id=str(finished))
    db.one("SELECT jobq.cancel(%s)", [finished])
    assert db.wait_job(finished, "completed")["result"] == "too late"


def test_silence_runs_into_the_timeout(start, db, program):
    """A program that ignores SIGTERM and never answers is killed; its job is tried again and fails; the next one is served."""
    start("ignore-term", job_timeout="1s", max_retries=1)
    job = db.enqueue("work", do(("sleep", 600)))
    row = db.wait_job(job, "failed")
    assert row["retry_count"] == 1 and "without an outcome" in row["error_message"]
    db.wait_job(db.enqueue("work"), "completed")
    silent = {r["pid"] for r in program.events("job", id=str(job))}
    assert len(silent) == 2
    wait_until(lambda: not silent & set(program.living()), "the silent programs to be dead")


def test_neighbours_of_a_silent_job(start, db, program):
    """Of those that time out together only the one that is slow by itself is charged."""
    start("ignore-term", job_timeout="1s", max_retries=1, batch_size=5, batch_min=5, batch_max=5, batch_timeout="500ms")
    ids = db.enqueue_many([{"queue": "work", "payload": do(("sleep", 600)) if n == 0 else {"n": n}} for n in range(5)])
    db.wait_job(ids[0], "failed")
    db.settle("work")
    assert db.statuses("work") == {"completed": 4, "failed": 1}
    assert db.one("SELECT max(retry_count) FROM jobq.jobs WHERE status = 'completed'") == 0


def test_children_left_behind(start, db, program):
    """A program that exits and leaves a child with its pipes: the child dies with it, and nobody waits for it."""
    start(max_retries=0)
    row = db.wait_job(db.enqueue("work", do(("fork", 600, "pipes"), ("fork", 600, ""), ("sleep", 0.3), ("exit", 4))), "failed")
    assert "exit code 4" in row["error_message"]
    assert len(program.events("child")) == 2
    program.wait_gone()


@pytest.mark.parametrize("fd,words", [(1, "closed its output"), (0, None)], ids=["stdout", "stdin"])
def test_closed_pipes(start, db, program, fd, words):
    """Without its output a program is of no use and is replaced; without its input it may still answer what it has."""
    start(max_retries=0)
    if words:
        row = db.wait_job(db.enqueue("work", do(("close", fd), ("sleep", 600))), "failed")
        assert words in row["error_message"]
    else:
        db.wait_job(db.enqueue("work", do(("close", fd), ("sleep", 0.2), ("answer", {"outcome": "done"}))), "completed")
    assert db.wait_job(db.enqueue("work", {"n": 1}), "completed")["retry_count"] == 0


def test_stderr_goes_to_the_log(start, db, program):
    """Tagged with queue and pid, cleaned; a flood is counted, not written."""
    d = start()
    db.wait_job(db.enqueue("work", do(("stderr", "hello \x1b[31mred", 1), ("stderr", "spam", 20000), ("answer", {"outcome": "done"}))), "completed")
    pid = program.events("start")[0]["pid"]
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: "lines of its stderr were not logged" in d.text(), "the count of dropped lines")
    line = next(line for line in d.text().splitlines() if f"program {pid}: hello" in line)
    assert "queue=work" in line and "\x1b" not in line
    assert d.text().count(f"program {pid}: spam") < 2000


def test_what_a_program_has(start, db, program, monkeypatch):
    """Its environment, descriptors, session, limits and signals: what was configured, and nothing of ours."""
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "hunter2")
    start("an=option", env=["GREETING=hello world=1", "EMPTY=", "LANG=fi_FI.UTF-8"], rlimit_cpu="90s", rlimit_as="2GB", rlimit_nofile=64, rlimit_nproc=4000)
    seen = db.wait_job(db.enqueue("work", do(("look",))), "completed")["result"]
    environment = seen["env"]
    assert environment.pop("LC_CTYPE", None) in (None, "C.UTF-8")  # Python's own doing
    assert environment == {"GREETING": "hello world=1", "EMPTY": "", "LANG": "fi_FI.UTF-8",
                           "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    assert seen["fds"] == [0, 1, 2]
    assert seen["pid"] == seen["pgid"] == seen["sid"] and seen["cwd"] == "/"
    assert seen["limits"] == {"RLIMIT_CPU": [90, 95], "RLIMIT_AS": [2 << 30] * 2, "RLIMIT_NOFILE": [64] * 2, "RLIMIT_NPROC": [4000] * 2}
    assert int(seen["blocked"], 16) == 0 and int(seen["ignored"], 16) & ~(1 << 12 | 1 << 24) == 0  # Python ignores PIPE and XFSZ
    assert seen["argv"][1:] == [program.path, "an=option"]


@pytest.mark.parametrize("keys,step,words", [
    ({"rlimit_cpu": "1s"}, ("spin",), "SIGXCPU"), ({"rlimit_as": "300MB"}, ("memory", 1 << 30), "MemoryError"),
    ({"rlimit_nofile": 32}, ("open", 100), "Too many open files"),
], ids=["cpu", "memory", "files"])
def test_limits(start, db, program, keys, step, words):
    start(max_retries=0, **keys)
    assert words in db.wait_job(db.enqueue("work", do(step)), "failed")["error_message"]
    assert db.wait_job(db.enqueue("work", {}), "completed")


def test_a_program_that_is_not_there(start, daemon, db, where):
    """Said loudly when a worker starts, with what to do; jobs wait unharmed and are done when it is there."""
    path = os.path.join(where, "later")
    d = daemon(db, {"work": {"handler": "exec", "command": path, "workers": 1, "max_retries": 0}}).start(ready=False)
    job = db.enqueue("work", {})
    wait_until(lambda: f"command: cannot run {path}: No such file or directory" in d.text(), "the reason in the log")
    assert db.job(job)["status"] == "pending"
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nread -r line\nid=${line#*\\\"id\\\":\\\"}\necho \"{\\\"id\\\":\\\"${id%%\\\"*}\\\",\\\"outcome\\\":\\\"done\\\"}\"\ncat >/dev/null\n")
    os.chmod(path + ".new", 0o700)
    os.rename(path + ".new", path)
    d.ctl("reload")
    assert db.wait_job(job, "completed", 60)["retry_count"] == 0


def test_a_program_that_went_away(start, db, daemon, where):
    """Replaced by something that cannot be run, while jobs come: the gate is shut, loudly; nothing is burnt; later all is done."""
    path = os.path.join(where, "p")

    def install(text):
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path + ".new", 0o700)
        os.rename(path + ".new", path)
    install("#!/bin/sh\nexit 0\n")
    d = daemon(db, {"work": {"handler": "exec", "command": path, "workers": 1, "max_retries": 0}}).start()
    install("#!/no/such/interpreter\n")
    ids = db.enqueue_many([{"queue": "work", "payload": {}} for _ in range(30)])
    d.wait_status(lambda s: "cannot be run: No such file or directory" in (s["queues"][0]["last_error"] or ""), "the reason in status")
    wait_until(lambda: "gate" in [r["code"] for r in d.json("why", ids[-1])["reasons"]], "why to name the gate")
    install("#!/bin/sh\nwhile read -r line; do id=${line#*\\\"id\\\":\\\"}; echo \"{\\\"id\\\":\\\"${id%%\\\"*}\\\",\\\"outcome\\\":\\\"done\\\"}\"; done\n")
    db.settle("work")
    assert db.statuses("work") == {"completed": 30} and db.one("SELECT max(retry_count) FROM jobq.jobs") == 0


def test_stop_lets_it_finish(start, db, program):
    """A graceful stop waits for the running job, then ends the program's input, and the program leaves by itself."""
    d = start()
    job = db.enqueue("work", do(("sleep", 1), ("answer", {"outcome": "done"})))
    program.wait("job", id=str(job))
    assert d.stop() == 0
    assert db.job(job)["status"] == "completed" and program.events("end") and not program.living()


def test_stop_does_not_wait_for_ever(start, db, program):
    """Beyond shutdown_timeout a job goes back, unburnt, and its program, which ignores SIGTERM, is killed before the daemon is gone."""
    d = start("ignore-term", shutdown_timeout="1s")
    job = db.enqueue("work", do(("fork", 600, ""), ("sleep", 600)))
    program.wait("child")
    assert d.stop() == 0
    row = db.job(job)
    assert row["status"] == "pending" and row["retry_count"] == 0 and not program.living()


def test_stop_at_once(start, db, program):
    d = start("ignore-term")
    job = db.enqueue("work", do(("fork", 600, "pipes"), ("sleep", 600)))
    program.wait("child")
    d.stop("--now")
    program.wait_gone()
    assert db.job(job)["status"] in ("pending", "claimed", "running")


def test_kill_9_of_the_worker(start, db, program):
    """Its program and the program's children are dead before its job runs again; no try is burnt."""
    d = start("ignore-term")
    job = db.enqueue("work", do(("fork", 600, "pipes"), ("sleep", 600)))
    program.wait("child")
    first = set(program.living())
    os.kill(d.pids("worker")[0], signal.SIGKILL)
    second = program.wait("job", 2, id=str(job))[1]
    assert not [pid for pid in first if procs.alive(pid)]
    assert second["attempt"] == 1 and second["key"] == program.events("job")[0]["key"]
    assert db.job(job)["retry_count"] == 0


@pytest.mark.parametrize("options", [(), ("ignore-term",)], ids=["", "ignore-term"])
def test_kill_9_of_the_master(start, db, program, options):
    """Workers see it, take their programs with them, and the next daemon does the job."""
    d = start(*options)
    job = db.enqueue("work", do(("fork", 600, "pipes"), ("sleep", 600)))
    program.wait("child")
    d.kill()
    program.wait_gone()
    db.sql("UPDATE jobq.jobs SET payload = '{}' WHERE id = %s", [job])
    d.start()
    assert db.wait_job(job, "completed", 60)["retry_count"] == 0


def test_kill_9_of_everything(start, db, program):
    """Master and worker die at one blow: the program dies with its worker, what it had started at the latest when the next daemon starts."""
    d = start()
    job = db.enqueue("work", do(("fork", 600, ""), ("sleep", 600)))
    program.wait("child")
    for pid in [d.pid("worker"), d.pid("dispatcher"), d.process.pid]:
        os.kill(pid, signal.SIGKILL)
    d.process.wait(30)
    db.sql("UPDATE jobq.jobs SET payload = '{}' WHERE id = %s", [job])
    d.start()
    assert db.wait_job(job, "completed", 60)["retry_count"] == 0
    wait_until(lambda: len(program.living()) == 1, "the new program to be the only one")


def test_kill_9_of_the_program(start, db, program):
    """In the middle of a job, again and again: each is a try of that job alone, with the reason."""
    start(max_retries=3)
    job = db.enqueue("work", do(("sleep", 600)))
    for n in range(4):
        os.kill(program.wait("job", n + 1)[n]["pid"], signal.SIGKILL)
    row = db.wait_job(job, "failed")
    assert row["retry_count"] == 3 and "signal SIGKILL" in row["error_message"]


def test_reload_changes_the_program(start, db, program):
    """A reload replaces the workers and with them their programs; the old one is told by the end of its input."""
    d = start()
    db.wait_job(db.enqueue("work"), "completed")
    d.queue("work", env="WHO=new")
    d.ctl("reload")
    program.wait("end")
    seen = db.wait_job(db.enqueue("work", do(("look",))), "completed")["result"]
    assert seen["env"]["WHO"] == "new"
    assert len(program.events("start")) == 2
    wait_until(lambda: len(program.living()) == 1, "one program")


def test_a_job_twice_answered(start, db, program):
    """The first outcome stands; an answer for a job that is not there does no harm."""
    start()
    job = db.enqueue("work", do(("say", "{\"id\":\"999999\",\"outcome\":\"fail\"}"), ("say", "{\"id\":999998,\"progress\":3}"), ("answer", {"outcome": "done"})))
    db.wait_job(job, "completed")
    twice = db.enqueue("work", {})
    db.wait_job(twice, "completed")
    again = db.enqueue("work", do(("say", json.dumps({"id": str(twice), "outcome": "fail"})), ("answer", {"outcome": "done"})))
    db.wait_job(again, "completed")
    assert db.job(twice)["status"] == "completed" and len(program.events("start")) == 1
    stays(lambda: db.statuses("work") == {"completed": 3}, "three completed jobs", 0.3)
