"""The receiver of tests/fault as a process beside the test: started, stopped, killed, asked, and its log read."""
import json
import os
import signal
import sys
import urllib.request

from harness import procs
from harness.paths import SOURCE
from harness.wait import wait_until

SCRIPT = os.path.join(SOURCE, "tests/fault/receiver.py")


class Receiver:
    script = SCRIPT

    def __init__(self, directory):
        self.dir, self.process, self.port = directory, None, 0
        os.makedirs(directory, exist_ok=True)

    def start(self):
        """On the port of its last life, if it had one."""
        path = os.path.join(self.dir, "port")
        if os.path.exists(path):
            os.unlink(path)
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = procs.spawn([sys.executable, self.script, self.dir, str(self.port)], stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(path), "the receiver to listen")
        with open(path, encoding="ascii") as f:
            self.port = int(f.read())
        return self

    def stop(self, sig=signal.SIGTERM):
        if self.process:
            procs.end(self.process, sig)
            self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def control(self, **wish):
        request = urllib.request.Request(self.url + "/control", json.dumps(wish).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def queue_keys(self, driver="json"):
        """Keys of a queue that delivers here. The reference that must be the same on every attempt is a header."""
        if driver == "kannel":
            return {"handler": "sms", "driver": "kannel", "gateway_url": self.url + "/cgi-bin/sendsms", "gateway_user": "u",
                    "gateway_password": "receiver-secret", "from": "jobq"}
        return {"handler": "sms", "driver": "json", "gateway_url": self.url + "/send", "from": "jobq",
                "body": '{"to": "{to}", "text": "{text}"}', "response_id": "id"}

    def _lines(self, name):
        path = os.path.join(self.dir, name)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def effects(self):
        """Accepted messages, in order: what cannot be taken back."""
        return self._lines("effects")

    def attempts(self):
        return self._lines("attempts")
