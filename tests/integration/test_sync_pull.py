"""The handler `sync`, pulling: pages of an HTTP service merged into a table, with the position in the same transaction."""
import os
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from harness.database import Database
from harness.proxy import Proxy
from harness.wait import stays, wait_until

TABLE = """CREATE TABLE public.inventory (store_id text NOT NULL, sku text NOT NULL, quantity numeric, name text, rev bigint,
    touched int NOT NULL DEFAULT 0, PRIMARY KEY (store_id, sku));
    GRANT SELECT, INSERT, UPDATE ON public.inventory TO jobq_worker"""


@pytest.fixture
def shop(db):
    db.sql(TABLE)
    return db


@pytest.fixture
def start(daemon, shop):
    def make(fault=None, **keys):
        keys = {"handler": "sync", "tables": "inventory", "tenant_column": "store_id", "allow_private": "on", "workers": 2,
                "retry_backoff": "fixed 100ms", "max_retries": 2, **keys}
        return daemon(shop, {"sync": keys}).start(fault=fault)
    return make


def pull(db, url, tenant="acme", **keys):
    payload = {"url": url, "direction": "pull", "table": "inventory", "key": ["store_id", "sku"], **keys}
    return db.enqueue("sync", payload, tenant_id=tenant)


def rows(db, tenant="acme"):
    return dict(db.sql("SELECT sku, quantity::float FROM inventory WHERE store_id = %s", [tenant]))


def state(db):
    return db.one("SELECT state FROM jobq.sync_state")


def query(request):
    return {k: v[0] for k, v in parse_qs(urlsplit(request.path).query).items()}


def items(first, last, rev=1):
    return [{"sku": f"s{n}", "quantity": n, "rev": rev} for n in range(first, last)]


def linked(pages, last=None):
    """A service of pages with next links: page n is ?p=n, the first is without."""
    def answer(request):
        n = int(query(request).get("p", 0))
        return 200, {"items": pages[n], "next": f"?p={n + 1}" if n + 1 < len(pages) else last}
    return answer


def test_pages_by_link(start, shop, site):
    """Three pages, merged by key under the job's tenant, whatever the items say of it; other tenants' rows are as they were."""
    shop.sql("INSERT INTO inventory (store_id, sku, quantity, touched) VALUES ('acme', 's1', 99, 7), ('other', 's1', 55, 1)")
    pages = [items(0, 100), items(100, 200), [{"sku": "x", "quantity": 0.1234567890123456789, "store_id": "other", "junk": {"a": 1}}]]
    hook = site(linked(pages))
    start()
    row = shop.wait_job(pull(shop, hook.url + "/items"), "completed")
    assert row["result"] == {"pages": 3, "items": 201, "inserted": 200, "updated": 1, "unchanged": False, "bad": 0, "errors": None} and row["retry_count"] == 0
    assert len(rows(shop)) == 201 and rows(shop, "other") == {"s1": 55}
    assert shop.one("SELECT touched FROM inventory WHERE store_id = 'acme' AND sku = 's1'") == 7
    assert [query(r).get("p") for r in hook.requests] == [None, "1", "2"]


def test_numbers_stay_exact(start, shop, site):
    """A number goes from the answer into the table without having been a double."""
    hook = site(lambda r: (200, b'{"items": [{"sku": "a", "quantity": 19.99}, {"sku": "b", "quantity": 12345678901234567890.123456789},'
                         b' {"sku": 123456789012345678901234567890, "quantity": 98765432109876543210}]}'))
    start()
    shop.wait_job(pull(shop, hook.url), "completed")
    assert dict(shop.sql("SELECT sku, quantity::text FROM inventory")) == {"a": "19.99", "b": "12345678901234567890.123456789",
                                                                              "123456789012345678901234567890": "98765432109876543210"}


def test_pages_by_cursor(start, shop, site):
    """The cursor goes out as the parameter of its name; the next sync begins where this one ended."""
    feed = [items(0, 3), items(3, 6)]

    def answer(request):
        at = int(query(request).get("after", 0))
        return 200, {"data": {"rows": feed[at] if at < len(feed) else []}, "meta": {"cursor": min(at + 1, len(feed))}}
    hook = site(answer)
    start()
    keys = {"items": "data.rows", "cursor": "meta.cursor", "cursor_param": "after"}
    shop.wait_job(pull(shop, hook.url + "/feed?x=1", **keys), "completed")
    assert len(rows(shop)) == 6 and state(shop)["cursor"] == "2"
    feed.append(items(6, 9))
    shop.wait_job(pull(shop, hook.url + "/feed?x=1", **keys), "completed")
    assert len(rows(shop)) == 9 and all(query(r)["x"] == "1" for r in hook.requests)
    assert [query(r).get("after") for r in hook.requests] == [None, "1", "2", "2", "3"]


def test_pages_by_number(start, shop, site):
    """Pages are asked for until one is empty."""
    feed = {1: items(0, 3), 2: items(3, 5)}
    hook = site(lambda r: (200, feed.get(int(query(r)["page"]), [])))
    start()
    shop.wait_job(pull(shop, hook.url, page="page"), "completed")
    assert len(rows(shop)) == 5 and [query(r)["page"] for r in hook.requests] == ["1", "2", "3"]


def test_link_header(start, shop, site):
    """Lists at the top, the next page in a Link header."""
    hook = site(lambda r: (200, items(3, 5)) if "p" in query(r) else (200, items(0, 3), {"Link": "</x>; rel=\"prev\", </?p=2>; rel=\"next\""}))
    start()
    shop.wait_job(pull(shop, hook.url), "completed")
    assert len(rows(shop)) == 5 and len(hook.requests) == 2


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_nothing_new(start, shop, site, validator):
    """ETag and Last-Modified come back as questions; 304 ends the sync. With "full" nothing is asked."""
    value, question = {"ETag": ('W/"v1"', "If-None-Match"), "Last-Modified": ("Wed, 21 Oct 2026 07:28:00 GMT", "If-Modified-Since")}[validator]
    hook = site(lambda r: (304, b"") if r.headers[question] == value else (200, {"items": items(0, 3)}, {validator: value}))
    start()
    for _ in range(2):
        row = shop.wait_job(pull(shop, hook.url), "completed")
    assert row["result"]["unchanged"] is True and row["result"]["pages"] == 0 and hook.requests[1].headers[question] == value
    row = shop.wait_job(pull(shop, hook.url, full=True), "completed")
    assert row["result"] == {"pages": 1, "items": 3, "inserted": 0, "updated": 0, "unchanged": False, "bad": 0, "errors": None}
    assert hook.requests[2].headers[question] is None


def test_no_content(start, shop, site):
    """204 is no page, and the position stays where it was."""
    hook = site(lambda r: (204, b""))
    start()
    assert shop.wait_job(pull(shop, hook.url), "completed")["result"]["items"] == 0 and rows(shop) == {}


@pytest.mark.parametrize("keys", [{"page": "page"}, {}], ids=["number", "link"])
def test_no_content_behind_the_last_page(start, shop, site, keys):
    """204 where a page was to come: it was the last one, and the next sync begins at the front again."""
    feed = {1: items(0, 3), 2: items(3, 5)}

    def answer(request):
        n = int(query(request).get("page", 1))
        return (200, {"items": feed[n], "next": f"?page={n + 1}"}) if n in feed else (204, b"")
    hook = site(answer)
    start()
    row = shop.wait_job(pull(shop, hook.url, **keys), "completed")
    assert (row["result"]["pages"], row["result"]["unchanged"]) == (2, False) and state(shop) == {}
    feed[1].append({"sku": "new", "quantity": 1})
    shop.wait_job(pull(shop, hook.url, **keys), "completed")
    assert "new" in rows(shop) and len(hook.requests) == 6


def test_not_modified_unasked(start, shop, site):
    """304 to a page that was asked for without a condition is no end: the sync fails, and says what is odd."""
    hook = site(lambda r: (304, b"") if "p" in query(r) else (200, {"items": items(0, 3), "next": "?p=1"}))
    start()
    assert "page 2: 127.0.0.1 answered 304 (it was not asked what is new)" in shop.wait_job(pull(shop, hook.url), "failed")["error_message"]


def test_a_cursor_that_is_lost(start, shop, site):
    """The service knows its cursor no more: the sync fails and says what helps, and that helps."""
    known = ["1"]

    def answer(request):
        cursor = query(request).get("cursor")
        return (200, {"items": items(0, 3) if cursor is None else [], "cursor": known[0]}) if cursor in (None, *known) else (410, b"gone")
    hook = site(answer)
    start()
    shop.wait_job(pull(shop, hook.url, cursor="cursor"), "completed")
    known[0] = "2"
    row = shop.wait_job(pull(shop, hook.url, cursor="cursor"), "failed")
    assert 'answered 410: gone (asked from the position that was kept; "full": true begins afresh)' in row["error_message"]
    shop.wait_job(pull(shop, hook.url, cursor="cursor", full=True), "completed")
    assert state(shop)["cursor"] == "2"


def test_etag_of_one_page_of_many_says_nothing(start, shop, site):
    """A first page that did not change does not hide a second that did."""
    pages, etag = [items(0, 3), items(3, 6)], {"ETag": "same"}

    def answer(request):
        n = int(query(request).get("p", 0))
        if request.headers["If-None-Match"]:
            return 304, b""
        return 200, {"items": pages[n], "next": "?p=1" if n == 0 else None}, etag
    hook = site(answer)
    start()
    shop.wait_job(pull(shop, hook.url), "completed")
    pages[1] = items(3, 9)
    shop.wait_job(pull(shop, hook.url), "completed")
    assert len(rows(shop)) == 9


def test_older_never_overwrites_newer(start, shop, site):
    """By version: older changes nothing, the same or newer does; of two of one key in a page the newer wins; without a version it is older."""
    shop.sql("INSERT INTO inventory (store_id, sku, quantity, rev) VALUES ('acme', 'a', 10, 5), ('acme', 'b', 10, 5), ('acme', 'c', 10, 5), ('acme', 'd', 10, NULL)")
    page = [{"sku": "a", "quantity": 1, "rev": 4}, {"sku": "b", "quantity": 1, "rev": 6}, {"sku": "c", "quantity": 1}, {"sku": "d", "quantity": 1, "rev": 1},
            {"sku": "e", "quantity": 2, "rev": 2}, {"sku": "e", "quantity": 1, "rev": 1}, {"sku": "b", "quantity": 0, "rev": 3}]
    hook = site(lambda r: (200, {"items": page}))
    start()
    row = shop.wait_job(pull(shop, hook.url, version="rev"), "completed")
    assert rows(shop) == {"a": 10, "b": 1, "c": 10, "d": 1, "e": 2} and (row["result"]["inserted"], row["result"]["updated"]) == (1, 2)


def test_an_answer_that_was_overtaken_is_thrown_away(start, shop, site):
    """Two syncs of the same at once, no version: what was fetched first and comes second does not overwrite; that job starts afresh."""
    slow, first = threading.Event(), threading.Event()
    stock = {"n": 1}

    def answer(request):
        seen = stock["n"]
        if not first.is_set():
            first.set()
            slow.wait(30)
        return 200, {"items": [{"sku": "a", "quantity": seen}]}
    hook = site(answer)
    start()
    old = pull(shop, hook.url)
    wait_until(first.is_set, "the first request")
    stock["n"] = 2
    shop.wait_job(pull(shop, hook.url), "completed")
    assert rows(shop) == {"a": 2}
    slow.set()
    row = shop.wait_job(old, "completed")
    assert rows(shop) == {"a": 2} and row["retry_count"] == 0 and len(hook.requests) == 3


def test_missing_members_are_left_alone(start, shop, site):
    """A column that an item does not have stays as it is; null is a value."""
    shop.sql("INSERT INTO inventory (store_id, sku, quantity, name) VALUES ('acme', 'a', 1, 'A'), ('acme', 'b', 1, 'B'), ('acme', 'c', 1, 'C')")
    hook = site(lambda r: (200, {"items": [{"id": "a", "n": {"q": 2}}, {"id": "b", "title": None}, {"id": "c", "n": {"q": 3}, "title": "CC"}, {"id": 7}]}))
    start()
    shop.wait_job(pull(shop, hook.url, columns={"id": "sku", "n.q": "quantity", "title": "name"}), "completed")
    assert sorted(shop.sql("SELECT sku, quantity::int, name FROM inventory")) == [("7", None, None), ("a", 2, "A"), ("b", 1, None), ("c", 3, "CC")]


@pytest.mark.parametrize("point", ["before_effect=kill", "sync_merged=kill", "sync_merged=kill,2", "sync_commit_sent=kill", "sync_commit_sent=kill,2",
                                   "after_effect=kill", "before_complete=kill", "before_ack=kill"])
def test_killed_at(start, shop, site, point):
    """Killed at each point of the way: rows and completion are there once, the position with them, and no try is burnt."""
    hook = site(linked([items(0, 50), items(50, 100)]))
    start(fault=point)
    row = shop.wait_job(pull(shop, hook.url), "completed", 60)
    assert row["retry_count"] == 0 and len(rows(shop)) == 100 and state(shop) == {}
    assert len(hook.requests) <= 3  # the page that was under way, once more


@pytest.mark.parametrize("word,reply", [(b"jobq.sync_look", False), (b"jobq.sync_keep", False), (b"WITH page", False), (b"jobq.set_progress", False),
                                        (b"jobq.complete", False), (b"COMMIT", False), (b"COMMIT", True)])
def test_connection_cut(daemon, shop, site, pg, where, word, reply):
    """The connection is cut between a statement and its answer, the COMMIT's included: rows once, no try burnt."""
    hook = site(linked([items(0, 50), items(50, 100)]))
    proxy = Proxy(f"{where}/proxy", f"{pg.dir}/.s.PGSQL.{pg.port}").start()
    try:
        d = daemon(shop, {"sync": {"handler": "sync", "tables": "inventory", "tenant_column": "store_id", "allow_private": "on", "workers": 1,
                                   "max_retries": 0, "pool": "cut"}})
        d.sections["pool cut"] = {"database": shop.dsn(host=proxy.dir), "min": 0, "idle_timeout": "0"}
        d.write()
        d.start()
        proxy.cut_after_word(word, reply)
        row = shop.wait_job(pull(shop, hook.url), "completed", 60)
        assert proxy.cuts == 1 and row["retry_count"] == 0 and len(rows(shop)) == 100 and state(shop) == {}
    finally:
        proxy.stop()


def test_bad_items_can_be_passed_over(start, shop, site):
    """bad_rows = collect: what the table or the key refuses is counted and told, the rest is merged; without it the first one fails the job."""
    shop.sql("ALTER TABLE inventory ADD CHECK (quantity < 100)")
    page = [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": "many"}, {"quantity": 1}, 7, {"sku": "c", "quantity": 100}, {"sku": "d", "quantity": [1]},
            {"sku": "e", "quantity": 2, "name": "E"}, {"sku": "f", "rev": 1.5}]
    hook = site(lambda r: (200, {"items": page}))
    start(max_retries=0)
    row = shop.wait_job(pull(shop, hook.url, bad_rows="collect"), "completed")
    assert rows(shop) == {"a": 1, "e": 2} and (row["result"]["items"], row["result"]["inserted"], row["result"]["bad"]) == (8, 2, 6)
    assert [e.split(":")[0].split(" is")[0].split(" has")[0] for e in sorted(row["result"]["errors"])] == [f"page 1, item {n}" for n in (2, 3, 4, 5, 6, 8)]
    del page[2:4]
    assert "page 1, item 2: invalid input" in shop.wait_job(pull(shop, hook.url, tenant="other"), "failed")["error_message"] and rows(shop, "other") == {}


def test_killed_between_pages(start, shop, site):
    """kill -9 while the third page is out: two are there with the position behind them, and the next run asks for the third."""
    hold = threading.Event()

    def answer(request):
        if len(hook.requests) == 3:
            hold.wait(30)
        return linked([items(n * 10, n * 10 + 10) for n in range(4)])(request)
    hook = site(answer)
    d = start(workers=1)
    job = pull(shop, hook.url)
    wait_until(lambda: len(hook.requests) == 3, "the third request")
    assert len(rows(shop)) == 20 and state(shop) == {"next": hook.url + "/?p=2"}
    assert shop.job(job)["progress_note"] == "20 items pulled"
    os.kill(d.pids("worker")[0], 9)
    row = shop.wait_job(job, "completed")
    hold.set()
    assert row["retry_count"] == 0 and len(rows(shop)) == 40
    assert [query(r).get("p") for r in hook.requests] == [None, "1", "2", "2", "3"]


def test_cursor_exactly_with_rows(start, shop, site):
    """A page that the table refuses leaves the position where it was; the page before it is there with its own."""
    shop.sql("ALTER TABLE inventory ADD CHECK (quantity < 100)")
    pages = [items(0, 10), [{"sku": "ok", "quantity": 1}, {"sku": "bad", "quantity": 100}]]
    hook = site(linked(pages))
    start()
    row = shop.wait_job(pull(shop, hook.url), "failed")
    assert "page 2" in row["error_message"] and "inventory_quantity_check" in row["error_message"]
    assert len(rows(shop)) == 10 and state(shop) == {"next": hook.url + "/?p=1"}
    pages[1][1]["quantity"] = 99
    row = shop.wait_job(pull(shop, hook.url), "completed")
    assert len(rows(shop)) == 12 and row["result"]["pages"] == 1


@pytest.mark.parametrize("status,headers", [(429, {"Retry-After": "2"}), (503, {"Retry-After": "2"})])
def test_retry_after_counts_for_the_tenant(start, shop, site, status, headers):
    """One tenant's shop asks for a pause: none of that tenant's syncs calls it, whatever they sync; the others go on; no try is burnt."""
    refusing = threading.Event()
    refusing.set()
    hook = site(lambda r: (status, b"", headers) if refusing.is_set() and "acme" in r.path else (200, {"items": items(0, 3)}))
    start(max_retries=0)
    first = pull(shop, hook.url + "/acme")
    wait_until(lambda: shop.one("SELECT count(*) FROM jobq.sync_waits") == 1, "the wait to be noted")
    second, other = pull(shop, hook.url + "/acme/2"), pull(shop, hook.url + "/other", tenant="other")
    shop.wait_job(other, "completed")
    refusing.clear()
    for job in (first, second):
        assert shop.wait_job(job, "completed")["retry_count"] == 0
    acme = [r.at for r in hook.requests if "acme" in r.path]
    assert acme[1] - acme[0] >= 1.9 and shop.one("SELECT count(*) FROM jobq.sync_waits") == 0


@pytest.mark.parametrize("after", ["0", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_retry_after_that_says_nothing(start, shop, site, after):
    """At once, in the past, or no time at all: the host is left alone for a time that grows, instead of being asked without a pause."""
    hook = site(lambda r: (429, b"", {"Retry-After": after}) if len(hook.requests) <= 2 else (200, {"items": items(0, 3)}))
    start(max_retries=0)
    assert shop.wait_job(pull(shop, hook.url), "completed")["retry_count"] == 0
    first, second, third = [r.at for r in hook.requests]
    assert second - first >= 0.9 and third - second >= 1.9


def cases(start, shop, site, table, **keys):
    """One job for each case, of a tenant of its own (waits are tenants' own), at a path of its own; the rows of the jobs when all have failed."""
    hook = site(lambda r: table[int(r.path[1:].split("?")[0])][0])
    start(**keys)
    ids = [pull(shop, f"{hook.url}/{n}", tenant=f"t{n}") for n in range(len(table))]
    shop.settle("sync")
    seen = [shop.job(i) for i in ids]
    assert [(n, r["status"], r["error_message"]) for n, r in enumerate(seen) if r["status"] != "failed" or table[n][1] not in r["error_message"]] == []
    assert shop.one("SELECT count(*) FROM inventory") == 0
    return seen, hook


def test_tried_again(start, shop, site):
    """What may pass is tried again, after a wait that grows, and fails with the reason when it does not."""
    table = [((500, b"oops"), "answered 500: oops"), ((408, b""), "408"), (None, "did not answer"), (b"nonsense\r\n\r\n", "did not answer"),
             ((200, b"<html>"), "not JSON"), ((200, b"[" * 100000), "not JSON"), ((200, {"a": 1}), "no list"), ((200, {"items": [7]}), "item 1 is not an object"),
             ((200, {"items": [{"quantity": 1}]}), "has no key"), ((200, b'{"items": [{"sku": "a\\u0000"}]}'), "not JSON")]
    seen, hook = cases(start, shop, site, table, max_retries=1)
    assert {r["retry_count"] for r in seen} == {1} and len(hook.requests) == 2 * len(table)


def test_failed_at_once(start, shop, site):
    """What will not pass fails the job with the reason, and nothing of it is in the table."""
    table = [((404, b"no\x00such\xff"), "answered 404"), ((401, b""), "401"), ((302, b"", {"Location": "http://127.0.0.1:1/"}), "redirects are not followed"),
             ((206, {"items": []}), "206"), ((200, b" " * (9 << 20)), "larger than 8 MB"), ((200, {"items": [], "next": "http://127.0.0.2/x"}), "another host"),
             ((200, {"items": [], "next": "file:///etc/passwd"}), "another host"), ((200, {"items": [{"sku": "a", "quantity": "many"}]}), "merging page 1, item 1"),
             ((200, {"items": [{"sku": "a", "quantity": [1]}]}), "merging page 1, item 1")]
    seen, hook = cases(start, shop, site, table)
    assert {r["retry_count"] for r in seen} == {0} and len(hook.requests) == len(table)


def test_endless_pages(start, shop, site):
    """A service without a last page is left after page_limit; one that links to itself at once."""
    hook = site(lambda r: (200, {"items": [], "next": "?p=" + str(int(query(r).get("p", 0)) + 1)}) if "/loop" not in r.path else (200, {"items": [], "next": r.path}))
    start(page_limit=5)
    assert "page_limit" in shop.wait_job(pull(shop, hook.url), "failed")["error_message"] and len(hook.requests) == 5
    assert "itself" in shop.wait_job(pull(shop, hook.url + "/loop"), "failed")["error_message"]


def test_bad_payloads(start, shop, site):
    """A payload that cannot be: failed at once, with the reason, and nobody is called but for what only the table can tell."""
    hook = site(lambda r: (200, {"items": [{"sku": "a", "quantity": 1, "store_id": "other"}]}))
    start()
    table = [({"table": "pg_authid"}, "may sync"), ({"table": "nothing"}, "may sync"), ({"key": ["nokey"]}, "no column \"nokey\""),
             ({"version": "revision"}, "no column"), ({"columns": {"a": "sku", "b": "store_id"}}, "always the job's tenant"), ({"typo": 1}, "unknown key"),
             ({"key": ["quantity"]}, "ON CONFLICT")]
    ids = [pull(shop, hook.url, **keys) for keys, _ in table]
    for job, (_, words) in zip(ids, table):
        row = shop.wait_job(job, "failed")
        assert words in row["error_message"] and row["retry_count"] == 0
    assert shop.one("SELECT count(*) FROM inventory") == 0 and len(hook.requests) == 1


def test_no_tenant(start, shop, site):
    start()
    assert "no tenant" in shop.wait_job(pull(shop, "https://shop.example/", tenant=None), "failed")["error_message"]


def test_addresses_that_are_not_called(start, shop, site):
    """A tenant's URL leads to no private address, by number or by name."""
    hook = site(lambda r: (200, {"items": []}))
    start(allow_private="off")
    for host in ("127.0.0.1", "localhost", "127.1", "[::ffff:7f00:1]", "0.0.0.0"):
        row = shop.wait_job(pull(shop, f"http://{host}:{hook.port}/"), "failed")
        assert "not public" in row["error_message"] and row["retry_count"] == 0
    assert not hook.requests


def test_hosts_that_are_not_listed(start, shop, site):
    hook = site(lambda r: (200, {"items": []}))
    start(allow_hosts="shop.example, *.shop.example")
    assert "allow_hosts" in shop.wait_job(pull(shop, hook.url), "failed")["error_message"] and not hook.requests


def test_headers(start, shop, site, where):
    """Configured headers go to the listed host; secrets in them are in no log and no error."""
    secret = os.path.join(where, "token")
    with open(secret, "w", encoding="ascii") as f:
        f.write("Bearer hidden-token\n")
    os.chmod(secret, 0o600)
    hook = site(lambda r: (400, b""))
    d = start(allow_hosts="127.0.0.1", headers=[f"Authorization: file:{secret}", "X-Api: 7"])
    row = shop.wait_job(pull(shop, hook.url + "/?key=hidden-key"), "failed")
    assert hook.requests[0].headers["Authorization"] == "Bearer hidden-token" and hook.requests[0].headers["X-Api"] == "7"
    assert not [h for h in ("hidden-token", "hidden-key") if h in d.text() or h in row["error_message"]]


def test_cancel(start, shop, site):
    """A cancel while a page is out: the job ends, what was merged stays."""
    hold = threading.Event()

    def answer(request):
        if "p" in query(request):
            hold.wait(30)
        return linked([items(0, 10), items(10, 20)])(request)
    hook = site(answer)
    start()
    job = pull(shop, hook.url)
    wait_until(lambda: len(hook.requests) == 2, "the second request")
    shop.one("SELECT jobq.cancel(%s)", [job])
    shop.wait_job(job, "cancelled")
    hold.set()
    stays(lambda: len(rows(shop)) == 10, "the first page alone", 0.3)


def test_silence_is_cut_off(start, shop, site):
    """A service that never ends its answer costs job_timeout; the next try goes on from the last page."""
    hold = threading.Event()

    def answer(request):
        if len(hook.requests) == 2:
            hold.wait(30)
        return linked([items(0, 10), items(10, 20)])(request)
    hook = site(answer)
    start(job_timeout="1s")
    row = shop.wait_job(pull(shop, hook.url), "completed")
    hold.set()
    assert row["retry_count"] == 1 and len(rows(shop)) == 20 and [query(r).get("p") for r in hook.requests] == [None, "1", "1"]


def test_second_sync_is_merged(start, shop, site):
    """on_duplicate = replace: what is enqueued while one runs makes it run once more, so no change is lost."""
    hold, stock = threading.Event(), {"n": 1}

    def answer(request):
        seen = stock["n"]
        if len(hook.requests) == 1:
            hold.wait(30)
        return 200, {"items": [{"sku": "a", "quantity": seen}]}
    hook = site(answer)
    start()
    payload = {"url": hook.url, "direction": "pull", "table": "inventory", "key": ["sku"]}
    args = {"tenant_id": "acme", "unique_key": "sync:inventory", "on_duplicate": "replace"}
    first = shop.enqueue("sync", payload, **args)
    wait_until(lambda: hook.requests, "the first request")
    stock["n"] = 2
    assert shop.enqueue("sync", payload, **args) == shop.enqueue("sync", payload, **args) == first
    hold.set()
    wait_until(lambda: rows(shop) == {"a": 2}, "the second run")
    shop.settle("sync")
    assert len(hook.requests) == 2 and shop.one("SELECT count(*) FROM jobq.jobs") == 1


def test_database_goes_away(start, shop, site):
    """The handler's connections are ended in the middle: no try is burnt, rows are there once."""
    pages = [items(n * 10, n * 10 + 10) for n in range(20)]
    inner, ended = linked(pages), []

    def answer(request):
        if len(hook.requests) in (3, 6, 9):
            ended.append(shop.one("SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'jobqd pool%') AS all_of_them"))
        return inner(request)
    hook = site(answer)
    start(workers=1, max_retries=0)
    row = shop.wait_job(pull(shop, hook.url), "completed", 60)
    assert row["retry_count"] == 0 and len(rows(shop)) == 200 and len(ended) == 3 and all(ended)


def test_another_database(daemon, db, pg, site):
    """The table is in a database that is not the queue's: rows and position are one transaction there, the job is completed after it."""
    other = Database(pg, db.name + "b").create()
    try:
        other.sql(TABLE)
        hook = site(linked([items(0, 10), items(10, 20)]))
        d = daemon(db, {"sync": {"handler": "sync", "tables": "inventory", "tenant_column": "store_id", "allow_private": "on", "workers": 1, "pool": "shop"}})
        d.sections["pool shop"] = {"database": other.dsn()}
        d.write()
        d.start()
        row = db.wait_job(pull(db, hook.url), "completed")
        assert row["result"]["inserted"] == 20 and len(rows(other)) == 20 and other.one("SELECT count(*) FROM jobq.sync_state") == 1
        assert db.one("SELECT count(*) FROM jobq.sync_state") == 0
    finally:
        other.drop()


def test_no_position_can_be_kept(daemon, db, site, own_pg):
    """A database without jobq: the job fails, and says what to do."""
    own_pg.sql("CREATE DATABASE plain")
    hook = site(lambda r: (200, {"items": []}))
    d = daemon(db, {"sync": {"handler": "sync", "tables": "inventory", "tenant_column": "store_id", "allow_private": "on", "workers": 1, "pool": "shop"}})
    d.sections["pool shop"] = {"database": own_pg.dsn("plain")}
    d.write()
    d.start()
    assert "jobqctl migrate" in db.wait_job(pull(db, hook.url), "failed")["error_message"] and not hook.requests
