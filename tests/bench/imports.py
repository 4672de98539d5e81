"""The import against psql: the same file by \\copy into the same kind of temporary table, then the same merge; and the worker's memory."""
import os
import re
import statistics
import subprocess
import time

from harness.wait import wait_until
from stage import median_of, quiet

TABLE = "CREATE TABLE products (store_id text, sku text, name text, price numeric(10,2), stock integer, PRIMARY KEY (store_id, sku))"
MERGE = """WITH merged AS (INSERT INTO public.products AS t (store_id, sku, name, price, stock)
 SELECT 'acme'::text::text, s.c1::text, s.c2::text, s.c3::numeric, s.c4::integer FROM staged s
 ON CONFLICT (store_id, sku) DO UPDATE SET name = excluded.name, price = excluded.price, stock = excluded.stock RETURNING (t.xmax = 0) AS inserted)
 SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged"""


def write(path, rows, pad=0):
    with open(path, "w", encoding="ascii") as f:
        f.write("sku,name,price,stock\n")
        f.writelines(f"sku-{n:09d},Product number {n}{'x' * pad},{n % 10000}.{n % 100:02d},{n % 1000}\n" for n in range(rows))
    os.chmod(path, 0o644)
    return os.path.getsize(path)


def by_psql(stage, path):
    script = f"BEGIN;\nSET LOCAL statement_timeout = 0;\nCREATE TEMP TABLE staged (c1 text, c2 text, c3 text, c4 text) ON COMMIT DROP;\n" \
             f"\\copy staged FROM '{path}' (FORMAT csv, HEADER)\n{MERGE};\nCOMMIT;\n"
    begin = time.monotonic()
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", stage.db.dsn()], input=script, text=True, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def by_jobqd(stage, source):
    """From the enqueue to the end of the job."""
    begin = time.monotonic()
    job = stage.db.enqueue("import", {"source": source, "table": "products", "key": ["store_id", "sku"]}, tenant_id="acme")
    row = wait_until(lambda: (r := stage.db.job(job))["status"] in ("completed", "failed") and r, "the import", 900, 0.02)
    assert row["status"] == "completed", row["error_message"]
    return time.monotonic() - begin


def setup(stage):
    stage.db.sql(f"DROP TABLE IF EXISTS products; {TABLE}; GRANT ALL ON products TO jobq_worker")
    return stage.daemon({"import": {"import_dir": stage.dir, "tables": "products", "tenant_column": "store_id", "workers": 1}}).start()


def imports(stage):
    rows = 10_000 if stage.quick else 1_000_000
    path = os.path.join(stage.dir, "products.csv")
    size = write(path, rows)
    daemon = setup(stage)
    psql, jobqd = [], []
    try:
        for pair in range(1 if stage.quick else 3):
            ways = [(psql, lambda: by_psql(stage, path)), (jobqd, lambda: by_jobqd(stage, "products.csv"))]
            for list_, way in ways if pair % 2 == 0 else reversed(ways):
                stage.db.sql("TRUNCATE products")
                stage.db.sql("CHECKPOINT")
                quiet(stage)
                list_.append(way())
                assert stage.db.one("SELECT count(*) FROM products") == rows
            print(f"    import of {rows:,} rows: psql {psql[-1]:.2f} s, jobqd {jobqd[-1]:.2f} s", flush=True)
    finally:
        daemon.cleanup()
    print(f"import: {rows:,} rows, {size / 1e6:.0f} MB: {rows / statistics.median(jobqd):,.0f} rows/s, psql {rows / statistics.median(psql):,.0f} rows/s,"
          f" ratio {median_of([p / j for p, j in zip(psql, jobqd)])}, target >= 0.8", flush=True)


def import_memory(stage):
    """The greatest resident memory of a worker over an import of 1 MB, and of 1 GB."""
    daemon = setup(stage)
    try:
        for megabytes in (1, 10 if stage.quick else 1000):
            rows = megabytes * 1000
            size = write(os.path.join(stage.dir, f"{megabytes}.csv"), rows, 950)
            stage.db.sql("TRUNCATE products")
            by_jobqd(stage, f"{megabytes}.csv")
            with open(f"/proc/{daemon.pid('worker')}/status", encoding="ascii") as f:
                peak = int(re.search(r"^VmHWM:\s+(\d+)", f.read(), re.M).group(1)) / 1024
            print(f"import_memory: {size / 1e6:.0f} MB: the worker's peak is {peak:.1f} MB", flush=True)
            os.unlink(os.path.join(stage.dir, f"{megabytes}.csv"))
    finally:
        daemon.cleanup()
