"""The handler `sync`, pushing: rows that changed, as absolute values, to an HTTP service, with an outcome for each."""
import os
import threading
import time

import pytest
from harness.wait import wait_until

TABLE = """CREATE TABLE public.inventory (store_id text NOT NULL, sku text NOT NULL, quantity numeric, name text, PRIMARY KEY (store_id, sku));
    GRANT SELECT, INSERT, UPDATE ON public.inventory TO jobq_worker"""


@pytest.fixture
def shop(db):
    db.sql(TABLE)
    return db


@pytest.fixture
def start(daemon, shop):
    def make(fault=None, **keys):
        keys = {"handler": "sync", "tables": "inventory", "tenant_column": "store_id", "allow_private": "on", "workers": 2,
                "retry_backoff": "fixed 100ms", "max_retries": 3, **keys}
        return daemon(shop, {"sync": keys}).start(fault=fault)
    return make


def push(db, url, tenant="acme", **keys):
    return db.enqueue("sync", {"url": url, "direction": "push", "table": "inventory", "key": ["sku"], **keys}, tenant_id=tenant)


def fill(db, first, last, tenant="acme"):
    db.sql("INSERT INTO inventory (store_id, sku, quantity) SELECT %s, 's' || lpad(n::text, 4, '0'), n FROM generate_series(%s, %s) n", [tenant, first, last - 1])


class Shop:
    """The other side: keeps what it was told, item by item."""

    def __init__(self):
        self.stock, self.keys, self.say = {}, [], None

    def __call__(self, request):
        said = self.say(request) if self.say else None
        if said is not None:
            return said
        for item in request.json()["items"]:
            self.stock[item["sku"]] = item["quantity"]
        self.keys.append(request.headers["Idempotency-Key"])
        return 204, b""


def test_first_everything_then_changes(start, shop, site):
    """The first push sends the tenant's rows, the next what changed since; nothing changed, nothing sent; "full" sends all again."""
    there = Shop()
    hook = site(there)
    start()
    fill(shop, 0, 250)
    fill(shop, 0, 10, "other")
    row = shop.wait_job(push(shop, hook.url), "completed")
    assert row["result"] == {"sent": 250, "refused": 0, "errors": []} and len(there.stock) == 250 and [len(r.json()["items"]) for r in hook.requests] == [100, 100, 50]
    assert hook.requests[0].verb == "POST" and set(hook.requests[0].json()["items"][0]) == {"sku", "quantity", "name"}
    assert shop.wait_job(push(shop, hook.url), "completed")["result"]["sent"] == 0 and len(hook.requests) == 3
    shop.sql("UPDATE inventory SET quantity = 0.10 WHERE sku IN ('s0003', 's0200')")
    assert shop.wait_job(push(shop, hook.url), "completed")["result"]["sent"] == 2
    assert b'"quantity": 0.10' in hook.requests[3].body and {i["sku"] for i in hook.requests[3].json()["items"]} == {"s0003", "s0200"}
    assert shop.wait_job(push(shop, hook.url, full=True, size=1000), "completed")["result"]["sent"] == 250


def test_late_commits_are_not_missed(start, shop, site):
    """A change that was made before a push and committed after it goes out with the next, also one of a subtransaction."""
    there = Shop()
    hook = site(there)
    start()
    fill(shop, 0, 20)
    late = shop.connect("postgres", autocommit=False)
    try:
        with late.cursor() as cursor:
            cursor.execute("UPDATE inventory SET quantity = 777 WHERE sku = 's0001' AND store_id = 'acme'")
            cursor.execute("SAVEPOINT a")
            cursor.execute("UPDATE inventory SET quantity = 888 WHERE sku = 's0002' AND store_id = 'acme'")
            cursor.execute("RELEASE SAVEPOINT a")
            shop.sql("UPDATE inventory SET quantity = 999 WHERE sku = 's0005'")
            shop.wait_job(push(shop, hook.url), "completed")
            assert (there.stock["s0001"], there.stock["s0002"], there.stock["s0005"]) == (1, 2, 999)
            late.commit()
    finally:
        late.close()
    shop.wait_job(push(shop, hook.url), "completed")
    assert (there.stock["s0001"], there.stock["s0002"]) == (777, 888)


def test_an_outcome_for_each_row(start, shop, site):
    """Taken, refused (told in the result, and not sent again until it changes), and once more (sent again until it is taken)."""
    there, rounds = Shop(), []

    def say(request):
        rounds.append([i["sku"] for i in request.json()["items"]])
        if len(rounds) > 1:
            return None
        return 200, {"items": [{"sku": "s0000", "outcome": "done"}, {"sku": "s0001", "outcome": "fail", "error": "unknown sku"}, {"sku": "s0002", "outcome": "retry"},
                               {"sku": "s0003"}, {"sku": "nobody"}, 7]}
    there.say = say
    hook = site(there)
    start()
    fill(shop, 0, 5)
    row = shop.wait_job(push(shop, hook.url), "completed")
    assert rounds == [["s0000", "s0001", "s0002", "s0003", "s0004"], ["s0002", "s0004"]] and row["retry_count"] == 1
    shop.sql("UPDATE inventory SET quantity = 9 WHERE sku = 's0001'")
    shop.wait_job(push(shop, hook.url), "completed")
    assert rounds[2] == ["s0001"] and there.stock["s0001"] == 9


def test_a_list_without_end(start, shop, site):
    """A list of many more rows than were sent is not searched: the worker would do nothing else."""
    hook = site(lambda r: (200, b'{"items": [' + b"7," * 10000 + b"7]}") if len(hook.requests) == 1 else (204, b""))
    start()
    fill(shop, 0, 5)
    row = shop.wait_job(push(shop, hook.url), "completed")
    assert row["retry_count"] == 1 and "more than 10000 rows" in row["error_message"] and len(hook.requests) == 2


def test_refusals_are_told(start, shop, site):
    hook = site(lambda r: (200, {"items": [{"sku": i["sku"], "error": "unknown"} for i in r.json()["items"]]}))
    start()
    fill(shop, 0, 30)
    result = shop.wait_job(push(shop, hook.url), "completed")["result"]
    assert (result["sent"], result["refused"], len(result["errors"])) == (30, 30, 10) and "s0000" in result["errors"][0] and "unknown" in result["errors"][0]


def test_a_request_for_each_row(start, shop, site):
    """A URL with {column}: PUT of each row, values percent-encoded; what is at fault of a row does not stop the others."""
    def answer(request):
        return (404, b"") if "s0001" in request.path else (200, {"sku": "whatever"})
    hook = site(answer)
    start()
    fill(shop, 0, 3)
    shop.sql("INSERT INTO inventory VALUES ('acme', 'a/b?c d', 1), ('acme', '..', 1), ('acme', '', 1)")
    row = shop.wait_job(push(shop, hook.url + "/stock/{id}?v=1", columns={"id": "sku", "free": "quantity"}), "completed")
    assert {r.path.lower() for r in hook.requests} == {"/stock/a%2fb%3fc%20d?v=1", "/stock/s0000?v=1", "/stock/s0001?v=1", "/stock/s0002?v=1"}
    assert all(r.verb == "PUT" for r in hook.requests) and row["result"]["refused"] == 3
    assert hook.requests[-1].json() == {"id": "s0002", "free": 2}


@pytest.mark.parametrize("said,words", [((500, b"oops"), "answered 500"), (None, "did not answer")], ids=["500", "reset"])
def test_goes_on_where_it_was(start, shop, site, said, words):
    """A request that fails is tried again; what was taken before it is not sent again; the same content has the same key."""
    there, bodies = Shop(), []

    def say(request):
        bodies.append((request.headers["Idempotency-Key"], request.body))
        return said if len(bodies) == 2 else None
    there.say = (lambda r: say(r)) if said is not None else None
    hook = site(there if said is not None else (lambda r: None if len(hook.requests) == 2 else there(r)))
    start()
    fill(shop, 0, 250)
    row = shop.wait_job(push(shop, hook.url), "completed")
    assert row["retry_count"] == 1 and words in row["error_message"] and len(there.stock) == 250
    sizes = [len(r.json()["items"]) for r in hook.requests]
    assert sizes == [100, 100, 100, 50]
    assert hook.requests[1].headers["Idempotency-Key"] == hook.requests[2].headers["Idempotency-Key"] != hook.requests[0].headers["Idempotency-Key"]


def test_retry_after(start, shop, site):
    """429 with Retry-After: not before, and no try is burnt."""
    there = Shop()
    hook = site(lambda r: (429, b"", {"Retry-After": "1"}) if len(hook.requests) == 1 else there(r))
    start(max_retries=0)
    fill(shop, 0, 5)
    row = shop.wait_job(push(shop, hook.url), "completed")
    assert row["retry_count"] == 0 and hook.requests[1].at - hook.requests[0].at >= 0.9 and len(there.stock) == 5


@pytest.mark.parametrize("said,words", [((400, b"bad shape"), "bad shape"), ((401, b""), "401"), ((307, b"", {"Location": "/x"}), "redirects")],
                         ids=["400", "401", "redirect"])
def test_failed_at_once(start, shop, site, said, words):
    hook = site(lambda r: said)
    start()
    fill(shop, 0, 5)
    row = shop.wait_job(push(shop, hook.url), "failed")
    assert words in row["error_message"] and len(hook.requests) == 1


def test_killed_in_the_middle(start, shop, site):
    """kill -9 while the second request is out: everything arrives; what was taken before is not sent again."""
    there, hold = Shop(), threading.Event()

    def say(_request):
        if len(hook.requests) == 2:
            hold.wait(30)
    there.say = say
    hook = site(there)
    d = start(workers=1)
    fill(shop, 0, 250)
    job = push(shop, hook.url)
    wait_until(lambda: len(hook.requests) == 2, "the second request")
    os.kill(d.pids("worker")[0], 9)
    row = shop.wait_job(job, "completed")
    hold.set()
    assert row["retry_count"] == 0 and len(there.stock) == 250
    assert [r.json()["items"][0]["sku"] for r in hook.requests] == ["s0000", "s0100", "s0100", "s0200"]


def test_changes_meanwhile(start, shop, site):
    """Rows that change while a round is out are sent by the next sync, whichever side of the position they are on."""
    there, hold = Shop(), threading.Event()

    def say(_request):
        if len(hook.requests) == 2:
            hold.wait(30)
    there.say = say
    hook = site(there)
    start()
    fill(shop, 0, 250)
    job = push(shop, hook.url)
    wait_until(lambda: len(hook.requests) == 2, "the second request")
    shop.sql("UPDATE inventory SET quantity = -1 WHERE sku IN ('s0005', 's0150', 's0220')")
    hold.set()
    shop.wait_job(job, "completed")
    shop.wait_job(push(shop, hook.url), "completed")
    assert [there.stock[s] for s in ("s0005", "s0150", "s0220")] == [-1, -1, -1]


def test_cancel(start, shop, site):
    """A cancel in the middle: what is out is the last."""
    there = Shop()
    there.say = lambda _request: time.sleep(0.02)
    hook = site(there)
    start()
    fill(shop, 0, 2000)
    job = push(shop, hook.url, size=1)
    wait_until(lambda: hook.requests, "the first request")
    assert shop.one("SELECT jobq.cancel(%s)", [job]) == "requested"
    shop.wait_job(job, "cancelled")
    assert len(hook.requests) < 2000
