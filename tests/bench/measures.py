"""The measurements of the bench, one function each. Every time is taken outside jobqd, or from the samples in its shared memory."""
import os
import re
import statistics
import subprocess
import time

import psycopg2
from harness import paths, procs
from harness.http import Receiver
from harness.wait import wait_until
from imports import import_memory, imports  # noqa: F401  measurements of their own
from mail import mail  # noqa: F401
from tuned import tune  # noqa: F401 (bench.py finds measures here)
from stage import PAIRS, cpu_of, lines_of, median_of, pairs, percentile, pss_mb, quiet, statements


# --- drain


def drain_jobqd(stage, daemon, jobs):
    """From the moment the queue is let go to the last completion. Returns jobs/s, CPU us a job and MB."""
    wait_until(lambda: daemon.queue_status("null")["state"] == "paused", "the pause")
    before, done = cpu_of(daemon), daemon.queue_status("null")["completed"]
    begin = time.monotonic()
    daemon.ctl("resume", "null")
    memory = 0.0
    while (now := daemon.queue_status("null")["completed"]) < done + jobs:
        assert daemon.alive(), daemon.tail()
        memory = max(memory, pss_mb(daemon)) if now > done + jobs / 2 and not memory else memory
        time.sleep(0.1)  # each look is a process: no more of them than 1% of the time is worth
    seconds = time.monotonic() - begin
    cpu = cpu_of(daemon) - before
    left = stage.db.one("SELECT count(*) FROM jobq.jobs_live")
    assert left == 0, f"{left} jobs left"
    daemon.ctl("pause", "null")
    return jobs / seconds, cpu / jobs * 1e6, memory


def drain(stage):
    drain_delete(stage)
    drain_history(stage)


def drain_delete(stage):
    drain_mode(stage, "delete", "0")


def drain_history(stage):
    drain_mode(stage, "history", "30d")


def drain_mode(stage, mode, retain):
    jobs = 20_000 if stage.quick else 1_200_000
    daemon = stage.daemon({"null": {"workers": 5, "batch_size": 25, "batch_adaptive": "off", "retain_completed": retain}},
                          count_max_age="10min").start()
    daemon.ctl("pause", "null")
    rates, references, cpus, memories = [], [], [], []
    try:
        if mode == "history":  # its leaf is made at the first completion
            daemon.ctl("resume", "null")
            stage.db.wait_job(stage.db.enqueue("null", {}), "completed")
            daemon.ctl("pause", "null")
        for _ in range(pairs(stage)):
            stage.preload(jobs)
            quiet(stage)
            references.append(stage.reference("ref_drain", stage.db.dsn("postgres"), "null", mode)["per_s"])
            stage.preload(jobs)
            quiet(stage)
            rate, cpu, memory = drain_jobqd(stage, daemon, jobs)
            rates.append(rate)
            cpus.append(cpu)
            memories.append(memory)
            print(f"    {mode}: reference {references[-1]:,.0f}/s, jobqd {rate:,.0f}/s, {cpu:.2f} us CPU a job, {memory:.1f} MB", flush=True)
    finally:
        daemon.cleanup()
    ratios = [a / b for a, b in zip(rates, references)]
    print(f"drain, {jobs:,} null jobs of 20 tenants, 5 workers, batches of 25, retain_completed = {retain}: jobqd {statistics.median(rates):,.0f}/s,"
          f" reference (claim 500, {mode}, one connection) {statistics.median(references):,.0f}/s: {median_of(ratios)}; target >= 0.8", flush=True)
    print(f"    CPU of all jobq processes {statistics.median(cpus):.2f} us a job (max {max(cpus):.2f}; target < 5),"
          f" PSS together {max(memories):.1f} MB (target < 40)", flush=True)


# --- pick-up


def produce(stage, path, jobs, per_s, many, *channel):
    with open(path, "w", encoding="ascii") as out:
        subprocess.run([stage.program("produce"), stage.db.dsn("postgres"), "null", str(jobs), str(per_s), str(many), *channel], stdout=out, check=True, timeout=900)


def pickup_reference(stage, jobs):
    """COMMIT sent to rows in hand, in us, matched by id."""
    sent, got = os.path.join(stage.dir, "sent"), os.path.join(stage.dir, "got")
    with open(got, "w", encoding="ascii") as out, open(got + ".err", "w+", encoding="ascii") as err:
        ref = procs.spawn([stage.program("ref_pickup"), stage.db.dsn("postgres"), "null", str(jobs)], stdout=out, stderr=err)
        wait_until(lambda: "ready" in open(got + ".err", encoding="ascii").read(), "the reference to listen")
        produce(stage, sent, jobs, 50, 1, "jobq_bench")
        ref.wait(60)
    at = {job: int(ns) for job, ns in lines_of(got)}
    return [(at[job] - int(ns)) / 1000 for job, ns in lines_of(sent)]


def pickup_jobqd(stage, daemon, jobs):
    """COMMIT sent to the handler's call, in us. Samples carry no id; one job after another, they match in order, and each start lies behind its COMMIT."""
    sent, got = os.path.join(stage.dir, "sent"), os.path.join(stage.dir, "samples")
    segment = "/" + os.path.basename(next(iter(daemon.segments)))
    with open(got, "w", encoding="ascii") as out:
        watch = procs.spawn([stage.program("samples"), segment], stdout=out)
        time.sleep(1)  # the samples of before are printed and known
        known = len(lines_of(got))
        produce(stage, sent, jobs, 50, 1)
        wait_until(lambda: sum(int(line[3]) for line in lines_of(got)[known:]) >= jobs, "all samples", 30)
        procs.end(watch)
    lines = lines_of(got)[known:]
    assert not [line for line in lines if line[0] == "missed"], "samples were missed"
    starts = sorted(start for line in lines for start in [int(line[1])] * int(line[3]))
    commits = sorted(int(ns) for _, ns in lines_of(sent))
    return [(start - commit) / 1000 for start, commit in zip(starts, commits)]


def pickup(stage):
    jobs = 100 if stage.quick else 1500
    daemon = stage.daemon({"null": {"workers": 5, "retain_completed": "0"}}).start()
    rows = []
    try:
        for _ in range(pairs(stage)):
            stage.preload(0)
            daemon.ctl("pause", "null")
            wait_until(lambda: daemon.queue_status("null")["state"] == "paused", "the pause")
            ours = pickup_reference(stage, jobs)
            daemon.ctl("resume", "null")
            wait_until(lambda: daemon.queue_status("null")["state"] == "running", "the end of the pause")
            theirs = pickup_jobqd(stage, daemon, jobs)
            rows.append([percentile(v, p) for p in (50, 99) for v in (theirs, ours)])
            print("    p50 jobqd {:.0f} us, reference {:.0f} us; p99 {:.0f} us, {:.0f} us".format(*rows[-1]), flush=True)
    finally:
        daemon.cleanup()
    medians = [statistics.median(column) for column in zip(*rows)]
    print(f"pick-up, COMMIT sent to handler start, {jobs:,} jobs at 50/s: p50 {medians[0]:.0f} us against {medians[1]:.0f} us of a bare LISTEN + claim:"
          f" {median_of([r[0] / r[1] for r in rows])}; target <= 1.5", flush=True)
    print(f"    p99 {medians[2]:.0f} us against {medians[3]:.0f} us: {median_of([r[2] / r[3] for r in rows])}; target <= 3", flush=True)


# --- idle


def idle(stage):
    seconds = 5 if stage.quick else 120
    stage.preload(0)
    daemon = stage.daemon({f"q{n}": {"handler": "null"} for n in range(4)}).start()
    try:
        time.sleep(2 if stage.quick else 15)
        cpu, calls, begin = cpu_of(daemon), statements(stage), time.monotonic()
        time.sleep(seconds)
        spent, asked, passed = cpu_of(daemon) - cpu, statements(stage) - calls, time.monotonic() - begin
        print(f"idle, 4 queues, 20 workers, {passed:.0f} s: {spent / passed * 100:.2f}% of one CPU (target < 0.5), {float(asked) / passed:.2f} statements/s in all"
              f" (target <= 2), {pss_mb(daemon):.1f} MB together", flush=True)
    finally:
        daemon.cleanup()


# --- pinned xmin


def claims_by_minute(stage, since):
    """Durations (ms) of the claim's executions, by minute since `since` (epoch seconds), from PostgreSQL's own log."""
    minutes = {}
    with open(stage.server.log, encoding="utf-8", errors="replace") as f:
        for line in f:
            found = re.match(r"@(\d+\.\d+) \[\d+\] (.*?) ?LOG:  duration: ([\d.]+) ms  execute claim", line)
            if found and float(found.group(1)) >= since:
                minutes.setdefault(int((float(found.group(1)) - since) // 60), []).append(float(found.group(3)))
    return minutes


def pinned(stage):
    seconds = 10 if stage.quick else 300
    stage.preload(0)
    stage.server.sql("ALTER SYSTEM SET log_line_prefix = '@%n [%p] %a '")
    stage.server.sql("SELECT pg_reload_conf()")
    stage.server.sql("ALTER ROLE jobq_worker SET log_min_duration_statement = 0")
    stage.server.sql("GRANT SET ON PARAMETER log_min_duration_statement TO jobq_worker")
    daemon = stage.daemon({"null": {"workers": 5, "batch_size": 25, "retain_completed": "0"}}).start()
    pin = psycopg2.connect(stage.db.dsn("postgres"))
    try:
        pin.set_session("REPEATABLE READ")
        with pin.cursor() as cursor:
            cursor.execute("SELECT txid_current(), count(*) FROM jobq.jobs")
        since = time.time()
        produce(stage, os.path.join(stage.dir, "sent"), 2000 * seconds, 2000, 40)
        wait_until(lambda: stage.db.one("SELECT count(*) FROM jobq.jobs_live") == 0, "the queue to be empty", 120)
        minutes = claims_by_minute(stage, since)
        first, last = minutes[0], minutes[max((seconds - 1) // 60, 0)]
        p99 = percentile(first, 99), percentile(last, 99)
        print(f"pinned xmin, 2,000 jobs/s for {seconds} s: claim p50 {statistics.median(first):.2f} -> {statistics.median(last):.2f} ms,"
              f" p99 {p99[0]:.2f} ms in the first minute ({len(first):,} claims), {p99[1]:.2f} ms in the last ({len(last):,}): {p99[1] / p99[0]:.2f}; target <= 1.2", flush=True)
    finally:
        pin.close()
        daemon.cleanup()
        stage.server.sql("ALTER ROLE jobq_worker RESET log_min_duration_statement")


# --- recovery


def recover(stage, receiver, daemon, victim):
    """Kills one kind of process in the middle of deliveries. Time until the next delivery, and until everything enqueued is done; lost; repeated."""
    jobs = 200 if stage.quick else 2000
    first = len(receiver.effects())
    stage.db.sql("TRUNCATE jobq.jobs")
    stage.db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 5}", "payload": {"to": f"+35840{n:07d}", "text": f"{victim}-{n}"}} for n in range(jobs)])
    wait_until(lambda: len(receiver.effects()) > first + jobs // 4, "deliveries")
    at = time.monotonic()
    if victim == "master":
        daemon.kill()
        at = time.monotonic()
        daemon.start(ready=False)
    else:
        os.kill(daemon.pids(victim)[0], 9)
    stage.db.settle("sms", 60)
    effects = receiver.effects()[first:]
    later = [e["m"] - at for e in effects if e["m"] > at]
    gaps = sorted(e["m"] for e in effects)
    longest = max(b - a for a, b in zip(gaps, gaps[1:]))
    texts = {e["text"] for e in effects}
    return min(later), longest, jobs - len(texts), len(effects) - len(texts)


def recovery(stage):
    receiver = Receiver(os.path.join(stage.dir, "receiver")).start()
    receiver.control(slow=0.002)
    keys = {**receiver.queue_keys(), "workers": 3, "batch_size": 10, "max_connections": 5, "on_uncertain": "retry", "retry_backoff": "fixed 100ms", "max_retries": 10}
    daemon = stage.daemon({"sms": keys}).start()
    try:
        for victim in ("worker", "dispatcher", "master"):
            runs = [recover(stage, receiver, daemon, victim) for _ in range(1 if stage.quick else PAIRS)]
            print(f"recovery, kill -9 of a {victim} under load, {len(runs)} times: next delivery after {statistics.median(r[0] for r in runs) * 1000:.0f} ms"
                  f" (max {max(r[0] for r in runs) * 1000:.0f}), longest silence {max(r[1] for r in runs) * 1000:.0f} ms; target < 2,000;"
                  f" lost {sum(r[2] for r in runs)}, repeated {max(r[3] for r in runs)} at most (15 on the wire)", flush=True)
    finally:
        daemon.cleanup()
        receiver.stop()


# --- programs


def programs(stage):
    """Jobs through the exec handler and a kept Python program, beside the null handler: what programs cost, Python's own work included."""
    jobs = 5_000 if stage.quick else 100_000
    common = {"workers": 2, "batch_size": 50, "batch_max": 50, "batch_adaptive": "off", "retain_completed": "0"}
    command = f"/usr/bin/python3 {os.path.join(paths.SOURCE, 'tests', 'programs', 'echo.py')}"
    rates = {"null": [], "exec": []}
    for _ in range(pairs(stage)):
        for handler, keys in (("null", {}), ("exec", {"command": command})):
            daemon = stage.daemon({"null": {"handler": handler, **common, **keys}}, count_max_age="10min").start()
            try:
                daemon.ctl("pause", "null")
                stage.preload(jobs)
                quiet(stage)
                rates[handler].append(drain_jobqd(stage, daemon, jobs)[0])
            finally:
                daemon.cleanup()
        print(f"    null {rates['null'][-1]:,.0f}/s, exec {rates['exec'][-1]:,.0f}/s", flush=True)
    ratios = [a / b for a, b in zip(rates["exec"], rates["null"])]
    print(f"programs, {jobs:,} jobs of 20 tenants, 2 workers, each with a persistent Python program that parses each job: {statistics.median(rates['exec']):,.0f}/s,"
          f" with the null handler {statistics.median(rates['null']):,.0f}/s: {median_of(ratios)}", flush=True)
