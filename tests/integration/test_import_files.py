"""Where an import's bytes may come from: beneath one directory and nowhere else, or from a URL that may be called."""
import http.server
import os
import ssl
import threading

import pytest

from harness.mail import certificate
from harness.wait import wait_until


@pytest.fixture
def shop(daemon, db, where):
    class Shop:
        def __init__(self, environment=None, **keys):
            db.sql("CREATE TABLE items (store_id text, sku text, name text); GRANT SELECT, INSERT ON items TO jobq_worker")
            self.top = os.path.join(where, "files")
            for tenant in ("acme", "beta"):
                self.write(f"{tenant}/in/a.csv", f"sku,name\n1,{tenant}\n")
            self.write("secret.csv", "sku,name\n666,secret\n")
            self.daemon = daemon(db, {"import": {"import_dir": self.top + "/%t/in", "tables": "items", "tenant_column": "store_id", "workers": 1,
                                                 "retry_backoff": "fixed 50ms", **keys}}).start(**environment or {})

        def write(self, name, text):
            path = os.path.join(self.top, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            return path

        def link(self, name, target):
            os.symlink(target, os.path.join(self.top, name))

        def run(self, source, tenant="acme"):
            job = db.enqueue("import", {"source": source, "table": "items"}, tenant_id=tenant)
            return wait_until(lambda: (r := db.job(job))["status"] in ("completed", "failed") and r, f"job {job} to end", 60)

        def refused(self, source, words, tenant="acme"):
            row = self.run(source, tenant)
            assert row["status"] == "failed" and words in row["error_message"], (row["status"], row["error_message"])
            assert db.one("SELECT count(*) FROM items") == 0

    return Shop


@pytest.mark.parametrize("source", ["../../beta/in/a.csv", "/etc/passwd", "../../../../../../../etc/passwd", "..", "x/../../in/../../beta/in/a.csv"])
def test_no_way_out(shop, source):
    s = shop()
    os.makedirs(os.path.join(s.top, "acme/in/x"))
    s.refused(source, "leads out of its directory")


def test_links(shop, db):
    """Links lead out no more than names do; one that stays inside is fine."""
    s = shop()
    s.link("acme/in/file.csv", os.path.join(s.top, "secret.csv"))
    s.link("acme/in/relative.csv", "../../beta/in/a.csv")
    s.link("acme/in/dir", s.top)
    s.link("acme/in/proc.csv", "/proc/self/environ")
    s.link("acme/in/loop.csv", "loop.csv")
    for source in ("file.csv", "relative.csv", "dir/secret.csv", "proc.csv", "loop.csv"):
        s.refused(source, "leads out of its directory")
    s.link("acme/in/inside.csv", "a.csv")
    assert s.run("inside.csv")["status"] == "completed" and db.sql("SELECT store_id, name FROM items") == [("acme", "acme")]


def test_a_tenants_directory_is_no_link(shop):
    """What the tenant's name leads to is a directory itself, so that a tenant cannot be sent to another one's."""
    s = shop()
    s.link("gamma", "beta")
    s.refused("a.csv", "leads out of its directory", "gamma")
    os.rename(os.path.join(s.top, "acme/in"), os.path.join(s.top, "acme/was"))
    s.link("acme/in", "../beta/in")
    s.refused("a.csv", "leads out of its directory")


@pytest.mark.parametrize("tenant", ["../acme", ".", "..", "acme/in", "/", "nobody"])
def test_odd_tenants(shop, tenant):
    s = shop()
    s.refused("a.csv", "cannot be opened" if tenant == "nobody" else "cannot be the name of a directory", tenant)


def test_no_tenant(shop):
    shop().refused("a.csv", "the job has no tenant", None)


def test_odd_files(shop, db):
    """Directories, pipes, files that are missing or may not be read: failed with the reason, and nothing hangs."""
    s = shop()
    os.makedirs(os.path.join(s.top, "acme/in/dir.csv"))
    os.mkfifo(os.path.join(s.top, "acme/in/pipe.csv"))
    os.chmod(s.write("acme/in/closed.csv", "sku\n1\n"), 0)
    s.refused("dir.csv", "not a regular file")
    s.refused("pipe.csv", "not a regular file")
    s.refused("missing.csv", "No such file")
    if os.geteuid() != 0:
        s.refused("closed.csv", "Permission denied")
    s.write("acme/in/ä % $(x) ' \".csv", "sku,name\n1,odd\n")
    assert s.run("ä % $(x) ' \".csv")["status"] == "completed"


class Source(http.server.BaseHTTPRequestHandler):
    rows = "sku,name\n" + "".join(f"{n},name {n}\n" for n in range(1000))
    tries, stuck = {}, threading.Event()

    def log_message(self, *args):
        pass

    def do_GET(self):
        Source.tries[self.path] = Source.tries.get(self.path, 0) + 1
        again = Source.tries[self.path] > 1
        body = Source.rows.encode()
        if self.path == "/big.csv":
            body = b"sku,name\n" + b"".join(b"%d,%s\n" % (n, 1000 * b"x") for n in range(20000))
        status = {"/404.csv": 404, "/redirect.csv": 302, "/busy.csv": 200 if again else 503}.get(self.path, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/a.csv")
        if self.path != "/unsized.csv":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/stuck.csv":
            self.wfile.write(body[:5000])
            self.wfile.flush()
            Source.stuck.wait(60)
        cut = self.path == "/cut.csv" and not again
        try:
            self.wfile.write(body[:5000] if cut else body)
        except OSError:
            pass


@pytest.fixture
def source():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Source)
    Source.tries, Source.stuck = {}, threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Source.stuck.set()
    server.shutdown()
    server.server_close()


def test_url(shop, db, source):
    """Streamed, whatever the server says of its length; broken off or busy, it is read again; nothing else counts."""
    s = shop(allow_url="on", allow_private="on", max_retries=3)
    for n, (path, tries, rows) in enumerate([("/a.csv", 1, 1000), ("/unsized.csv", 1, 1000), ("/busy.csv", 2, 1000), ("/cut.csv", 2, 1000), ("/big.csv", 1, 20000)]):
        row = s.run(source + path)
        assert row["status"] == "completed" and row["result"]["inserted"] == rows, (path, row["error_message"], row["result"])
        assert Source.tries[path] == tries and row["retry_count"] == tries - 1
    db.sql("DELETE FROM items")
    s.refused(source + "/404.csv", "status 404")
    s.refused(source + "/redirect.csv", "redirects are not followed")
    assert s.run("a.csv")["status"] == "completed"


def test_cancelled_wherever_it_is(shop, db, source):
    """Cancelled while it waits for a connection of the pool, and while its rows are read from a server that has stopped sending: ended at once, with
    nothing in the table, and the worker goes on."""
    s = shop(allow_url="on", allow_private="on", concurrency=8, batch_size=1, batch_min=1, batch_adaptive="off", group_by="none")
    s.daemon.sections["pool default"] = {"max": 1, "min": 1}
    s.daemon.write()
    s.daemon.ctl("reload")
    s.daemon.wait_status(lambda status: status["pools"][0]["max"] == 1, "the new pool")
    stuck = db.enqueue("import", {"source": source + "/stuck.csv", "table": "items"}, tenant_id="acme")
    s.daemon.wait_status(lambda status: status["pools"][0]["in_use"] == 1, "the connection to be taken")
    row = wait_until(lambda: (r := db.job(stuck))["progress_note"] and r, "progress")
    assert row["progress_note"].startswith("reading: ") and 0 < row["progress"] < 60 and row["status"] == "running"
    waits = db.enqueue("import", {"source": "a.csv", "table": "items"}, tenant_id="beta")
    s.daemon.wait_status(lambda status: status["pools"][0]["waiting"] == 1 or db.job(waits)["status"] == "claimed", "the other to wait")
    for job in (waits, stuck):
        assert db.one("SELECT jobq.cancel(%s)", [job]) in ("requested", "cancelled")
        db.wait_job(job, "cancelled")
    assert db.one("SELECT count(*) FROM items") == 0
    pid = s.daemon.pid("worker")
    assert s.run("a.csv")["status"] == "completed" and s.daemon.pid("worker") == pid and Source.tries["/stuck.csv"] == 1


@pytest.mark.parametrize("url,words", [
    ("http://127.0.0.1:{port}/a.csv", "the URL "), ("https://127.0.0.1:{port}/a.csv", "the URL "), ("https://[::1]/a.csv", "the URL "),
    ("https://localhost:{port}/a.csv", ""), ("https://user:word@example.com/", "the URL "), ("file:///etc/passwd", "the URL "), ("ftp://example.com/a", "the URL "),
])
def test_urls_that_may_not_be_called(shop, source, url, words):
    """Without allow_private: https alone, and no address of a private network, whatever name leads to it."""
    s = shop(allow_url="on")
    s.refused(url.format(port=source.rsplit(":", 1)[1]), words)
    assert Source.tries == {}


@pytest.fixture
def https(where):
    """https(names): the same source behind TLS, with a certificate for these names that is its own authority; gives its port and that file."""
    made = []

    def make(names):
        cert, key = certificate(where, names)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Source)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # clients that do not trust it hang up
        Source.tries = {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
        return server.server_port, cert

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def test_https(shop, db, https):
    """A certificate of an authority that jobqd is told of, valid for the host's name or its address; streamed as any other source."""
    port, cert = https("DNS:localhost,IP:127.0.0.1")
    s = shop({"SSL_CERT_FILE": cert}, allow_url="on", allow_private="on", max_retries=3)
    for host, path, rows in (("localhost", "/a.csv", 1000), ("127.0.0.1", "/cut.csv", 1000), ("localhost", "/big.csv", 20000)):
        row = s.run(f"https://{host}:{port}{path}")
        assert row["status"] == "completed" and row["result"]["inserted"] == rows, (host, path, row["error_message"])
    db.sql("DELETE FROM items")
    s.refused(f"https://localhost:{port}/404.csv", "status 404")


@pytest.mark.parametrize("wrong, words", [
    ("host", ["the source cannot be read: SSL: no alternative certificate subject name matches target host name 'localhost'", "valid for the host"]),
    ("authority", ["the source cannot be read: SSL certificate problem: self-signed certificate", "of an authority that the system knows", "SSL_CERT_FILE"]),
    ("file", ["the source cannot be read: error setting certificate", "correct SSL_CERT_FILE in jobqd's environment"]),
])
def test_https_not_verified(shop, https, where, wrong, words):
    """A certificate for another host, of an authority that nobody knows, or authorities that cannot be read: nothing is asked for, and the
    error says what to do."""
    port, cert = https("DNS:other.example" if wrong == "host" else "DNS:localhost")
    environment = {"host": {"SSL_CERT_FILE": cert}, "authority": {}, "file": {"SSL_CERT_FILE": os.path.join(where, "none.pem")}}[wrong]
    s = shop(environment, allow_url="on", allow_private="on", max_retries=1)
    s.refused(f"https://localhost:{port}/a.csv", words[0])
    for word in words[1:]:
        s.refused(f"https://localhost:{port}/a.csv", word)
    assert Source.tries == {}


def test_https_is_not_plain(shop, source):
    """A server that speaks no TLS, asked by https: nothing is read in the clear."""
    s = shop(allow_url="on", allow_private="on", max_retries=0)
    s.refused(source.replace("http:", "https:") + "/a.csv", "the source cannot be read: ")
    assert Source.tries == {}
