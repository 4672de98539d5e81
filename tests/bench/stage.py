"""The bench's stage: a PostgreSQL with fsync on, a fresh database, jobqd, the reference programs, and how their figures are put together."""
import json
import os
import platform
import re
import statistics
import subprocess

from harness import procs
from harness.daemon import Daemon
from harness.database import Database
from harness.pg import PgServer
from harness.wait import wait_until

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "'512MB'", "max_wal_size": "'8GB'",
           "checkpoint_timeout": "'30min'", "shared_preload_libraries": "pg_stat_statements", "track_io_timing": "off"}
PAYLOAD = {"filler": "x" * 134}
PAIRS = int(os.environ.get("BENCH_PAIRS", "5"))


class Stage:
    def __init__(self, build, quick):
        self.build, self.quick = build, quick
        self.dir = os.environ["JOBQ_TEST_DIR"]
        procs.become_reaper()
        self.server = PgServer(os.path.join(self.dir, "pg"), **DURABLE).create().start()
        self.db = Database(self.server, "bench").create()
        self.db.sql("CREATE EXTENSION pg_stat_statements")
        self.daemons = 0

    def close(self):
        self.db.close()
        self.server.stop("immediate")

    def conditions(self):
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            models = re.findall(r"model name\s*: (.*)", f.read())
        version = self.server.sql("SHOW server_version")[0][0]
        with open("/proc/meminfo", encoding="utf-8") as f:
            memory = int(re.search(r"MemTotal:\s+(\d+)", f.read()).group(1)) / 2**20
        print(f"conditions: {len(models)} x {models[0] if models else '?'}, {memory:.0f} GB, Linux {platform.release()}, PostgreSQL {version}, fsync on,"
              f" shared_buffers 512MB, client and server on this machine, payload {len(json.dumps(PAYLOAD))} bytes, commit {self.commit_ms():.2f} ms"
              + (" [QUICK: figures mean nothing]" if self.quick else ""), flush=True)

    def commit_ms(self):
        """The time of one small durable transaction: the floor under every latency here."""
        import time
        self.db.sql("CREATE TABLE IF NOT EXISTS public.floor (n int)")
        times = []
        for n in range(200):
            begin = time.monotonic()
            self.db.sql("INSERT INTO public.floor VALUES (%s)", [n])
            times.append(time.monotonic() - begin)
        return statistics.median(times) * 1000

    def program(self, name):
        return os.path.join(self.build, "bench_" + name)

    def reference(self, name, *args):
        """Runs a reference program to its end; its JSON line."""
        done = subprocess.run([self.program(name), *map(str, args)], capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr}")
        return json.loads(done.stdout)

    def daemon(self, queues, **jobqd):
        self.daemons += 1
        return Daemon(os.path.join(self.dir, f"n{self.daemons}"), self.db.dsn(), queues, **{"poll_max": "5s", "log_level": "warn", **jobqd})

    def preload(self, jobs, tenants=20):
        """The same state before every run: an empty table, freshly loaded and analysed, nothing left for autovacuum or a checkpoint."""
        self.db.sql("TRUNCATE jobq.jobs, jobq.claims, jobq.cancels, jobq.queue_minutes")
        self.db.sql("INSERT INTO jobq.jobs_live (queue, tenant_id, payload) SELECT 'null', 't' || n %% %s, %s FROM generate_series(1, %s) n",
                    [tenants, json.dumps(PAYLOAD), jobs])
        self.settle_table()

    def settle_table(self):
        """After a load into the leaf itself, which wakes nobody."""
        self.db.sql("SELECT pg_notify('jobq_wake', '')")
        self.db.sql("VACUUM (ANALYZE) jobq.jobs_live")
        self.db.sql("CHECKPOINT")


def median_of(ratios):
    return f"{statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, {len(ratios)} pairs)"


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def cpu_of(daemon):
    """CPU seconds of all its living processes."""
    return sum(procs.cpu_seconds(pid) for pid in daemon.family())


def cpu_of_server(stage):
    """CPU seconds of PostgreSQL's processes, by pid: they come and go."""
    spent = {}
    for pid in stage.server.family():
        try:
            spent[pid] = procs.cpu_seconds(pid)
        except FileNotFoundError:  # an autovacuum worker that has just left
            pass
    return spent


def pss_mb(daemon):
    """Memory of all its processes together, shared pages counted once."""
    total = 0
    for pid in daemon.family():
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
            total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
    return total / 1024


def quiet(stage):
    """Waits until nothing of the server is busy with what was before (autovacuum, a checkpoint)."""
    wait_until(lambda: not stage.server.sql("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"), "autovacuum to be done", 300)


def pairs(stage):
    return 1 if stage.quick else PAIRS


def lines_of(path):
    with open(path, encoding="ascii") as f:
        return [line.split() for line in f]


def statements(stage):
    """Statements that the daemon's role has had executed in the bench's database."""
    return float(stage.db.one("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
                        " WHERE r.rolname = 'jobq_worker' AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"))
