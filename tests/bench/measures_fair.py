"""Do tenants share, and what does it cost: a tenant of a million jobs beside others, a thousand equal ones, weights, and the drain with all of it on."""
import json
import os
import statistics
import subprocess
import time

from harness.begun import Begun
from harness.wait import wait_until
from measures import drain_jobqd, produce
from stage import PAYLOAD, cpu_of, cpu_of_server, lines_of, median_of, pairs, percentile, quiet, statements

NULL = {"workers": 5, "batch_size": 25, "batch_adaptive": "off", "retain_completed": "0"}


def forget_tenants(stage):
    """And pauses: they outlive the daemon of the measurement before."""
    stage.db.sql("TRUNCATE jobq.tenants, jobq.tiers, jobq.tenant_limits, jobq.pauses")


def pause(daemon, paused=True):
    daemon.ctl("pause" if paused else "resume", "null")
    state = "paused" if paused else "running"
    wait_until(lambda: daemon.queue_status("null")["state"] == state, state)


def settled(stage, daemon):
    """Paused, and nothing is in flight."""
    pause(daemon)
    wait_until(lambda: stage.db.one("SELECT count(*) FROM jobq.jobs_live WHERE status <> 'pending'") == 0, "what is in flight", 30)


# --- one big tenant


def fill_big(stage, jobs):
    """One tenant's pending jobs, by COPY as a producer would."""
    connection = stage.db.connect("postgres")
    line = f"null\tbig\t{json.dumps(PAYLOAD)}\n"

    class Lines:
        left = jobs

        def read(self, size):
            n = min(self.left, max(1, size // len(line)))
            self.left -= n
            return line * n

    try:
        with connection.cursor() as cursor:
            cursor.copy_expert("COPY jobq.jobs (queue, tenant_id, payload) FROM STDIN", Lines())
    finally:
        connection.close()
    stage.settle_table()


def starts(stage, daemon, jobs):
    """COMMIT sent to the begin mark of another tenant's jobs, one by one at 50/s, in ms; matched by id."""
    sent, watch = os.path.join(stage.dir, "sent"), Begun(daemon)
    produce(stage, sent, jobs, 50, 1)
    commits = {int(job): int(ns) / 1e9 for job, ns in lines_of(sent)}
    wait_until(lambda: len(commits.keys() & {job for job, _ in watch.marks()}) == jobs, "all begin marks", 30)
    watch.stop()
    begun = dict(watch.marks())
    return [(begun[job] - at) * 1000 for job, at in commits.items()]


def others_per_s(stage, daemon, jobs, big):
    """Jobs/s of twenty tenants with backlogs, beside the big one's or without it, and what they cost: CPU us a job, PostgreSQL's with it."""
    stage.preload(jobs)
    if big:
        fill_big(stage, big)
    quiet(stage)
    done, before, cpu, begin = daemon.queue_status("null")["completed"], cpu_of_server(stage), cpu_of(daemon), time.monotonic()
    daemon.ctl("resume", "null")
    wait_until(lambda: daemon.queue_status("null")["completed"] >= done + jobs, "the others' jobs", 300, 0.05)
    seconds = time.monotonic() - begin
    cpu = cpu_of(daemon) - cpu + sum(spent - before.get(pid, 0) for pid, spent in cpu_of_server(stage).items())
    settled(stage, daemon)
    finished = jobs - stage.db.one("SELECT count(*) FROM jobq.jobs_live WHERE tenant_id <> 'big'")
    return finished / seconds, cpu / finished * 1e6


def big_tenant(stage):
    big, jobs, singles = (20_000, 20_000, 100) if stage.quick else (1_000_000, 1_200_000, 1500)
    forget_tenants(stage)
    stage.preload(0)
    stage.db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, rate_limit) VALUES ('big', 'null', '10/s')")
    daemon = stage.daemon({"null": NULL}, count_max_age="10min").start()
    rows = []
    try:
        alone = starts(stage, daemon, singles)
        fill_big(stage, big)
        time.sleep(8)  # until its coming is over: above 300 arrivals/s the dispatcher polls, every 50 ms
        beside, asked = starts(stage, daemon, singles), statements(stage)
        begin, cpu = time.monotonic(), cpu_of(daemon)
        time.sleep(3 if stage.quick else 10)
        passed = time.monotonic() - begin
        asked, cpu = (statements(stage) - asked) / passed, (cpu_of(daemon) - cpu) / passed * 100
        print(f"one tenant with {big:,} pending jobs and a limit of 10/s: another's new job, COMMIT sent to begin mark, {singles:,} at 50/s: p50 {percentile(beside, 50):.1f} ms,"
              f" p99 {percentile(beside, 99):.1f} ms (target < 50), max {max(beside):.1f} ms; without the big one {percentile(alone, 50):.1f}, {percentile(alone, 99):.1f},"
              f" {max(alone):.1f} ms", flush=True)
        print(f"    the big one alone: {cpu:.1f}% of one CPU, {asked:.1f} statements/s", flush=True)
        settled(stage, daemon)
        for _ in range(pairs(stage)):
            without, beside = others_per_s(stage, daemon, jobs, 0), others_per_s(stage, daemon, jobs, big)
            rows.append((beside[0] / without[0], without[1] / beside[1]))
            print("    others without it {:,.0f}/s, {:.2f} us CPU a job of jobq and PostgreSQL;".format(*without) + " beside it {:,.0f}/s, {:.2f} us".format(*beside), flush=True)
    finally:
        daemon.cleanup()
        forget_tenants(stage)
    print(f"throughput of 20 others with backlogs of {jobs:,} jobs beside it, against without it: {median_of([row[0] for row in rows])}; target >= 0.9;"
          f" by CPU {median_of([row[1] for row in rows])}", flush=True)


# --- a thousand tenants


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values))


def served_in_window(stage, daemon, sizes, enough):
    """Fills tenants t0, t1, … with sizes[n] jobs, lets the queue go until `enough` jobs are done, and counts. {n: served} of those that still had jobs."""
    stage.preload(0)
    stage.db.sql("INSERT INTO jobq.jobs_live (queue, tenant_id, payload) SELECT 'null', 't' || n - 1, %s FROM unnest(%s::int[]) WITH ORDINALITY u(jobs, n), generate_series(1, jobs)"
                 " ORDER BY random()", [json.dumps(PAYLOAD), sizes])
    stage.settle_table()
    quiet(stage)
    done, begin, cpu = daemon.queue_status("null")["completed"], time.monotonic(), cpu_of(daemon)
    daemon.ctl("resume", "null")
    wait_until(lambda: daemon.queue_status("null")["completed"] >= done + enough, "the window's jobs", 300, 0.05)
    settled(stage, daemon)
    seconds, cpu = time.monotonic() - begin, cpu_of(daemon) - cpu
    left = {int(tenant[1:]): count for tenant, count in stage.db.sql("SELECT tenant_id, count(*) FROM jobq.jobs_live GROUP BY 1")}
    total = sum(sizes) - sum(left.values())
    print(f"    {total:,} jobs in {seconds:.1f} s, {cpu / total * 1e6:.1f} us CPU a job; {len(left)} of {len(sizes)} tenants had jobs all the time", flush=True)
    return {n: sizes[n] - count for n, count in left.items()}


def mixed_sizes(tenants, most):
    """One in 250 has the most, one in twenty a twentieth of it, one in ten nearly nothing, the others a bit more than the window takes."""
    return [most if n % 250 == 0 else most // 20 if n % 20 == 0 else 40 if n % 10 == 5 else most * 6 // 1000 for n in range(tenants)]


def fairness(stage):
    tenants, most = (100, 20_000) if stage.quick else (1000, 100_000)
    sizes = mixed_sizes(tenants, most)
    forget_tenants(stage)
    daemon = stage.daemon({"null": NULL}, count_max_age="10min").start()
    try:
        pause(daemon)
        served = served_in_window(stage, daemon, sizes, tenants * (60 if stage.quick else 300))
        batches = min(served.values()) / NULL["batch_size"]
        print(f"fairness, {tenants:,} equal tenants with 40 to {most:,} jobs, null handler: Jain's index of jobs served {jain(list(served.values())):.5f} over {len(served)} backlogged all the"
              f" time (target > 0.99); {min(served.values())} to {max(served.values())} jobs a tenant, at least {batches:.1f} batches (5 are asked for)", flush=True)
        stage.db.sql("INSERT INTO jobq.tenant_limits (tenant_id, weight) SELECT 't' || n, 1 << n %% 3 FROM generate_series(0, %s) n", [tenants - 1])
        time.sleep(2)  # the roster is told at once
        served = served_in_window(stage, daemon, [most * 13 // 1000] * tenants, tenants * (60 if stage.quick else 500))
        mean = [statistics.mean(count for n, count in served.items() if n % 3 == w) for w in range(3)]
        print(f"weights 1:2:4 of {len(served)} of them: {mean[0]:.1f}, {mean[1]:.1f}, {mean[2]:.1f} jobs a tenant: 1:{mean[1] / mean[0]:.3f}:{mean[2] / mean[0]:.3f} (target within 3%)", flush=True)
    finally:
        daemon.cleanup()
        forget_tenants(stage)


# --- the drain with all of it on


def all_of_it(stage, tenants):
    """Tiers, weights, a limit for every tenant, rows of their own for some; none that binds."""
    stage.db.sql("INSERT INTO jobq.tiers (tier, queue, weight, rate_limit, min_share) VALUES ('default', '*', 1, '10000000/s', NULL), ('gold', '*', 2, '10000000/s', 0.05)")
    stage.db.sql("INSERT INTO jobq.tenants (id, tier) SELECT 't' || n, CASE WHEN n %% 10 = 0 THEN 'gold' ELSE 'default' END FROM generate_series(0, %s) n", [tenants - 1])
    stage.db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, weight, rate_limit) SELECT 't' || n, 'null', 1.5, '2000000/s' FROM generate_series(0, %s, 4) n", [tenants - 1])


def drain_run(stage, daemon, jobs, tenants):
    """Jobs/s, CPU us a job of jobq, MB, and CPU us a job of jobq and PostgreSQL together: what the rate comes to where the processors are the bound."""
    stage.preload(jobs, tenants)
    quiet(stage)
    before = cpu_of_server(stage)
    rate, cpu, memory = drain_jobqd(stage, daemon, jobs)
    server = sum(spent - before.get(pid, 0) for pid, spent in cpu_of_server(stage).items())
    return rate, cpu, memory, cpu + server / jobs * 1e6


def drain_tenants(stage):
    """A daemon as plain as that of the drain, then one with all of it on, again and again."""
    jobs, tenants = (20_000, 100) if stage.quick else (1_200_000, 1000)
    rows = []
    for _ in range(pairs(stage)):
        row = []
        for on in (False, True):
            forget_tenants(stage)
            if on:
                all_of_it(stage, tenants)
            keys = {**NULL, **({"tenant_rate_limit": "1000000/s", "rate_limit": "10000000/s", "tenant_concurrency": 100_000} if on else {})}
            daemon = stage.daemon({"null": keys}, count_max_age="10min").start()
            try:
                pause(daemon)
                row.append(drain_run(stage, daemon, jobs, tenants if on else 20))
            finally:
                daemon.cleanup()
        rows.append(row)
        print("    plain {:,.0f}/s, {:.2f} us CPU of jobq a job, {:.1f} MB, {:.2f} us with PostgreSQL's;".format(*row[0])
              + " with all of it on {:,.0f}/s, {:.2f} us, {:.1f} MB, {:.2f} us".format(*row[1]), flush=True)
    forget_tenants(stage)
    print(f"drain of {jobs:,} null jobs of {tenants:,} tenants with tiers, weights, limits of queue, tier and tenant, concurrency, against the plain one of 20 tenants:"
          f" {median_of([on[0] / plain[0] for plain, on in rows])}; target >= 0.9; by CPU of jobq and PostgreSQL {median_of([plain[3] / on[3] for plain, on in rows])}", flush=True)


# --- queueing


def queueing(stage):
    done = subprocess.run([stage.program("simulate"), "--cost"], capture_output=True, text=True, check=True, timeout=300)
    worst = max(float(line.split("queue an entry")[1].split()[0]) for line in done.stdout.splitlines())
    print(f"queueing an entry into the batcher: {worst:.0f} ns in the dearest of these (target < 1,000)\n    " + done.stdout.strip().replace("\n", "\n    "), flush=True)
