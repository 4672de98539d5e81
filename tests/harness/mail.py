"""The mail server of tests/fault as a process beside the test: started, stopped, told its manners, and its log read."""
import base64
import email
import email.policy
import json
import os
import signal
import subprocess
import sys

from harness import procs
from harness.jsonlines import whole_lines
from harness.paths import SOURCE
from harness.wait import wait_until

SCRIPT = os.path.join(SOURCE, "tests/fault/mailserver.py")


def certificate(directory, names):
    """A key, and a certificate that is its own authority, for these names; returns their paths."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=mail", "-addext", "subjectAltName=" + names, "-keyout", key, "-out", cert],
                   check=True, capture_output=True, timeout=30)
    return cert, key


class MailServer:
    def __init__(self, directory):
        self.dir, self.process, self.port, self.options = directory, None, 0, {}
        os.makedirs(directory, exist_ok=True)

    def _write(self, name, what):
        path = os.path.join(self.dir, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(what, f)
        os.rename(path + ".new", path)

    def start(self, **options):
        """On the port of its last life, if it had one; options as the script says."""
        self.options = options
        self._write("options", options)
        path = os.path.join(self.dir, "port")
        if os.path.exists(path):
            os.unlink(path)
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = procs.spawn([sys.executable, SCRIPT, self.dir, str(self.port)], stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(path), "the mail server to listen")
        with open(path, encoding="ascii") as f:
            self.port = int(f.read())
        return self

    def stop(self, sig=signal.SIGTERM):
        if self.process:
            procs.end(self.process, sig)
            self.process = None

    def control(self, **wish):
        self._write("control", wish)

    def queue_keys(self, host="127.0.0.1", scheme="smtp"):
        """Keys of a queue that sends here."""
        return {"handler": "email", "smtp_url": f"{scheme}://{host}:{self.port}", "from": "Shop <shop@example.com>"}

    def _lines(self, name):
        return whole_lines(os.path.join(self.dir, name))

    def attempts(self, what=None):
        """Commands that were judged, in order; of one kind (mail, rcpt, end, auth)."""
        return [line for line in self._lines("attempts") if what is None or what in line]

    def effects(self):
        """Messages that were taken, in order, each with "message": what Python's email package reads in it."""
        lines = self._lines("effects")
        for line in lines:
            line["raw"] = base64.b64decode(line["data"])
            line["message"] = email.message_from_bytes(line["raw"], policy=email.policy.default)
        return lines
