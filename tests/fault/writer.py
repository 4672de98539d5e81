"""A producer process: enqueues jobs with plain SQL, and keeps a ledger of what it was told.

Run as: writer.py LEDGER DSN NAME SPEC (SPEC: JSON, see Writer). For each job one line before the statement ({"intent": key, ...}), and
one after: commit (with the id), rollback (it meant to), or unknown (the connection died between COMMIT and its answer). A ledger line
is in the kernel before the next step, so killing the writer loses nothing of it. Ends by itself, or on TERM after the job at hand.
"""
import json
import os
import random
import signal
import sys
import time

import psycopg2


class Writer:
    """SPEC: count; rate (a second, 0 = as fast as it goes); tenants; numbers (list of numbers to send to, or null for plain ones); queue;
    priorities; rollback (share of jobs that are rolled back); seed; many (jobs a transaction); args (of jobq.enqueue)."""

    def __init__(self, path, dsn, name, spec):
        self.ledger = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.dsn, self.name, self.spec = dsn, name, spec
        self.random = random.Random(f"{spec.get('seed', 0)}/{name}")
        self.connection = None
        self.stopped = False

    def note(self, **line):
        os.write(self.ledger, (json.dumps(line) + "\n").encode())

    def connect(self):
        while self.connection is None and not self.stopped:
            try:
                self.connection = psycopg2.connect(self.dsn, connect_timeout=3)
            except psycopg2.Error:
                time.sleep(0.1)
        return self.connection

    def lost(self):
        try:
            self.connection.close()
        except psycopg2.Error:
            pass
        self.connection = None

    def jobs(self, first, count):
        spec = self.spec
        for n in range(first, first + count):
            numbers = spec.get("numbers")
            yield {"key": f"{self.name}-{n}", "tenant": f"t{self.random.randrange(spec.get('tenants', 1))}",
                   "priority": self.random.choice(spec.get("priorities", ["normal"])),
                   "to": self.random.choice(numbers) if numbers else f"+3584{n % 10**8:08d}"}

    def transaction(self, jobs):
        """True when the jobs need not be tried again."""
        spec = self.spec
        rollback = self.random.random() < spec.get("rollback", 0)
        for job in jobs:
            self.note(intent=job["key"], **job)
        if self.connect() is None:
            return
        try:
            ids = [self.insert(job) for job in jobs]
            if rollback:
                self.connection.rollback()
        except psycopg2.Error:
            self.lost()
            for job in jobs:
                self.note(rollback=job["key"])
            return
        if rollback:
            for job in jobs:
                self.note(rollback=job["key"])
            return
        try:
            self.connection.commit()
        except psycopg2.Error:
            self.lost()
            for job, job_id in zip(jobs, ids):
                self.note(unknown=job["key"], id=job_id)
            return
        for job, job_id in zip(jobs, ids):
            self.note(commit=job["key"], id=job_id, at=time.time())

    def insert(self, job):
        extra = self.spec.get("args", {})
        names = "".join(f", {name} => %s" for name in extra)
        payload = json.dumps({"to": job["to"], "text": job["key"]})
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT jobq.enqueue(%s, %s, tenant_id => %s, priority => %s{names})",
                           [self.spec.get("queue", "sms"), payload, job["tenant"], job["priority"], *extra.values()])
            return cursor.fetchone()[0]

    def run(self):
        spec, many = self.spec, self.spec.get("many", 1)
        begin, n = time.monotonic(), 0
        while n < spec["count"] and not self.stopped:
            self.transaction(list(self.jobs(n, min(many, spec["count"] - n))))
            n += many
            if spec.get("rate"):
                time.sleep(max(0.0, begin + n / spec["rate"] - time.monotonic()))


def main():
    writer = Writer(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))

    def stop(_signal, _frame):
        writer.stopped = True

    signal.signal(signal.SIGTERM, stop)
    writer.run()


if __name__ == "__main__":
    main()
