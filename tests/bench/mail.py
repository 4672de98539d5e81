"""Mail: jobqd's email handler beside postfix's smtp-source, both to postfix's smtp-sink.

Of postfix only these two programs are used: it is neither configured nor started. They are looked for where the package puts them, or in
POSTFIX_DIR, into which `dpkg -x postfix_*.deb` has unpacked it.
"""
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import threading
import time

from harness import procs
from harness.wait import wait_until
from stage import PAIRS, cpu_of, cpu_of_server, median_of, quiet

LENGTH = 1000  # bytes of a message


def program(name):
    root = os.environ.get("POSTFIX_DIR", "")
    places = os.pathsep.join([os.path.join(root or "/", d) for d in ("usr/sbin", "usr/lib/postfix/sbin")] + [os.environ.get("PATH", "")])
    path = shutil.which(name, path=places)
    if path is None:
        raise SystemExit(f"mail: there is no {name}: install the package postfix, or unpack it and set POSTFIX_DIR")
    return path, {**os.environ, "LD_LIBRARY_PATH": os.path.join(root, "usr/lib/postfix")} if root else dict(os.environ)


class Sink:
    """One for a run; takes everything and keeps nothing. -p: it does not announce PIPELINING, which smtp-source makes no use of."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        path, env = program("smtp-sink")
        self.process = procs.spawn([path, *self.options, f"127.0.0.1:{self.port}", "100"], env=env)
        wait_until(self.listens, "smtp-sink to listen")
        return self

    def listens(self):
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def __exit__(self, *_):
        procs.end(self.process)


class Far:
    """The way to a sink that is some milliseconds off, each way: a thread that passes bytes on."""

    def __init__(self, sink, ms):
        self.process, self.target, self.seconds, self.port = sink.process, sink.port, ms / 1000, 0
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        listens = threading.Event()
        threading.Thread(target=self.run, args=(listens,), daemon=True).start()
        listens.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)

    def run(self, listens):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        listens.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self.carry(reader, back), self.carry(there, writer))

    async def carry(self, reader, writer):
        while data := await reader.read(65536):
            self.loop.call_later(self.seconds, writer.write, data)
        self.loop.call_later(self.seconds, writer.close)


def source(sink, messages, sessions):
    """Messages a second of smtp-source, which keeps each of its sessions for all of its messages."""
    path, env = program("smtp-source")
    begin = time.monotonic()
    subprocess.run([path, "-d", "-s", str(sessions), "-m", str(messages), "-l", str(LENGTH), "-f", "shop@example.com", "-t", "a@example.com",
                    f"127.0.0.1:{sink.port}"], check=True, env=env, timeout=300)
    return messages / (time.monotonic() - begin)


def load(stage, messages):
    stage.db.sql("TRUNCATE jobq.jobs, jobq.claims, jobq.cancels, jobq.queue_minutes")
    stage.db.sql("INSERT INTO jobq.jobs_live (queue, tenant_id, payload) SELECT 'email', 't' || n %% 20, jsonb_build_object('to', 'a@example.com',"
                 " 'subject', 'Order ' || n, 'text', repeat(repeat('x', 63) || E'\\n', 11)) FROM generate_series(1, %s) n", [messages])
    stage.settle_table()


def costs(stage, daemon, sink):
    """CPU seconds so far: of jobq, of PostgreSQL, of the sink."""
    return cpu_of(daemon), sum(cpu_of_server(stage).values()), procs.cpu_seconds(sink.process.pid)


def ours(stage, daemon, sink, messages):
    """From the first claim to the last completion, by the rows: messages a second, and what a message costs (see costs), in us."""
    load(stage, messages)
    quiet(stage)
    before, done = costs(stage, daemon, sink), daemon.queue_status("email")["completed"]
    daemon.ctl("resume", "email")
    while daemon.queue_status("email")["completed"] < done + messages:
        assert daemon.alive(), daemon.tail()
        time.sleep(0.5)  # looking takes processor time too
    spent = [now - then for now, then in zip(costs(stage, daemon, sink), before)]
    daemon.ctl("pause", "email")
    wait_until(lambda: daemon.queue_status("email")["state"] == "paused", "the pause")
    assert stage.db.one("SELECT count(*) FROM jobq.jobs WHERE status <> 'completed'") == 0
    seconds = float(stage.db.one("SELECT extract(epoch FROM max(completed_at) - min(started_at)) FROM jobq.jobs"))
    return messages / seconds, [cpu / messages * 1e6 for cpu in spent]


def cost_line(rounds):
    jobq, postgres, sink = (statistics.median(c) for c in zip(*rounds))
    return f"CPU a message: jobq {jobq:.0f} us, PostgreSQL {postgres:.0f}, smtp-sink {sink:.0f}"


def start(stage, sink, workers, connections):
    daemon = stage.daemon({"email": {"workers": workers, "max_connections": connections, "smtp_url": f"smtp://127.0.0.1:{sink.port}",
                                     "from": "shop@example.com", "batch_adaptive": "off"}}, count_max_age="10min").start()
    daemon.ctl("pause", "email")
    wait_until(lambda: daemon.queue_status("email")["state"] == "paused", "the pause")
    return daemon


LAYOUTS = ((1, 1), (5, 1), (1, 5))  # workers, and connections of each


def compare(stage, sink, messages, rounds, where):
    """smtp-source over one connection, jobqd over one and over five, one after another, several times."""
    theirs, rates, cpus = [], {layout: [] for layout in LAYOUTS}, {layout: [] for layout in LAYOUTS}
    for _ in range(rounds):
        theirs.append(source(sink, messages, 1))
        for layout in LAYOUTS:
            daemon = start(stage, sink, *layout)
            try:
                rate, cpu = ours(stage, daemon, sink, messages)
            finally:
                daemon.cleanup()
            rates[layout].append(rate)
            cpus[layout].append(cpu)
        one, spread, alone = (rates[layout][-1] for layout in LAYOUTS)
        print(f"    {where}: smtp-source {theirs[-1]:,.0f}/s, jobqd over one connection {one:,.0f}/s, over five of five workers {spread:,.0f}/s,"
              f" over five of one worker {alone:,.0f}/s", flush=True)
    one, spread, alone = (rates[layout] for layout in LAYOUTS)
    print(f"mail, {messages:,} messages of {LENGTH} bytes, {where}: jobqd over one connection {statistics.median(one):,.0f}/s, smtp-source over one"
          f" {statistics.median(theirs):,.0f}/s: {median_of([a / b for a, b in zip(one, theirs)])}; target >= 0.6; {cost_line(cpus[1, 1])}", flush=True)
    for words, five, cpu in (("one each of five workers", spread, cpus[5, 1]), ("of one worker", alone, cpus[1, 5])):
        print(f"    over five, {words}, {statistics.median(five):,.0f}/s, against one {median_of([a / b for a, b in zip(five, one)])}; target >= 2.5;"
              f" {cost_line(cpu)}", flush=True)


def mail(stage):
    rounds = 1 if stage.quick else max(3, PAIRS)
    with Sink() as sink:
        compare(stage, sink, 2_000 if stage.quick else 40_000, rounds, "smtp-sink on this machine")
        with Far(sink, 2) as far:
            compare(stage, far, 100 if stage.quick else 500, rounds, "smtp-sink 2 ms away")
    with Sink("-p") as sink:
        compare(stage, sink, 2_000 if stage.quick else 40_000, rounds, "smtp-sink on this machine without PIPELINING")
