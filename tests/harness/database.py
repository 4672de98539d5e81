"""One database of the session's PostgreSQL for one test, migrated by `jobqctl migrate`, dropped afterwards.

Gives connections as any role and small helpers to enqueue and look. Tests look at tables only from here: as a user of the
database would, with plain SQL.
"""
import json
import subprocess

import psycopg2.extras

from harness.paths import JOBQCTL
from harness.wait import wait_until

ROLES = ("jobq_owner", "jobq_worker", "jobq_producer", "jobq_reader")
TERMINAL = ("completed", "failed", "cancelled", "held")


class Database:
    def __init__(self, server, name):
        self.server, self.name = server, name
        self._admin = None

    def create(self):
        self.server.sql(f'CREATE DATABASE "{self.name}" STRATEGY file_copy')
        self.migrate()
        return self

    def migrate(self):
        done = subprocess.run([JOBQCTL, "migrate", "--database", self.dsn("postgres"), "--roles", "create"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"jobqctl migrate: {done.returncode}\n{done.stdout}{done.stderr}"
        for role in ROLES:  # made as groups, for an administrator to grant; here they are users themselves
            self.server.sql(f"ALTER ROLE {role} LOGIN")

    def drop(self):
        self.close()
        self.server.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def dsn(self, user="jobq_worker", host=None):
        return self.server.dsn(self.name, user, host)

    def connect(self, user="jobq_producer", autocommit=True, **kwargs):
        return self.server.connect(self.name, user, autocommit, **kwargs)

    def close(self):
        if self._admin:
            self._admin.close()
            self._admin = None

    def sql(self, query, values=None):
        """Rows as tuples, or the row count; as the superuser, on one connection that comes back after a restart."""
        for attempt in (1, 2):
            if self._admin is None or self._admin.closed:
                self._admin = self.server.connect(self.name)
            try:
                with self._admin.cursor() as cursor:
                    cursor.execute(query, values)
                    return cursor.fetchall() if cursor.description else cursor.rowcount
            except psycopg2.OperationalError:
                self.close()
                if attempt == 2:
                    raise

    def one(self, query, values=None):
        rows = self.sql(query, values)
        return rows[0][0] if rows else None

    def enqueue(self, queue, payload=None, **args):
        """jobq.enqueue as the producer role; keyword arguments are its argument names."""
        names = "".join(f", {name} => %s" for name in args)
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT jobq.enqueue(%s, %s{names})", [queue, json.dumps({} if payload is None else payload), *args.values()])
                return cursor.fetchone()[0]
        finally:
            connection.close()

    def enqueue_many(self, jobs):
        """A list of dicts in one statement; returns the ids in order."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT id FROM jobq.enqueue_many(%s) ORDER BY n", [json.dumps(jobs)])
                return [row[0] for row in cursor.fetchall()]
        finally:
            connection.close()

    def job(self, job_id):
        """The row as a dict, or None (never there, or deleted at once on completion)."""
        if self._admin is None or self._admin.closed:
            self.sql("SELECT 1")
        with self._admin.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("SELECT * FROM jobq.jobs WHERE id = %s", [job_id])
            return cursor.fetchone()

    def statuses(self, queue=None):
        """{status: count} of all rows, history included."""
        return dict(self.sql("SELECT status, count(*)::int FROM jobq.jobs WHERE queue = coalesce(%s, queue) GROUP BY 1", [queue]))

    def unfinished(self, queue=None):
        return self.one("SELECT count(*) FROM jobq.jobs WHERE queue = coalesce(%s, queue) AND status <> ALL(%s)", [queue, list(TERMINAL)])

    def settle(self, queue=None, timeout=60):
        """Waits until no job of the queue is unfinished."""
        wait_until(lambda: self.unfinished(queue) == 0, f"all jobs of {queue or 'every queue'} to end", timeout, 0.05)

    def wait_job(self, job_id, status, timeout=30):
        """Waits for a job's status; returns its row."""
        def look():
            row = self.job(job_id)
            seen.append(row and (row["status"], row["error_message"], row["retry_count"]))
            return row if row and row["status"] == status else None
        seen = []
        try:
            return wait_until(look, f"job {job_id} to be {status}", timeout, 0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen[-1]}") from None
