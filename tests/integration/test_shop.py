"""contrib/examples/shop: a queue for each of a shop's job types, as it is shipped, on real files, tables and HTTP servers."""
import configparser
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from urllib.parse import urlsplit

import pytest
from harness.paths import JOBQD, SOURCE
from harness.wait import wait_until

SHOP = os.path.join(SOURCE, "contrib", "examples", "shop")
INSTALLED = "/usr/share/doc/jobq/examples/shop"


def text(name):
    with open(os.path.join(SHOP, name), encoding="utf-8") as f:
        return f.read()


def statements(**replaced):
    """The statements of enqueue.sql, in order."""
    sql = "\n".join(line for line in text("enqueue.sql").splitlines() if not line.startswith("--"))
    for old, new in replaced.items():
        assert old in sql, old
        sql = sql.replace(old, new)
    return [s.strip() for s in sql.split(";\n") if s.strip()]


class Shop:
    def __init__(self, db, where, site):
        self.db, self.dir = db, os.path.join(where, "shop")
        for name in ("translations", "imports/acme", "archives", "plugins"):
            os.makedirs(os.path.join(self.dir, name))
        db.sql(text("shop.sql"))
        self.stock = [{"sku": "a", "quantity": 5, "updated_at": "2030-01-01T00:00:00Z"}, {"sku": "b", "quantity": 7, "updated_at": "2030-01-01T00:00:00Z"}]
        self.warehouse = site(lambda request: (200, {"items": self.stock}))
        self.refused = {"sku-7"}
        self.market = site(self.listing)
        self.put("token", "Bearer t0ken")

    def listing(self, request):
        listing = self.body(request)
        return (422, {"error": "no such category"}) if listing["sku"] in self.refused else (204,)

    @staticmethod
    def body(request):
        return json.loads(request.body)["jobs"][0]["payload"]

    def put(self, name, data):
        with open(os.path.join(self.dir, name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    def queues(self):
        """shop.conf, moved to where the test's files and servers are."""
        conf = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        conf.read_string(text("shop.conf").replace(INSTALLED, SHOP).replace("/srv/shop", self.dir).replace("/etc/shop/marketplace-token", os.path.join(self.dir, "token"))
                         .replace("https://marketplace.example", self.market.url).replace("warehouse.example", urlsplit(self.warehouse.url).hostname))
        queues = {name.removeprefix("queue "): dict(conf[name]) for name in conf.sections() if name.startswith("queue ")}
        for name in ("inventory", "exports"):
            queues[name]["allow_private"] = "on"
        queues["*"]["retry_backoff"] = "fixed 100ms"
        return queues

    def enqueue(self, what, **replaced):
        return self.db.one(next(s for s in statements(**replaced) if f"'{what}'" in s))


@pytest.fixture
def shop(db, where, site):
    return Shop(db, where, site)


@pytest.fixture
def running(shop, daemon):
    shop.daemon = daemon(shop.db, shop.queues()).start()
    return shop


def test_configuration_as_shipped(where):
    """It loads as it stands, but for the secret that is not there."""
    path = os.path.join(where, "shop.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text("shop.conf").replace("file:/etc/shop/marketplace-token", "Bearer x"))
    done = subprocess.run([JOBQD, "-t", "-c", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_translations(running):
    listener = running.db.connect("jobq_reader")
    listener.cursor().execute("LISTEN translations")
    job = running.enqueue("translations")
    wait_until(lambda: "fi.json" in (running.db.job(job)["error_message"] or ""), "the first try, without a memory")
    running.put("translations/fi.json", json.dumps({"Your cart is empty": "Ostoskorisi on tyhjä", "Hello {name}": "Hei {name}"}))
    row = running.db.wait_job(job, "completed")
    assert row["result"] == {"translated": {"cart.empty": "Ostoskorisi on tyhjä", "hello": "Hei {name}"}, "missing": ["new"]} and row["priority"] == 2
    wait_until(lambda: listener.poll() or listener.notifies, "the word")
    assert json.loads(listener.notifies[0].payload) == {"id": str(job), "status": "completed"}
    listener.close()
    running.put("translations/sv.json", json.dumps({"Hello {name}": "Hej"}))
    bad = running.db.enqueue("translations", {"locale": "sv", "strings": {"hello": "Hello {name}"}})
    assert "placeholders" in running.db.wait_job(bad, "failed")["error_message"]
    for payload in ({"locale": "../fi", "strings": {}}, {"locale": "fi"}, {"locale": "fi", "strings": 7}, []):
        assert running.db.wait_job(running.db.enqueue("translations", payload), "failed")["retry_count"] == 0


def test_imports(running):
    running.put("imports/acme/products.csv", "sku,name,price\n" + "".join(f"sku-{n},Product {n},{n}.50\n" for n in range(1000)))
    first, second = running.enqueue("imports"), running.enqueue("imports")
    row = running.db.wait_job(first, "completed")
    assert row["result"]["inserted"] == 1000 and row["user_id"] == "ann"
    if second != first:
        running.db.wait_job(second, "completed")
    assert running.db.sql("SELECT count(*), min(store_id), sum(price) FROM shop.products") == [(1000, "acme", 500000)]


def test_inventory(running):
    """A hundred wishes at once are few syncs, and the last change is seen."""
    job = running.enqueue("inventory", **{"https://warehouse.example": running.warehouse.url})
    running.db.wait_job(job, "completed")
    for n in range(100):
        running.stock[0] = {"sku": "a", "quantity": n, "updated_at": f"2030-01-02T00:00:00.{n:03d}Z"}
        running.enqueue("inventory", **{"https://warehouse.example": running.warehouse.url})
    running.db.settle("inventory")
    assert running.db.sql("SELECT store_id, sku, quantity FROM shop.inventory ORDER BY sku") == [("acme", "a", 99), ("acme", "b", 7)]
    assert running.db.one("SELECT count(*) FROM jobq.jobs WHERE queue = 'inventory' AND status <> 'completed'") == 0


def archive(names, link=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
        if link:
            info = tarfile.TarInfo("way-out")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)
    return out.getvalue(), hashlib.sha256(out.getvalue()).hexdigest()


def test_plugins(running):
    data, digest = archive(["seo.php", "lib/a.php"])
    shipped = re.search(r'"sha256": "(\w+)"', text("enqueue.sql")).group(1)
    job = running.enqueue("plugins", **{shipped: digest, "date_trunc('day', now()) + interval '23 hours'": "now()"})
    wait_until(lambda: "not there yet" in (running.db.job(job)["error_message"] or ""), "the try without an archive")
    running.put("archives/seo-1.2.0.tar.gz", data)
    assert running.db.wait_job(job, "completed")["result"] == {"version": "1.2.0", "files": 2}
    with open(os.path.join(running.dir, "plugins/seo/current/lib/a.php"), encoding="ascii") as f:
        assert f.read() == "lib/a.php"
    again = running.db.enqueue("plugins", {"plugin": "seo", "version": "1.2.0", "archive": "seo-1.2.0.tar.gz", "sha256": digest})
    assert running.db.wait_job(again, "completed")["result"]["files"] == 2


@pytest.mark.parametrize("what, says", [("checksum", "another checksum"), ("outside", "outside of itself"), ("link", "more than files"), ("name", 'no good "plugin"')])
def test_bad_plugins(running, what, says):
    data, digest = archive(["../../evil"] if what == "outside" else ["x"], link="/etc" if what == "link" else None)
    running.put("archives/p.tar.gz", data)
    job = running.db.enqueue("plugins", {"plugin": "../p" if what == "name" else "p", "version": "1", "archive": "p.tar.gz",
                                         "sha256": "0" * 64 if what == "checksum" else digest})
    row = running.db.wait_job(job, "failed")
    assert says in row["error_message"] and row["retry_count"] == 0
    assert not os.path.exists(os.path.join(running.dir, "plugins/p/current")) and not os.path.exists(os.path.join(running.dir, "evil"))


def test_exports(running):
    """Each listing once, with its last state; the marketplace's refusal is that job's failure alone."""
    running.db.sql("INSERT INTO shop.products SELECT 'acme', 'sku-' || n, 'Product ' || n, n FROM generate_series(1, 20) n")
    running.daemon.ctl("pause", "exports")
    assert running.enqueue("exports") == 20
    running.db.sql("UPDATE shop.products SET price = price + 100")
    assert running.enqueue("exports") == 20 and running.db.one("SELECT count(*) FROM jobq.jobs WHERE queue = 'exports'") == 20
    running.daemon.ctl("resume", "exports")
    running.db.settle("exports")
    assert running.db.statuses("exports") == {"completed": 19, "failed": 1}
    listed = [running.body(r) for r in running.market.requests]
    assert sorted(p["price"] for p in listed) == list(range(101, 121))
    assert {r.headers["Authorization"] for r in running.market.requests} == {"Bearer t0ken"}
