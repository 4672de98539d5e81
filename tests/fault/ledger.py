"""The producers' side of the truth: writer processes, and what their ledgers say together."""
import json
import os
import sys

from harness import procs
from harness.jsonlines import whole_lines
from harness.paths import SOURCE

SCRIPT = os.path.join(SOURCE, "tests/fault/writer.py")


class Ledger:
    def __init__(self, directory):
        self.dir, self.writers = directory, []
        os.makedirs(directory, exist_ok=True)

    def start(self, dsn, writers=1, **spec):
        """Starts writer processes; they end when they have written their count."""
        for _ in range(writers):
            name = f"w{len(self.writers)}"
            path = os.path.join(self.dir, name)
            with open(path + ".err", "ab") as err:
                self.writers.append(procs.spawn([sys.executable, SCRIPT, path + ".ledger", dsn, name, json.dumps(spec)], stdout=err, stderr=err))
        return self

    def busy(self):
        return any(w.poll() is None for w in self.writers)

    def wait(self, timeout=120):
        for writer in self.writers:
            code = writer.wait(timeout)
            assert code == 0, f"a writer ended with {code}, see {self.dir}"

    def stop(self):
        for writer in self.writers:
            procs.end(writer)

    def read(self):
        """{key: {"state": commit|rollback|unknown|intent, "id": ..., "to": ..., ...}}; intent alone: the writer was killed."""
        jobs = {}
        for name in sorted(os.listdir(self.dir)):
            if not name.endswith(".ledger"):
                continue
            for line in whole_lines(os.path.join(self.dir, name)):
                self._line(jobs, line)
        return jobs

    @staticmethod
    def _line(jobs, line):
        for state in ("intent", "commit", "rollback", "unknown"):
            if state in line:
                job = jobs.setdefault(line[state], {})
                job.update(line, state=state)
                return

    def committed(self):
        return {key: job for key, job in self.read().items() if job["state"] == "commit"}
