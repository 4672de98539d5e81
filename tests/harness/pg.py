"""A private PostgreSQL 15 below the run's directory: unix socket only, fsync off for speed (the machine does not crash here, PostgreSQL may).

Owns its data directory and its postmaster, which is a child of the test run. The databases in it come from database.py.
"""
import os
import signal
import subprocess

import psycopg2

from harness import procs
from harness.wait import wait_until

BIN = os.environ.get("PG_BINDIR", "/usr/lib/postgresql/15/bin")
FAST = {"fsync": "off", "full_page_writes": "off"}  # not synchronous_commit: a crash of PostgreSQL must lose no commit
ALWAYS = {
    "listen_addresses": "''", "unix_socket_permissions": "0700", "max_connections": "200", "shared_buffers": "'128MB'",
    "max_wal_size": "'1GB'", "autovacuum_naptime": "'5s'", "log_line_prefix": "'%m [%p] %a '", "log_lock_waits": "on",
    "log_min_error_statement": "error", "lc_messages": "'C'", "jit": "off",
}


def signal_one(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:  # a backend that has just left
        pass


class PgServer:
    def __init__(self, directory, port=5432, **settings):
        self.dir, self.port = directory, port
        self.data = os.path.join(directory, "data")
        self.log = os.path.join(directory, "postgres.log")
        self.process = None
        self.settings = {**ALWAYS, **FAST, **settings}
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def create(self):
        subprocess.run([f"{BIN}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
                       check=True, stdout=subprocess.DEVNULL, timeout=120)
        with open(os.path.join(self.data, "postgresql.auto.conf"), "a", encoding="utf-8") as f:
            f.writelines(f"{key} = {value}\n" for key, value in self.settings.items())
            f.write(f"unix_socket_directories = '{self.dir}'\nport = {self.port}\n")
        return self

    def start(self):
        with open(self.log, "ab") as log:
            self.process = procs.spawn([f"{BIN}/postgres", "-D", self.data], stdout=log, stderr=log)
        wait_until(self.answers, "PostgreSQL to accept connections", 60)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"postgres ended with {self.process.returncode}, see {self.log}")
        with self.connect():
            return True

    def stop(self, mode="fast"):
        """fast: INT, connections are ended; immediate: QUIT, as if the power went; smart: TERM."""
        if self.process:
            sig = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "smart": signal.SIGTERM}[mode]
            procs.end(self.process, sig, 60)
            self.process = None

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def family(self):
        """The postmaster and its children, backends included."""
        pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
        return [self.process.pid] + [p for p in pids if (s := procs.stat(p)) and s[1] == self.process.pid and s[0] != "Z"]

    def freeze(self):
        for pid in self.family():  # the postmaster first: no new backends
            signal_one(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in reversed(self.family()):
            signal_one(pid, signal.SIGCONT)

    def dsn(self, dbname="postgres", user="postgres", host=None):
        return f"host={host or self.dir} port={self.port} dbname={dbname} user={user}"

    def connect(self, dbname="postgres", user="postgres", autocommit=True, **kwargs):
        connection = psycopg2.connect(self.dsn(dbname, user), connect_timeout=10, **kwargs)
        connection.autocommit = autocommit
        return connection

    def sql(self, query, values=None, dbname="postgres"):
        connection = self.connect(dbname)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, values)
                return cursor.fetchall() if cursor.description else cursor.rowcount
        finally:
            connection.close()

    def terminate(self, dbname, like="%"):
        """Ends the backends of a database whose application_name matches. Returns how many."""
        rows = self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE %s"
                        " AND pid <> pg_backend_pid()", (dbname, like))
        return len(rows)
