"""HTTP servers for tests: the receiver of tests/fault as a process beside the test (started, stopped, killed, asked, its log read), and
Site, a server in the test's own process whose answers are a function of the test's."""
import http.server
import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.request

from harness import procs
from harness.jsonlines import whole_lines
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
        return whole_lines(os.path.join(self.dir, name))

    def effects(self):
        """Accepted messages, in order: what cannot be taken back."""
        return self._lines("effects")

    def attempts(self):
        return self._lines("attempts")


class Request:
    """What a Site was asked. The time is monotonic."""

    def __init__(self, verb, path, headers, body):
        self.verb, self.path, self.headers, self.body, self.at = verb, path, headers, body, time.monotonic()

    def json(self):
        return json.loads(self.body)


class Site:
    """answer(request) gives (status, body) or (status, body, headers); a body that is no bytes is sent as JSON. Or it gives bytes, sent as they
    are before the connection closes; or None, for a reset. It runs in a thread of its own for each connection. requests: all so far.
    tls: the files of a certificate and its key, for localhost."""

    def __init__(self, answer, address="127.0.0.1", tls=None):
        site, self.answer, self.requests = self, answer, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def meet(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, self.headers, body)
                site.requests.append(request)
                said = site.answer(request)
                if said is None:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                elif isinstance(said, bytes):
                    self.wfile.write(said)
                    self.close_connection = True
                else:
                    self.say(*said)

            do_GET = do_POST = do_PUT = meet

            def say(self, status, body=b"", headers=()):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                if status not in (204, 304):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if status not in (204, 304):
                    self.wfile.write(body)

            def log_message(self, format, *args):  # the test says what went wrong
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):  # clients that are killed hang up
                pass

        self.server = Server((address, 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://{address}:{self.port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
