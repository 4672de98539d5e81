"""Files into a table: what a payload may say, what the files may look like, and what becomes of rows that do not fit."""
import json
import os
import re

import pytest

from harness.paths import SOURCE
from harness.wait import wait_until

TABLE = """
CREATE TABLE products (
    store_id text NOT NULL, sku text NOT NULL, name text, price numeric(10,2), stock integer, active boolean, added date,
    note varchar(10), PRIMARY KEY (store_id, sku))
"""


@pytest.fixture
def shop(daemon, db, where):
    """shop(**keys): a daemon with a queue `import` over a table `products`, and a directory of files for each tenant."""
    class Shop:
        def __init__(self, **keys):
            db.sql(TABLE + "; GRANT SELECT, INSERT, UPDATE ON products TO jobq_worker")
            self.files = os.path.join(where, "files")
            os.makedirs(os.path.join(self.files, "acme"))
            section = {"import_dir": self.files + "/%t", "tables": "products, public.other", "tenant_column": "store_id", "workers": 1,
                       "retry_backoff": "fixed 100ms", **keys}
            self.daemon = daemon(db, {"import": {k: v for k, v in section.items() if v is not None}}).start()

        def write(self, name, data, tenant="acme"):
            path = os.path.join(self.files, tenant, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data if isinstance(data, bytes) else data.encode())
            return path

        def enqueue(self, source, tenant="acme", **payload):
            return db.enqueue("import", {"source": source, "table": "products", "key": ["store_id", "sku"], **payload}, tenant_id=tenant)

        def run(self, name, data, **payload):
            """Writes the file, imports it; the job's row when it has ended."""
            self.write(name, data)
            return self.ended(self.enqueue(name, **payload))

        def ended(self, job):
            return wait_until(lambda: (r := db.job(job)) and r["status"] in ("completed", "failed", "cancelled", "held") and r, f"job {job} to end", 60)

        def good(self, name, data, **payload):
            row = self.run(name, data, **payload)
            assert row["status"] == "completed", row["error_message"]
            return row["result"]

        def bad(self, name, data, **payload):
            """Fails for good, with a reason, and leaves nothing."""
            before = db.sql("SELECT * FROM products ORDER BY 1, 2")
            row = self.run(name, data, **payload)
            assert row["status"] == "failed" and row["retry_count"] == 0, (row["status"], row["error_message"])
            assert db.sql("SELECT * FROM products ORDER BY 1, 2") == before
            return row["error_message"]

        def rows(self, columns="sku, name, price"):
            return db.sql(f"SELECT {columns} FROM products ORDER BY store_id, sku")

    return Shop


def counts(result):
    return tuple(result[k] for k in ("inserted", "updated", "ignored", "bad"))


def test_inserts_then_updates(shop, db):
    """A header names the columns; the key says what is new and what changes; the tenant is always the job's."""
    s = shop()
    result = s.good("a.csv", "sku,name,price,store_id\n1,Tea,2.50,other\n2,Coffee,3,acme\n")
    assert counts(result) == (2, 0, 0, 0) and result["rows"] == 2
    assert s.rows("store_id, sku, name, price::text") == [("acme", "1", "Tea", "2.50"), ("acme", "2", "Coffee", "3.00")]
    assert counts(s.good("b.csv", "sku,name\n2,Espresso\n3,Milk\n")) == (1, 1, 0, 0)
    assert s.rows("sku, name, price::text") == [("1", "Tea", "2.50"), ("2", "Espresso", "3.00"), ("3", "Milk", None)]
    assert counts(s.good("c.csv", "sku,name\n3,Water\n4,Juice\n", on_conflict="ignore")) == (1, 0, 1, 0)
    assert "duplicate key" in s.bad("d.csv", "sku,name\n5,Beer\n4,Wine\n", on_conflict="fail")


def test_awkward_csv(shop, db):
    """Quotes, separators and line ends inside fields, a byte-order mark, CR LF, blank lines, empty against quoted empty, no last line end."""
    s = shop()
    data = b'\xef\xbb\xbfsku,name,note\r\n1,"a ""quoted"", name",x\r\n\r\n2,"two\r\nlines\n\\.\n",""\r\n3,,\r\n4,"\xc3\xa4\xe2\x82\xac",\\.\r\n5,\\N,last'
    assert counts(s.good("a.csv", data)) == (5, 0, 0, 0)
    assert s.rows("sku, name, note") == [("1", 'a "quoted", name', "x"), ("2", "two\r\nlines\n\\.\n", ""), ("3", None, None), ("4", "ä€", "\\."), ("5", "\\N", "last")]


def test_delimiters_and_maps(shop, db):
    s = shop()
    s.good("a.csv", "Code;Text;Rubbish\n1;Tea;x\n", delimiter=";", columns={"Code": "sku", "Text": "name"})
    s.good("b.tsv", "2\tx\tCoffee\n", delimiter="\t", columns=["sku", None, "name"])
    s.good("c.csv", "sku,name\n3,Milk\n", header=True)
    assert "twice" in s.bad("d.csv", "sku,a,a\n4,Tea,Milk\n", columns={"sku": "sku", "a": "name"})
    assert s.rows("sku, name") == [("1", "Tea"), ("2", "Coffee"), ("3", "Milk")]


def test_json_lines(shop, db):
    """Numbers keep their digits, null and missing keys are NULL, and every key must be one of the first line's."""
    s = shop()
    data = "\n".join(json.dumps(o) for o in [{"sku": "1", "name": "a\ttab \\ \n line", "price": 19.99, "active": True}, {"sku": "2", "price": None},
                                             {"name": "ä", "sku": "3"}]) + "\n" + '{"sku": 12345678901234567890123, "price": 0.10}\n  \t'
    assert counts(s.good("a.jsonl", data)) == (4, 0, 0, 0)
    assert s.rows("sku, name, price::text, active") == [
        ("1", "a\ttab \\ \n line", "19.99", True), ("12345678901234567890123", None, "0.10", None), ("2", None, None, None), ("3", "ä", None, None)]
    assert counts(s.good("b.jsonl", '{"id": "9", "x": 1}\n{"id": "8", "y": [1]}\n', columns={"id": "sku"})) == (2, 0, 0, 0)
    assert 'line 2: has a key "nam"' in s.bad("c.jsonl", '{"sku": "1", "name": "x"}\n{"sku": "2", "nam": "y"}\n')
    assert "line 2: is not JSON" in s.bad("d.jsonl", '{"sku": "1"}\n{"sku": \n')
    assert "line 1: is not a JSON object" in s.bad("e.jsonl", '[1]\n')
    assert "empty" in s.bad("f.jsonl", "")


@pytest.mark.parametrize("data,words", [
    ("sku,name\n1,a\n2\n", "line 3: has 1 columns instead of 2"),
    ("sku,name\n1,a,b\n", "line 2: has 3 columns instead of 2"),
    ("sku,price\n1,1.0\n\n2,cheap\n", 'line 4: column price: invalid input syntax for type numeric: "cheap"'),
    ("sku,price\n1,123456789.0\n", "line 2: numeric field overflow"),
    ("sku,note\n1,12345678901\n", "line 2: value too long"),
    ("sku,name\n,x\n", "line 2: null value"),
    ("sku,name\n1,\"open\n2,b\n", "line 2: a quote is opened and never closed"),
    (b"sku,name\n1,\xe4\n", "line 2: is not UTF-8"),
    (b"sku,name\n1,a\0b\n", "line 2: holds a NUL"),
    (b"sku,name\n1,a\rb\n", "line 2: holds a carriage return"),
    ("sku,name\n1," + 5000 * "x" + "\n", "line 2: longer than max_row_bytes"),
    ("sku,name\n1,\"" + 500 * "xxxxxxxxx\n" + "\"\n", "line 2: longer than max_row_bytes, over several lines"),
    (b"\xff\xfes\0k\0u\0\n\0", "the header"),
    ("", "empty"),
    ("sku,nam\n1,a\n", 'no column "nam"; did you mean "name"?'),
    ("sku,sku\n1,a\n", "twice"),
    ("name\nx\n", 'column "sku" is not among'),
    ("sku,name\n1,5\" pipe\n2,6\" pipe\n", "line 2: goes over a line's end in a quote"),
], ids=["few", "many", "number", "overflow", "long", "null", "quote", "utf8", "nul", "cr", "huge", "huge-lines", "utf16", "empty", "unknown", "double", "no-key", "inches"])
def test_bad_files(shop, data, words):
    """Nothing is imported, and the reason names the line."""
    assert words in shop(max_row_bytes="4kB").bad("a.csv", data)


def test_last_row_bad(shop, db):
    """A hundred thousand good rows and a bad last one: the line is found, and nothing stays."""
    s = shop()
    data = "sku,name,stock\n" + "".join(f"{n},n{n},{n}\n" for n in range(100000)) + "x,y,z\n"
    assert 'line 100002: column stock: invalid input syntax for type integer: "z"' in s.bad("a.csv", data)


def test_bad_rows_collected(shop, db):
    """Bad rows of every kind are passed over and noted; the others are there."""
    s = shop()
    lines = [f"{n},n{n},{n}" for n in range(3000)]
    lines[10], lines[500], lines[501], lines[2999] = "10,x", "500,x,many", "501,x,9999999999", "2999,x,y"
    lines[2000] = "2000,\xe4,1"
    data = ("sku,name,stock\n" + "\n".join(lines) + "\n").encode("latin-1")
    s.write("a.csv", data)
    job = s.enqueue("a.csv", bad_rows="collect")
    result = s.ended(job)["result"]
    assert counts(result) == (2995, 0, 0, 5) and result["rows"] == 3000
    errors = db.sql("SELECT line, reason, row, tenant_id FROM jobq.import_errors WHERE job_id = %s ORDER BY line", [job])
    assert [e[0] for e in errors] == [12, 502, 503, 2002, 3001] and {e[3] for e in errors} == {"acme"}
    assert "2 columns instead of 3" in errors[0][1] and "column stock" in errors[1][1] and "out of range" in errors[2][1] and "UTF-8" in errors[3][1]
    assert "500" in errors[1][2] and len(result["errors"]) == 5
    assert db.one("SELECT count(*) FROM products") == 2995


def test_too_many_bad_rows(shop, db):
    s = shop()
    assert "more than 1000 bad rows, the first in line 2" in s.bad("a.csv", "sku,stock\n" + "".join(f"{n},x\n" for n in range(1002)), bad_rows="collect")
    assert db.one("SELECT count(*) FROM jobq.import_errors") == 0


def test_key_twice_in_the_file(shop, db):
    """The last row of a key counts, as if they had come one after the other."""
    s = shop()
    result = s.good("a.csv", "sku,name\n1,first\n2,x\n1,second\n1,third\n")
    assert counts(result) == (2, 0, 2, 0) and s.rows("sku, name") == [("1", "third"), ("2", "x")]
    result = s.good("b.csv", "sku,name,stock\n1,a,1\n1,b,bad\n3,c,3\n1,d,4\n", bad_rows="collect")
    assert result["bad"] == 1 and s.rows("sku, name, stock") == [("1", "d", 4), ("2", "x", None), ("3", "c", 3)]


def test_other_tenants_rows(shop, db):
    """A key that does not name the tenant: rows of others are neither changed nor taken."""
    s = shop()
    db.sql("ALTER TABLE products DROP CONSTRAINT products_pkey; CREATE UNIQUE INDEX ON products (sku); INSERT INTO products VALUES ('other', '1', 'theirs')")
    assert counts(s.good("a.csv", "sku,name\n1,mine\n2,mine\n", key=["sku"])) == (1, 0, 1, 0)
    assert s.rows("store_id, sku, name") == [("acme", "2", "mine"), ("other", "1", "theirs")]


def test_constraints_and_triggers(shop, db):
    """What the table itself refuses is a bad row like any other; no unique index for the key is not."""
    s = shop()
    db.sql("ALTER TABLE products ADD CHECK (stock >= 0)")
    assert "line 3" in s.bad("a.csv", "sku,stock\n1,1\n2,-1\n")
    assert counts(s.good("b.csv", "sku,stock\n1,1\n2,-1\n3,0\n", bad_rows="collect")) == (2, 0, 0, 1)
    assert "no unique index" in s.bad("c.csv", "sku,name\n1,a\n", key=["sku"])


@pytest.mark.parametrize("payload,words", [
    ({"table": "orders"}, "not one that this queue may write"), ({"table": "other"}, "there is no table"), ({"table": "no such"}, "not the name of a table"),
    ({"table": None}, '"table" is missing'), ({"key": []}, '"key"'), ({"key": None, "on_conflict": "update"}, '"key" is missing'), ({"key": ["sku", 1]}, '"key"'),
    ({"on_conflict": "merge"}, "update, ignore or fail"), ({"bad_rows": "skip"}, "fail or collect"), ({"format": "xml"}, "csv or jsonl"),
    ({"delimiter": "xx"}, '"delimiter"'), ({"delimiter": "'"}, '"delimiter"'), ({"header": 1}, '"header"'), ({"header": False}, "needs the list"),
    ({"columns": {"a": "store_id"}}, "always the job's tenant"), ({"columns": {"sku": "sku", "a": "sku"}}, "twice"), ({"columns": "x"}, '"columns"'),
    ({"columns": {"nope": "sku"}}, 'the file has no column "nope"'), ({"colums": {}}, 'did you mean "columns"'), ({"source": ""}, '"source" is missing'),
    ({"source": "https://example.com/a.csv"}, "does not allow"), ({"source": 1}, '"source" is not a text'),
], ids=str)
def test_bad_payloads(shop, payload, words):
    s = shop()
    s.write("a.csv", "sku,name\n1,a\n")
    row = s.ended(s.enqueue(**{"source": "a.csv", **payload}))
    assert row["status"] == "failed" and words in row["error_message"], row["error_message"]


def test_hostile_names(shop, db):
    """Names of columns are names, whatever stands in them."""
    s = shop()
    db.sql('ALTER TABLE products ADD "od""d; DROP TABLE products; --" text')
    s.good("a.csv", 'sku,"od""d; DROP TABLE products; --"\n1,x\n')
    s.good("b.jsonl", json.dumps({"sku": "2", 'od"d; DROP TABLE products; --': "'; y"}))
    assert db.sql('SELECT sku, "od""d; DROP TABLE products; --" FROM products ORDER BY 1') == [("1", "x"), ("2", "'; y")]
    assert "no column" in s.bad("c.csv", "sku,\"x') ; --\"\n1,x\n")


def test_kinds_of_tables(shop, db):
    """Partitions, generated columns and other schemas are fine; a view is no table; what is only checked at COMMIT fails there."""
    s = shop(tables="shop.parts, products_view, refs")
    db.sql("CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO jobq_worker;"
           "CREATE TABLE shop.parts (store_id text, sku text, n int, twice int GENERATED ALWAYS AS (2 * n) STORED, id bigserial, PRIMARY KEY (store_id, sku))"
           " PARTITION BY LIST (store_id); CREATE TABLE shop.acme PARTITION OF shop.parts FOR VALUES IN ('acme');"
           "GRANT ALL ON ALL TABLES IN SCHEMA shop TO jobq_worker; GRANT USAGE ON ALL SEQUENCES IN SCHEMA shop TO jobq_worker;"
           "CREATE VIEW products_view AS SELECT * FROM products; GRANT ALL ON products_view TO jobq_worker;"
           "CREATE TABLE refs (store_id text, sku text, FOREIGN KEY (store_id, sku) REFERENCES products DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON refs TO jobq_worker")
    assert counts(s.good("a.csv", "sku,n\n1,4\n2,5\n", table="shop.parts")) == (2, 0, 0, 0)
    assert counts(s.good("b.csv", "sku,n\n2,6\n3,7\n", table="Shop.Parts")) == (1, 1, 0, 0)
    assert db.sql("SELECT sku, n, twice FROM shop.parts ORDER BY 1") == [("1", 4, 8), ("2", 6, 12), ("3", 7, 14)]
    assert "generated" in s.bad("c.csv", "sku,twice\n1,1\n", table="shop.parts")
    assert "is not a table" in s.bad("a.csv", "sku,n\n1,4\n", table="products_view")
    assert "foreign key" in s.bad("d.csv", "sku\n77\n", table="refs", key=None)
    assert db.one("SELECT count(*) FROM refs") == 0


def test_types(shop, db):
    """Every value is cast as PostgreSQL casts text, arrays and JSON included."""
    s = shop(tables="kinds")
    db.sql("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN small AS int CHECK (VALUE < 10);"
           "CREATE TABLE kinds (store_id text, a mood, b small, c int[], d jsonb, e bytea, f char(4), g uuid, h timestamptz, i interval, j bool, k bit(3), l xml);"
           "GRANT ALL ON kinds TO jobq_worker")
    row = ["happy", "9", '"{1,2}"', '"{""x"": [1.10]}"', "\\x00ff", "ab", "00000000-0000-0000-0000-000000000001", "2026-01-31T12:00:00Z", "1 day", "t", "101",
           "<a>1</a>"]
    assert counts(s.good("a.csv", "a,b,c,d,e,f,g,h,i,j,k,l\n" + ",".join(row) + "\n", table="kinds", key=None)) == (1, 0, 0, 0)
    assert db.sql("SELECT a::text, b, c, d::text, e, f, i::text, k::text FROM kinds") == [
        ("happy", 9, [1, 2], '{"x": [1.10]}', db.sql("SELECT '\\x00ff'::bytea")[0][0], "ab  ", "1 day", "101")] or db.one("SELECT e = '\\x00ff' FROM kinds")
    assert "column b" in s.bad("b.csv", "b\n10\n", table="kinds", key=None) and "line 2" in s.bad("c.csv", "f\n12345\n", table="kinds", key=None)
    data = '{"a": "sad", "c": "{3}", "d": {"y": null}, "j": false}\n'
    assert counts(s.good("d.jsonl", data, table="kinds", key=None)) == (1, 0, 0, 0)
    assert db.one("SELECT d::text FROM kinds WHERE a = 'sad'") == '{"y": null}'


def test_the_manuals_sample(daemon, db, where):
    """docs/import.md, block by block: what it says is what happens."""
    with open(os.path.join(SOURCE, "docs/import.md"), encoding="utf-8") as f:
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", f.read(), re.M | re.S)
    (table, job), (ini,), (csv,), (result,) = ([text for kind, text in blocks if kind == wanted] for wanted in ("sql", "ini", "csv", "json"))
    db.sql(table)
    os.makedirs(os.path.join(where, "acme"))
    with open(os.path.join(where, "acme", "products.csv"), "w", encoding="utf-8") as f:
        f.write(csv)
    d = daemon(db, {})
    with open(d.config, "a", encoding="utf-8") as f:
        f.write(ini.replace("/srv/imports", where))
    d.start()
    row = db.wait_job(db.one(job), "completed")
    assert row["result"] == json.loads(result)
    assert db.sql("SELECT store_id, sku, name, price::text, stock FROM products ORDER BY 2") == [
        ("acme", "A-1", "Tea, green", "2.50", None), ("acme", "A-3", "Milk", "1.20", None)]
    assert db.sql("SELECT job_id, line FROM jobq.import_errors") == [(row["id"], 3)]
