"""A real Kannel beside the daemon (contrib/quickstart/kannel.sh), and what the telephone network received from it."""
import os
import re
import signal

from harness import procs
from harness.paths import SOURCE
from harness.wait import wait_until

SCRIPT = os.path.join(SOURCE, "contrib/quickstart/kannel.sh")
GOT = re.compile(r"Got message \d+: <(\S+) (\S+) text (.*)>$", re.M)


class Kannel:
    user, password = "jobq", "k4nnel-secret"

    def __init__(self, directory):
        self.dir, self.process, self.port = directory, None, None
        os.makedirs(directory, exist_ok=True)

    def start(self):
        """On the ports of its last life, if it had one: the gateway's address does not change when it is restarted."""
        argv = ["sh", SCRIPT, self.dir] + ([str(self.port)] if self.port else [])
        with open(os.path.join(self.dir, "script.log"), "ab") as log:
            self.process = procs.spawn(argv, stdout=log, stderr=log, env={
                **os.environ, "KANNEL_USER": self.user, "KANNEL_PASSWORD": self.password})
        wait_until(self._up, "Kannel to start", 120)
        self.port = int(re.search(r":(\d+)/", self.url).group(1)) - 3
        return self

    def _up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"kannel.sh ended with {self.process.returncode}, see {self.dir}")
        return os.path.exists(os.path.join(self.dir, "url"))

    @property
    def url(self):
        with open(os.path.join(self.dir, "url"), encoding="ascii") as f:
            return f.read().strip()

    def queue_keys(self):
        return {"handler": "sms", "driver": "kannel", "gateway_url": self.url, "gateway_user": self.user,
                "gateway_password": self.password, "from": "jobq"}

    def stop(self):
        if self.process:
            procs.end(self.process, signal.SIGTERM, 60)
            self.process = None

    def received(self):
        """(from, to, text) of each SMS on the telephone network, in the order of arrival."""
        path = os.path.join(self.dir, "phone.log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8", errors="replace") as f:
            return GOT.findall(f.read())
