"""The handler `http`: jobs posted to a web hook, signed, and an outcome for each from whatever comes back."""
import base64
import json
import os
import socket
import subprocess
import threading

import pytest
from harness import paths, procs
from harness.mail import certificate
from harness.wait import stays, wait_until

OLD = "whsec_" + base64.b64encode(b"the old key, 28 bytes long..").decode()
NEW = "whsec_" + base64.b64encode(b"the new key, 32 bytes in length.").decode()
VERIFY = """
const { Webhook } = require('standardwebhooks');
const [secret, file] = process.argv.slice(1);
const { body, headers } = JSON.parse(require('fs').readFileSync(file, 'utf8'));
try { new Webhook(secret).verify(body, headers); console.log('good'); } catch (e) { console.log('bad: ' + e.message); }
"""


def jobs_of(request):
    return [job["id"] for job in request.json()["jobs"]]


def each(request, **outcome):
    return 200, {"jobs": [{"id": i, "outcome": "done", **outcome} for i in jobs_of(request)]}


@pytest.fixture
def start(daemon, db):
    def make(url, environment=None, **keys):
        keys = {"handler": "http", "url": url, "allow_private": "on", "workers": 1, "retry_backoff": "fixed 100ms", "max_retries": 2, **keys}
        return daemon(db, {"hook": keys}).start(**environment or {})
    return make


def many(db, n, tenant="acme"):
    return db.enqueue_many([{"queue": "hook", "tenant_id": tenant, "payload": {"n": i}} for i in range(n)])


def test_a_batch_is_one_request(start, db, site):
    """Twenty-five jobs, one POST with all of them as the interface says; results come back job by job."""
    hook = site(lambda r: (200, {"jobs": [{"id": j["id"], "outcome": "done", "result": {"seen": j["payload"]["n"]}} for j in r.json()["jobs"]]}))
    ids = many(db, 25)
    start(hook.url + "/in?key=1", headers=["X-Shop: blue", "Authorization: Bearer t0ken"])
    db.settle("hook")
    assert [db.job(i)["result"] for i in ids] == [{"seen": n} for n in range(25)]
    (request,) = hook.requests
    body = request.json()
    assert request.verb == "POST" and request.path == "/in?key=1" and body["v"] == 1 and body["queue"] == "hook" and int(body["batch_id"])
    assert [int(i) for i in jobs_of(request)] == ids
    job = body["jobs"][0]
    assert set(job) == {"v", "id", "queue", "type", "tenant_id", "user_id", "priority", "attempt", "max_retries", "deadline", "idempotency_key",
                        "claim_token", "payload"}
    assert job["tenant_id"] == "acme" and job["type"] is None and job["attempt"] == 1 and job["priority"] == "normal"
    assert job["idempotency_key"].endswith(f"-{ids[0]}") and len(job["idempotency_key"]) > len(f"-{ids[0]}")
    headers = request.headers
    assert headers["Content-Type"] == "application/json" and headers["X-Shop"] == "blue" and headers["Authorization"] == "Bearer t0ken"
    assert headers["webhook-id"] and headers["webhook-timestamp"] and headers["webhook-signature"] is None and headers["Idempotency-Key"] is None


def test_single(start, db, site):
    """mode = single: a request each, over several connections, with Idempotency-Key; the same key on every attempt."""
    seen = {}

    def answer(request):
        (job,) = jobs_of(request)
        seen.setdefault(job, []).append((request.headers["Idempotency-Key"], request.headers["webhook-id"]))
        return (500, b"later") if len(seen[job]) == 1 else (204, b"")
    hook = site(answer)
    ids = many(db, 10)
    start(hook.url, mode="single", max_connections=4)
    db.settle("hook")
    assert db.statuses("hook") == {"completed": 10} and set(seen) == {str(i) for i in ids}
    assert all(len(keys) == 2 and len(set(keys)) == 1 and keys[0][0].endswith(f"-{job}") and keys[0][0] == keys[0][1] for job, keys in seen.items())


def test_answers_for_all(start, db, site):
    """An answer that speaks of all jobs: done, failed at once with the reason, or tried again until max_retries."""
    table = [(200, b"", "completed", 1), (202, b"", "completed", 1), (204, b"", "completed", 1), (400, b"no such thing", "failed", 1), (401, b"", "failed", 1),
             (404, b"", "failed", 1), (410, b"", "failed", 1), (302, b"", "failed", 1), (408, b"", "failed", 3), (500, b"", "failed", 3), (502, b"", "failed", 3),
             (503, b"", "failed", 3), (200, b"fine, thanks", "failed", 3), (200, b"{\"jobs\": 7}", "failed", 3), (200, b"\x00\xff" * 2000, "failed", 3),
             (200, b"[" * 100000, "failed", 3)]

    def answer(request):
        status, body, _, _ = table[request.json()["jobs"][0]["payload"]["n"]]
        return status, body, {"Location": "http://127.0.0.1:1/"}
    hook = site(answer)
    start(hook.url, mode="single")
    ids = many(db, len(table))
    db.settle("hook")
    for job, (status, body, ends, tries) in zip(ids, table):
        row, seen = db.job(job), sum(jobs_of(r) == [str(job)] for r in hook.requests)
        assert (status, body[:9], row["status"]) == (status, body[:9], ends)
        assert seen == tries or (seen > tries > 1)  # while the receiver counts as down, tries are not burnt
        if ends == "failed":
            assert str(status) in row["error_message"] and row["retry_count"] == tries - 1
        if status == 302:
            assert "redirects are not followed" in row["error_message"]


def test_answers_for_each(start, db, site):
    """One answer, every outcome: what is not named, or named without a clear outcome, or under another's id, is tried again."""
    words = [{"outcome": "done", "result": [1]}, {"outcome": "fail", "error": "bad sku"}, {"outcome": "retry", "error": "busy", "after": "1ms"},
             {"outcome": "snooze", "after": "1ms"}, {"outcome": "uncertain", "error": "who knows"}, {"outcome": "perhaps"}, {}, None]
    first = threading.Event()

    def answer(request):
        if first.is_set():
            return each(request)
        first.set()
        said = [{"id": i, **w} for i, w in zip(jobs_of(request), words) if w is not None]
        return 200, {"jobs": [7, {"id": "x"}, *said, {"id": "999999999", "outcome": "done"}, {"id": jobs_of(request)[1], "outcome": "done"}]}
    hook = site(answer)
    ids = many(db, len(words))
    start(hook.url)
    wait_until(lambda: db.statuses("hook") == {"completed": 6, "failed": 1, "held": 1}, "the jobs to end")
    rows = [db.job(i) for i in ids]
    assert rows[0]["result"] == [1] and (rows[1]["status"], rows[1]["error_message"]) == ("failed", "bad sku")
    assert (rows[4]["status"], rows[4]["error_message"]) == ("held", "who knows")
    assert [r["retry_count"] for r in rows] == [0, 0, 1, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(start, db, site, status):
    """429, and 503 with Retry-After: not before that, and no try is burnt."""
    hook = site(lambda r: (status, b"", {"Retry-After": "1"}) if len(hook.requests) == 1 else (204, b""))
    start(hook.url, max_retries=0)
    row = db.wait_job(many(db, 1)[0], "completed")
    first, second = hook.requests
    assert row["retry_count"] == 0 and second.at - first.at >= 0.9


@pytest.mark.parametrize("said", [None, b"", b"\x16\x03 this is not HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"jobs\""],
                         ids=["reset", "hang-up", "not-http", "cut"])
def test_no_usable_answer(start, db, site, said):
    """Sent and not answered: sent again with the same webhook-id, since a receiver knows it by that."""
    hook = site(lambda r: said if len(hook.requests) == 1 else (204, b""))
    start(hook.url)
    row = db.wait_job(many(db, 1)[0], "completed")
    assert row["retry_count"] == 1 and len({r.headers["webhook-id"] for r in hook.requests}) == 1 and len(hook.requests) == 2


def test_nobody_listens(start, db, site):
    """No connection: tried again, and no try is burnt."""
    hook = site(lambda r: (204, b""))
    hook.stop()
    d = start(hook.url, max_retries=0)
    job = many(db, 1)[0]
    status = d.wait_status(lambda s: s["queues"][0]["gate"], "the gate to shut")
    assert "cannot be reached" in status["queues"][0]["gate"]["reason"]
    assert db.job(job)["retry_count"] == 0 and db.job(job)["status"] in ("pending", "claimed")


def test_silence_is_cut_off(start, db, site):
    """A receiver that never answers costs job_timeout, and nobody else."""
    go_on, silent = threading.Event(), []

    def answer(request):
        if request.json()["jobs"][0]["payload"]["n"] == 0 and not silent:
            silent.append(request)
            go_on.wait(30)
        return 204, b""
    hook = site(answer)
    start(hook.url, job_timeout="1s", mode="single")
    ids = many(db, 5)
    for job in ids:
        db.wait_job(job, "completed")
    go_on.set()
    assert db.job(ids[0])["retry_count"] == 1


def test_huge_answer(start, db, site):
    """An answer without an end is cut; the worker is well, and its jobs are tried again."""
    hook = site(lambda r: (200, b" " * (8 << 20) + b"{}") if len(hook.requests) == 1 else (204, b""))
    d = start(hook.url)
    pids = d.pids("worker")
    row = db.wait_job(many(db, 1)[0], "completed")
    assert row["retry_count"] == 1 and d.pids("worker") == pids


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_private_addresses(start, db, site, host):
    """Without allow_private nothing that is not public is called, by number or by name: the queue waits, says why, and burns nothing."""
    hook = site(lambda r: (204, b""))
    d = start(f"http://{host}:{hook.port}/", allow_private="off")
    job = many(db, 1)[0]
    d.wait_status(lambda s: "allow_private" in (s["queues"][0]["last_error"] or ""), "the reason in status")
    stays(lambda: not hook.requests, "no request", 0.3)
    assert db.job(job)["retry_count"] == 0 and "gate" in [r["code"] for r in d.json("why", job)["reasons"]]
    if host == "127.0.0.1":  # the gate is tried again after ten seconds
        d.queue("hook", allow_private="on")
        d.ctl("reload")
        db.wait_job(job, "completed")


def test_no_proxy_of_the_environment(start, db, site):
    """A proxy would be what is connected to, whatever the URL: those of the daemon's environment are not used."""
    proxy, hook = site(lambda r: (204, b"")), site(lambda r: (204, b""))
    start(hook.url, environment=dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), proxy.url))
    db.wait_job(many(db, 1)[0], "completed")
    assert len(hook.requests) == 1 and not proxy.requests


def test_rate_limit(start, db, site):
    """Jobs that a rate limit lets begin later go in later requests: the receiver never sees more than the limit in any second."""
    hook = site(lambda r: (204, b""))
    start(hook.url, rate_limit="20/s", rate_burst=1)
    many(db, 30)
    db.settle("hook")
    times = sorted(r.at for r in hook.requests for _ in jobs_of(r))
    assert len(times) == 30 and max(sum(1 for t in times if at <= t < at + 1.0) for at in times) <= 22


def test_no_secret_is_told(start, db, site, where):
    """Secret, headers and the URL's own key are in no log, no error, no argv."""
    hook = site(lambda r: (500, b"") if len(hook.requests) < 3 else (400, b""))
    secret = os.path.join(where, "secret")
    with open(secret, "w", encoding="ascii") as f:
        f.write(OLD + " " + NEW + "\n")
    os.chmod(secret, 0o600)
    d = start(hook.url + "/?token=hidden-in-url", secret="file:" + secret, headers=["X-Key: hidden-in-header"])
    row = db.wait_job(many(db, 1)[0], "failed")
    hidden = [OLD[6:], NEW[6:], "hidden-in-url", "hidden-in-header"]
    assert not [h for h in hidden if h in d.text() or h in row["error_message"]]
    for pid in d.pids("worker"):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            assert not [h for h in hidden if h.encode() in f.read()]


def test_kill_in_the_middle(start, db, site):
    """kill -9 of the worker while its request is out: every job is done, and what was sent twice has the same key."""
    hold = threading.Event()

    def answer(request):
        if len(hook.requests) == 1:
            hold.wait(30)
        return each(request)
    hook = site(answer)
    d = start(hook.url)
    ids = many(db, 25)
    wait_until(lambda: hook.requests, "the first request")
    os.kill(d.pids("worker")[0], 9)
    db.settle("hook")
    hold.set()
    assert db.statuses("hook") == {"completed": 25} and db.one("SELECT max(retry_count) FROM jobq.jobs") == 0
    keys = {}
    for request in hook.requests:
        for job in request.json()["jobs"]:
            keys.setdefault(job["id"], set()).add(job["idempotency_key"])
    assert set(keys) == {str(i) for i in ids} and all(len(k) == 1 for k in keys.values())


@pytest.fixture(scope="module")
def standardwebhooks(run_dir):
    """The library of the people who wrote the standard."""
    home = os.path.join(run_dir, "node")
    os.makedirs(home, exist_ok=True)
    env = {**os.environ, "HOME": home, "NODE_PATH": os.path.join(home, "node_modules")}
    if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
        env.setdefault("NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt")  # node has a list of its own
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", home, "standardwebhooks@1.0.0"], env=env, cwd=home,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

    def verify(secret, request, body=None):  # "good", or "bad" and why
        file = os.path.join(home, "request.json")
        with open(file, "w", encoding="utf-8") as f:
            json.dump({"body": body or request.body.decode(), "headers": {k.lower(): v for k, v in request.headers.items()}}, f)
        return subprocess.run(["node", "-e", VERIFY, secret, file], env=env, capture_output=True, text=True, timeout=60).stdout.strip()
    verify.env = env
    return verify


def test_the_receiver_of_the_manual(start, db, standardwebhooks):
    """docs/webhooks.md shows a receiver: it runs, checks the signature, and answers for each job."""
    with open(os.path.join(paths.SOURCE, "docs/webhooks.md"), encoding="utf-8") as f:
        code = f.read().split("## A receiver")[1].split("```")[1]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = procs.spawn(["node", "-e", code], env={**standardwebhooks.env, "SECRET": NEW, "PORT": str(port)})
    try:
        wait_until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None, "the receiver to listen")
        d = start(f"http://127.0.0.1:{port}/", secret=NEW)
        row = db.wait_job(db.enqueue("hook", {"order": 17}, tenant_id="acme", type="paid"), "completed")
        assert row["result"] == {"order": 17}
        d.queue("hook", secret=OLD)
        d.ctl("reload")
        wait_until(lambda: "401" in (db.job(db.enqueue("hook", {"order": 18}))["error_message"] or "") or "401" in
                   str(db.sql("SELECT error_message FROM jobq.jobs WHERE status = 'failed'")), "a wrong signature to be refused")
    finally:
        procs.end(process)


@pytest.mark.parametrize("mode", ["batch", "single"])
def test_signature(start, db, site, standardwebhooks, mode):
    """The standard's own library verifies what we signed, with the old and the new secret, and refuses what was changed."""
    hook = site(lambda r: (204, b""))
    start(hook.url, secret=f"{OLD} {NEW}", mode=mode)
    db.enqueue("hook", {"text": "käärme \"\\ \n 😀", "n": 1e300}, tenant_id="åbo")
    db.settle("hook")
    (request,) = hook.requests
    assert standardwebhooks(OLD, request) == "good" and standardwebhooks(NEW, request) == "good"
    assert standardwebhooks("whsec_" + base64.b64encode(b"x" * 32).decode(), request).startswith("bad")
    assert standardwebhooks(NEW, request, request.body.decode().replace("hook", "hoax")).startswith("bad")


def test_refused_configuration(daemon, db, where):
    """A web hook that cannot be: told by jobqd -t, with file and line."""
    for keys, words in [({}, "needs url"), ({"url": "ftp://x/"}, "http://"), ({"url": "http://x/", "secret": "short"}, "base64"),
                        ({"url": "http://x/", "headers": "webhook-id: 1"}, "webhook-id")]:
        d = daemon(db, {"hook": {"handler": "http", **keys}})
        done = subprocess.run([paths.JOBQD, "-t", "-c", d.config], capture_output=True, text=True, timeout=60)
        assert done.returncode == 3 and words in done.stderr and d.config in done.stderr


@pytest.mark.parametrize("trust", ["good", "host", "authority"])
def test_tls(start, db, site, where, trust):
    """A hook behind TLS is believed by the authorities that jobqd is told of, for its own host. Else nothing is posted, no try is burnt, and the
    gate says what to do."""
    tls = certificate(where, "DNS:other.example" if trust == "host" else "DNS:localhost")
    hook = site(each, tls=tls)
    many(db, 10)
    d = start(hook.url, None if trust == "authority" else {"SSL_CERT_FILE": tls[0]}, max_retries=0)
    if trust == "good":
        db.settle("hook")
        assert db.statuses("hook") == {"completed": 10}
        return
    reason = d.wait_status(lambda s: s["queues"][0]["gate"], "the gate to shut")["queues"][0]["gate"]["reason"]
    assert "cannot be reached: SSL" in reason and "valid for the host" in reason, reason
    assert not hook.requests and db.one("SELECT max(retry_count) FROM jobq.jobs") == 0 and db.unfinished("hook") == 10
