"""Do rate limits hold, and are they used: judged by when jobs begin (the begin marks in shared memory) and by when requests arrive.

Between the two lies the way (the handler's HTTP, the kernel, the receiver's turn to run): it takes some requests longer than others, so arrivals can
stand closer than beginnings. What is promised is promised of the beginnings; what the way adds is printed beside it.
"""
import os
import time

from harness.begun import Begun, excess
from harness.http import Receiver
from harness.paths import SOURCE
from stage import cpu_of, lines_of, percentile, statements

PAYLOAD = "INSERT INTO jobq.jobs_live (queue, tenant_id, payload) SELECT %s, %s, jsonb_build_object('to', '+35840' || 1000000 + n, 'text', %s || ':' || n) FROM generate_series(1, %s) n"


class Far(Receiver):
    script = os.path.join(SOURCE, "tests/bench/far.py")

    def arrivals(self):
        """{text: monotonic seconds}, the first of each."""
        found = {}
        for at, text in lines_of(os.path.join(self.dir, "arrivals")):
            found.setdefault(text, int(at) / 1e9)
        return found


def most_in(times, seconds):
    times, most, first = sorted(times), 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def texts_of(stage):
    """{id: text} of what is to be delivered."""
    return dict(stage.db.sql("SELECT id, payload->>'text' FROM jobq.jobs_live"))


def beginnings(watches, texts):
    """{text: monotonic seconds} over all nodes."""
    return {texts[job]: at for watch in watches for job, at in watch.marks() if job in texts}


def of(times, name):
    return [at for text, at in times.items() if text.split(":")[0] == name]


def judge(what, begun, arrived, rate, burst, until, settle, used_target):
    """One limit: begun and arrived by text."""
    times = sorted(begun)
    first = times[0] + settle
    used = len([t for t in times if first <= t < until]) / (rate * (until - first))
    seconds = [(s, most_in(times, s), most_in(arrived, s)) for s in (1, 60)]
    windows = ", ".join(f"most in {s} s {a} begun, {b} arrived (at most {rate * s + burst:.0f})" for s, a, b in seconds)
    print(f"  {what}: {windows}; beyond rate x time + burst in any interval: {excess(times, rate, burst):.3f} begun (target 0), {excess(arrived, rate, burst):.1f} arrived;"
          f" used {used * 100:.1f}% (target >= {used_target}%)", flush=True)


def way(begun, arrived):
    late = [(arrived[t] - begun[t]) * 1000 for t in arrived if t in begun]
    print(f"  {len(arrived):,} requests; the way from begin mark to arrival: p50 {percentile(late, 50):.1f} ms, p99 {percentile(late, 99):.1f} ms, max {max(late):.1f} ms;"
          f" arrived without a begin mark: {len([t for t in arrived if t not in begun])}", flush=True)


def clear(stage):
    stage.db.sql("TRUNCATE jobq.jobs, jobq.claims, jobq.cancels, jobq.queue_minutes, jobq.tenants, jobq.tiers, jobq.tenant_limits, jobq.pauses")


def limits(stage):
    """Four queues at once, each with one limit that binds: its own, a tenant's of 50/s and of 10/s, a tier's."""
    seconds = 10 if stage.quick else 95
    far = Far(os.path.join(stage.dir, "far")).start()
    clear(stage)
    rates = {"queue": (50, 5), "tenant50": (50, 5), "tenant10": (10, 1), "tier": (50, 5)}
    keys = {**far.queue_keys(), "workers": 3, "on_uncertain": "retry"}
    for name, (rate, _) in rates.items():
        for n, tenant in enumerate(("a", "b", "c") if name == "tier" else ("a",)):
            stage.db.sql(PAYLOAD, [name, tenant, f"{name}:{n}", (seconds + 10) * rate])
    stage.db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, rate_limit) VALUES ('a', 'tenant50', '50/s'), ('a', 'tenant10', '10/s')")
    stage.db.sql("INSERT INTO jobq.tiers (tier, queue, rate_limit) VALUES ('default', 'tier', '50/s')")
    texts = texts_of(stage)
    daemon = stage.daemon({name: {**keys, **({"rate_limit": "50/s"} if name == "queue" else {})} for name in rates}).start()
    watch = Begun(daemon)
    try:
        asked = statements(stage)
        cpu, begin = cpu_of(daemon), time.monotonic()
        time.sleep(seconds)
        until = time.monotonic()
        spent = (cpu_of(daemon) - cpu) / (until - begin) * 100
        asked = (statements(stage) - asked) / (until - begin)
        left = {name: stage.db.one("SELECT count(*) FROM jobq.jobs_live WHERE queue = %s", [name]) for name in rates}
        assert all(left.values()), f"a backlog ran out: {left}"
        bears = daemon.queue_status("queue")["rate"]["effective_per_s"]
    finally:
        daemon.cleanup()
        watch.stop()
        far.stop()
    begun, arrived = beginnings([watch], texts), far.arrivals()
    print(f"limits, {seconds} s under backlog, four queues of 3 workers, requests of 20 ms, 5% of them 2 s:", flush=True)
    for name, (rate, burst) in rates.items():
        judge(f"{name} {rate}/s", of(begun, name), of(arrived, name), rate, burst, until, 1, 97)
    way(begun, arrived)
    print(f"  CPU of all jobq processes {spent:.1f}% of one; {asked:.1f} statements/s for {sum(r for r, _ in rates.values())} jobs/s;"
          f" the adaptive rate of the queue at the end {bears:.1f}/s (a slow machine looks like a slow receiver)", flush=True)


def limits_nodes(stage):
    """Three nodes on one database: a queue's limit of 50/s and, in another queue, a tenant's."""
    seconds, settle = (12, 3) if stage.quick else (70, 5)
    far = Far(os.path.join(stage.dir, "far3")).start()
    clear(stage)
    keys = {**far.queue_keys(), "workers": 2, "on_uncertain": "retry"}
    rates = {"queue": (50, 5), "tenant": (50, 5)}
    for name in rates:
        stage.db.sql(PAYLOAD, [name, "a", f"{name}:0", (seconds + 20) * 50])
    stage.db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, rate_limit) VALUES ('a', 'tenant', '50/s')")
    texts = texts_of(stage)
    daemons, watches = [], []
    try:
        for _ in range(3):
            daemons.append(stage.daemon({"queue": {**keys, "rate_limit": "50/s"}, "tenant": keys}).start())
            watches.append(Begun(daemons[-1]))
        asked, begin = statements(stage), time.monotonic()
        time.sleep(seconds)
        until = time.monotonic()
        asked = (statements(stage) - asked) / (until - begin)
        left = {name: stage.db.one("SELECT count(*) FROM jobq.jobs_live WHERE queue = %s", [name]) for name in rates}
        assert all(left.values()), f"a backlog ran out: {left}"
    finally:
        for daemon in daemons:
            daemon.cleanup()
        for watch in watches:
            watch.stop()
        far.stop()
    begun, arrived = beginnings(watches, texts), far.arrivals()
    print(f"limits over three nodes, {seconds} s under backlog, {settle} s after the third had come:", flush=True)
    for name, (rate, burst) in rates.items():
        judge(f"{name} {rate}/s", of(begun, name), of(arrived, name), rate, burst, until, begin - min(of(begun, name)) + settle, 90)
    way(begun, arrived)
    shares = [len(watch.marks()) for watch in watches]
    print(f"  jobs of each node {shares}; {asked:.1f} statements/s of all three for 100 jobs/s", flush=True)
