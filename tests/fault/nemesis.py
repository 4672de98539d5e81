"""What goes wrong, when, and to whom: drawn from a seed that is printed, so that a run can be drawn again (JOBQ_SEED=N).

A Nemesis has named actions (functions without arguments); run() does one after another with pauses between, until told to stop, and keeps
what it did for the failure's text. Each action must undo itself (a stopped process is continued) before it returns.
"""
import os
import random
import signal
import threading
import time

from harness import procs


class Nemesis:
    def __init__(self, actions, pause=(0.3, 1.5)):
        self.seed = int(os.environ.get("JOBQ_SEED") or random.randrange(1 << 30))
        self.random = random.Random(self.seed)
        self.actions, self.pause = dict(actions), pause
        self.history = []
        self._stop = threading.Event()
        self._thread = None
        self.error = None
        print(f"nemesis seed {self.seed} (replay: JOBQ_SEED={self.seed})")

    def start(self):
        self._thread = threading.Thread(target=self._run, daemon=True, name="nemesis")
        self._thread.start()
        return self

    def _run(self):
        while not self._stop.wait(self.random.uniform(*self.pause)):
            name = self.random.choice(sorted(self.actions))
            self.history.append((round(time.monotonic(), 2), name))
            try:
                self.actions[name]()
            except Exception as error:  # what an action cannot do is the test's failure, not the thread's
                self.error = f"{name}: {type(error).__name__}: {error}"
                return

    def stop(self):
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), f"the nemesis hangs in {self.history[-1:]}"
        assert self.error is None, f"seed {self.seed}: {self.error}"
        return len(self.history)

    def __str__(self):
        return f"seed {self.seed}: {self.history}"


def kill_one(daemon, role, chooser=random):
    """kill -9 of one process of a role; False when there is none at the moment."""
    pids = [p for p in daemon.pids(role) if procs.alive(p)]
    if not pids:
        return False
    os.kill(chooser.choice(pids), signal.SIGKILL)
    return True


def freeze_one(daemon, role, seconds, chooser=random):
    """SIGSTOP for a while, then SIGCONT."""
    pids = [p for p in daemon.pids(role) if procs.alive(p)]
    if not pids:
        return False
    pid = chooser.choice(pids)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    return True
