"""jobqd as an administrator runs it: a config file, the program in the foreground, jobqctl for everything else.

A Daemon owns its directory (config, run and state directories, log) and every process below it; cleanup() ends them all, even the
embedded PostgreSQL that has a session of its own, and says what was left: a clean stop leaves nothing.
"""
import glob
import json
import os
import re
import signal
import subprocess

from harness import procs
from harness.paths import JOBQCTL, JOBQD
from harness.wait import wait_until


def render(sections):
    """{"jobqd": {key: value}, "queue sms": {...}} as an ini file; a list value gives the key once for each element."""
    lines = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        for key, value in keys.items():
            lines += [f"{key} = {v}" for v in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n"


def inode(path):
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


class Daemon:
    def __init__(self, directory, database, queues, **jobqd):
        self.dir = directory
        self.run, self.state = os.path.join(directory, "run"), os.path.join(directory, "state")
        self.config, self.log = os.path.join(directory, "jobqd.conf"), os.path.join(directory, "jobqd.log")
        for path in (directory, self.run, self.state):
            os.makedirs(path, mode=0o700, exist_ok=True)
        self.sections = {
            "jobqd": {"database": database, "state_dir": self.state, "run_dir": self.run, "log": self.log,
                      "log_level": "debug", "node": os.path.basename(directory), "poll_max": "1s", **jobqd},
            **{f"queue {name}": keys for name, keys in queues.items()},
        }
        self.process = None
        self.environment = {**os.environ, "JOBQ_HARNESS_DAEMON": directory}
        self.segments = set()
        self.write()

    # --- configuration

    def write(self, text=None):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(render(self.sections) if text is None else text)

    def queue(self, name, **keys):
        """Changes keys of a queue and writes the file; None takes a key out. Reload is the caller's."""
        section = self.sections.setdefault(f"queue {name}", {})
        section.update(keys)
        for key in [k for k, v in section.items() if v is None]:
            del section[key]
        self.write()

    # --- life

    def start(self, ready=True, fault=None, **environment):
        """fault: JOBQ_FAULT of a build with --enable-faults; it hits once over all processes."""
        env = {**self.environment, **environment}
        if fault:
            env["JOBQ_FAULT"] = fault
            env["JOBQ_FAULT_ONCE"] = os.path.join(self.dir, f"fault.{os.urandom(4).hex()}")
        with open(os.path.join(self.dir, "stderr"), "ab") as err:
            self.process = procs.spawn([JOBQD, "-c", self.config], env=env, stdout=err, stderr=err)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        """Connected, and every queue has the workers that it wants."""
        def ready():
            assert self.process.poll() is None, f"jobqd ended with {self.process.returncode}\n{self.tail()}"
            status = self.status()
            return status["database"]["state"] == "connected" and all(
                q["workers"]["ready"] >= q["workers"]["want"] for q in status["queues"])
        try:
            wait_until(ready, "jobqd to be connected with all workers ready", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None
        self.note_segments()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, *args, timeout=60):
        """`jobqctl stop`; returns the exit code of jobqd and checks that nothing of it is left."""
        self.ctl("stop", *args)
        return self.gone(timeout)

    def signal(self, sig):
        self.process.send_signal(sig)

    def gone(self, timeout=60):
        """Waits for the master's end and that of all its processes; returns its exit code."""
        self.process.wait(timeout)
        wait_until(lambda: not self.family(), f"the processes of {self.dir} to be gone: {[procs.describe(p) for p in self.family()]}", 20)
        return self.process.returncode

    def kill(self):
        """kill -9 of the master; children see their lifeline end. Reaped before this returns."""
        self.process.kill()
        self.process.wait(30)

    def power_off(self):
        """Every process gone at one moment, as when a machine loses its power: they are stopped first, so that none sees another's end and leaves."""
        family = self.family()
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in family:
                os.kill(pid, sig)
        self.process.wait(30)

    def family(self):
        return procs.find(self.dir)

    def cleanup(self):
        self.note_segments()
        if self.alive():
            procs.end(self.process, signal.SIGTERM, 8)
        left = procs.kill_all(self.dir)
        if self.process:
            self.process.wait(30)
        for path in self.segments:
            if os.path.exists(path):
                os.unlink(path)
        return left

    def note_segments(self):
        """The shared-memory segment, by the inode that the kernel shows in the master's maps: for the check that it is gone after a stop."""
        if not self.alive():
            return
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as f:
            inodes = {int(line.split()[4]) for line in f if "/dev/shm/" in line}
        self.segments |= {path for path in glob.glob("/dev/shm/jobq-*") if inode(path) in inodes}

    # --- jobqctl

    def ctl(self, *args, code=0, stdin=None, timeout=60):
        """jobqctl -s SOCKET args; stdout. The exit code must be `code` (None: any; then the CompletedProcess)."""
        done = subprocess.run([JOBQCTL, "-s", os.path.join(self.run, "jobqd.sock"), *map(str, args)], input=stdin,
                              capture_output=True, text=True, timeout=timeout)
        if code is None:
            return done
        assert done.returncode == code, f"jobqctl {' '.join(map(str, args))}: exit {done.returncode}, not {code}\n" \
                                        f"stdout: {done.stdout}\nstderr: {done.stderr}\n{self.tail(10)}"
        return done.stdout

    def json(self, *args, **kwargs):
        return json.loads(self.ctl("--json", *args, **kwargs))

    def status(self):
        return self.json("status")

    def queue_status(self, name):
        return next(q for q in self.status()["queues"] if q["name"] == name)

    def pids(self, role, queue=None):
        return [p["pid"] for p in self.status()["processes"] if p["role"] == role and p["pid"] and (queue is None or p["queue"] == queue)]

    def pid(self, role):
        return wait_until(lambda: self.pids(role), f"a {role} in status")[0]

    def wait_status(self, condition, what, timeout=30):
        """condition(status) until true; returns that status."""
        def look():
            status = self.status()
            return condition(status) and status
        try:
            return wait_until(look, what, timeout, 0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    # --- what it wrote

    def text(self):
        parts = []
        for path in [os.path.join(self.dir, "stderr"), self.log]:
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    parts.append(f.read())
        return "".join(parts)

    def tail(self, lines=40):
        return "\n".join(["--- log of " + self.dir] + self.text().splitlines()[-lines:])

    def sanitizer_reports(self):
        """What address or undefined-behaviour sanitizer said, from stderr and the files of ASAN_OPTIONS=log_path."""
        found = re.findall(r"^==\d+==ERROR: \w+Sanitizer.*?(?:^SUMMARY.*?$|\Z)|^[^\n]*runtime error:[^\n]*$", self.text(), re.M | re.S)
        for path in glob.glob(os.path.join(self.dir, "san.*")):
            with open(path, encoding="utf-8", errors="replace") as f:
                found.append(f.read())
        return found
