"""Processes as /proc shows them: whose they are, what state they are in, and none of them left behind.

The test run makes itself the subreaper of everything it starts, so orphans of a killed master become its children;
a thread reaps those at once, as an init would (a zombie would look like a living owner of a pid file).
Processes are ended by pid only, and only those that carry the directory of this run in their command line, working
directory, executable or environment.
"""
import ctypes
import os
import signal
import subprocess
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
_ours = {}  # pid -> Popen of what spawn() started: reaped by its owner only
_lock = threading.Lock()


def stat(pid):
    """(state, ppid, session, start time) or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1]), int(fields[3]), int(fields[19])


def alive(pid):
    seen = stat(pid)
    return seen is not None and seen[0] not in "ZX"


def spawn(argv, **kwargs):
    """A long-lived process in a session of its own; its owner waits for it (Popen.wait)."""
    with _lock:
        process = subprocess.Popen(argv, start_new_session=True, stdin=subprocess.DEVNULL, **kwargs)
        _ours[process.pid] = process
    return process


def end(process, sig=signal.SIGTERM, timeout=30):
    """Ends what spawn() started and reaps it; kill -9 when it does not go. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout)
    return process.returncode


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _mentions(pid, needle):
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as f:
                if needle in f.read():
                    return True
        except OSError:
            pass
    for name in ("cwd", "exe"):
        try:
            if needle in os.fsencode(os.readlink(f"/proc/{pid}/{name}")):
                return True
        except OSError:
            pass
    return False


def find(directory):
    """Living processes, not this one nor its ancestors, that hold the directory in command line, cwd, program or environment."""
    needle, mine, pid = os.fsencode(directory), set(), os.getpid()
    while pid > 1:
        mine.add(pid)
        pid = stat(pid)[1]
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [p for p in pids if p not in mine and alive(p) and _mentions(p, needle)]


def kill_all(directory):
    """kill -9 for everything of find(directory), until nothing is left. Returns the pids it met."""
    met = set()
    while found := find(directory):
        for pid in found:
            met.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.02)
    return met


def describe(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f"{pid} {f.read().replace(bytes(1), b' ').decode(errors='replace').strip()}"
    except OSError:
        return f"{pid} (gone)"


def _children():
    me = os.getpid()
    for task in os.listdir(f"/proc/{me}/task"):
        try:
            with open(f"/proc/{me}/task/{task}/children", encoding="ascii") as f:
                yield from (int(word) for word in f.read().split())
        except OSError:
            pass


def _reap_orphans():
    session = os.getsid(0)
    for pid in _children():
        seen = stat(pid)
        if seen and seen[0] == "Z" and seen[2] != session:
            with _lock:
                if pid in _ours:
                    continue
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def become_reaper():
    """Once a run: orphans come to us, and are reaped in the background."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")

    def loop():
        while True:
            _reap_orphans()
            time.sleep(0.05)

    threading.Thread(target=loop, daemon=True, name="reaper").start()
