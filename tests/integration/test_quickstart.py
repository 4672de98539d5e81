"""contrib/quickstart.sh itself, with the programs that the run has built: all delivered, shown, and nothing left."""
import os
import re
import subprocess

from harness import procs
from harness.paths import BUILD, SOURCE
from harness.wait import wait_until

SCRIPT = os.path.join(SOURCE, "contrib/quickstart.sh")
PROGRAMS = os.environ.get("JOBQ_PLAIN", BUILD)


def run(*args):
    return subprocess.run(["sh", SCRIPT, *args], capture_output=True, text=True, timeout=180, env={**os.environ, "JOBQ_BUILD": PROGRAMS})


def test_all_delivered():
    """Exit 0 with every message on the network, and its directory and processes gone."""
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    directory = re.search(r"/tmp/jq\.\w+", done.stdout).group(0)
    assert "300 messages, each once" in done.stdout and "QUEUE" in done.stdout
    assert not os.path.exists(directory)
    wait_until(lambda: not procs.find(directory), "its processes to be gone")


def test_keep_and_stop():
    """--keep leaves it running and says how to use and stop it; what it says works."""
    done = run("--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    directory = re.search(r"/tmp/jq\.\w+", done.stdout).group(0)
    try:
        assert procs.find(directory)
        sent = subprocess.run([os.path.join(PROGRAMS, "jobqctl"), "enqueue", "sms", '{"to": "+358401234567", "text": "one more"}'],
                              capture_output=True, text=True, timeout=20, env={"JOBQ_SOCKET": f"{directory}/run/jobqd.sock"})
        assert sent.returncode == 0, sent.stderr
        with open(f"{directory}/kannel/phone.log", encoding="utf-8", errors="replace") as f:
            wait_until(lambda: (f.seek(0), "one more" in f.read())[1], "the message on the network")
        stop = re.search(r"sh (\S+/stop)", done.stdout).group(1)
        assert subprocess.run(["sh", stop], timeout=60).returncode == 0
        assert not os.path.exists(directory)
        wait_until(lambda: not procs.find(directory), "its processes to be gone")
    finally:
        procs.kill_all(directory)
