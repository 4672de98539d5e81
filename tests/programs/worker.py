#!/usr/bin/python3
"""worker.py LEDGER [option...]: a program for exec queues that does what each job's payload says, and notes what it does in LEDGER.

Payload: {"do": [step, ...]}, nothing: done with the job's own line as result. Steps are lists, a word and its arguments:
  ["say", text]  a raw line    ["sleep", s]    ["answer", {...}] the outcome, id added    ["exit", code]    ["kill", signal] itself
  ["progress", percent, note]   ["stderr", text, times]   ["flood", "stdout" | "stderr", bytes, line]   ["close", fd]
  ["fork", s, "pipes" | ""]   a child that sleeps, with or without our pipes; its pid goes to the ledger    ["wait-cancel", s]
  ["spin"] until the CPU limit   ["memory", bytes]   ["open", n]   ["look"] answers with environment, descriptors, limits and ids
Options: ignore-term; hold=N: reads N jobs before it answers the first, and answers in reverse; linger=S: stays that long after the end of input.
"""
import json
import os
import resource
import signal
import sys
import time

LEDGER = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
OPTIONS = dict(o.partition("=")[::2] for o in sys.argv[2:])
SEEN = []  # lines read while a job was waiting for its cancellation


def note(event, **more):
    os.write(LEDGER, (json.dumps({"event": event, "pid": os.getpid(), "t": time.monotonic(), **more}) + "\n").encode())


def say(line):
    os.write(1, line.encode() + b"\n")


def answer(job, fields):
    note("answer", id=job["id"])
    say(json.dumps({"id": job["id"], **fields}))


def fork(seconds, pipes):
    if os.fork() == 0:
        if pipes != "pipes":
            for fd in (0, 1, 2):
                os.close(fd)
        note("child", of=os.getppid())
        time.sleep(seconds)
        os._exit(0)


def look():
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_NPROC")}
    fds = [fd for fd in range(0, 300) if os.path.exists(f"/proc/self/fd/{fd}") and fd != LEDGER]
    with open("/proc/self/status", encoding="ascii") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    return {"env": dict(os.environ), "fds": fds, "limits": limits, "argv": sys.argv, "cwd": os.getcwd(), "pid": os.getpid(), "ppid": os.getppid(),
            "pgid": os.getpgid(0), "sid": os.getsid(0), "blocked": status["SigBlk"], "ignored": status["SigIgn"]}


def wait_cancel(job, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        line = sys.stdin.readline()
        if not line:
            return
        read = json.loads(line)
        if read.get("cancel") == job["id"]:
            note("cancel", id=job["id"])
            return
        SEEN.append(line)


def flood(where, count, line):
    fd, chunk = {"stdout": 1, "stderr": 2}[where], (line + "\n").encode() if line else b"x" * 4096
    while count > 0:
        count -= os.write(fd, chunk)


def run(job):
    """False: no outcome is to be given."""
    for word, *args in job["payload"]["do"]:
        if word == "say":
            say(args[0])
        elif word == "sleep":
            time.sleep(args[0])
        elif word == "answer":
            answer(job, args[0])
            return
        elif word == "exit":
            os._exit(args[0])
        elif word == "kill":
            os.kill(os.getpid(), args[0])
        elif word == "progress":
            say(json.dumps({"id": job["id"], "progress": args[0], "note": args[1]}))
        elif word == "stderr":
            for _ in range(args[1]):
                os.write(2, args[0].encode() + b"\n")
        elif word == "flood":
            flood(*args)
        elif word == "close":
            os.close(args[0])
        elif word == "fork":
            fork(*args)
        elif word == "wait-cancel":
            wait_cancel(job, args[0])
        elif word == "spin":
            while True:
                pass
        elif word == "memory":
            answer(job, {"outcome": "done", "result": {"got": len(bytearray(args[0]))}})
            return
        elif word == "open":
            kept = [open("/dev/null", "rb") for _ in range(args[0])]
            answer(job, {"outcome": "done", "result": {"open": len(kept)}})
            return
        elif word == "look":
            answer(job, {"outcome": "done", "result": look()})
            return
        else:
            raise ValueError(f"no step {word}")


def handle(line):
    job = json.loads(line)
    if "cancel" in job:
        note("cancel", id=job["cancel"])
        return
    note("job", id=job["id"], key=job["idempotency_key"], attempt=job["attempt"], tenant=job["tenant_id"])
    if "do" in job["payload"]:
        run(job)
    else:
        answer(job, {"outcome": "done", "result": job})


def lines():
    while True:
        line = SEEN.pop(0) if SEEN else sys.stdin.readline()
        if not line:
            return
        yield line


def main():
    if "ignore-term" in OPTIONS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("start")
    held = []
    for line in lines():
        if "hold" in OPTIONS:
            held.append(line)
            if len(held) == int(OPTIONS["hold"]):
                while held:
                    handle(held.pop())
        else:
            handle(line)
    note("end")
    time.sleep(float(OPTIONS.get("linger", 0)))


main()
