#!/usr/bin/env python3
"""How the shape of a claim changes its cost: claim_shapes.py CONNINFO (a database with the schema jobq, and no daemon on it).

Runs sql/statements/claim.sql itself, with deletion of what it claimed, over one connection: 20 lanes of 25 rows, one lane of 500, 500 lanes
of 1, and as many with a claim by ctid replaced by a claim by id. Shapes take turns in rounds; printed are medians of
jobs/s and the ratio to the first shape within each round.
"""
import pathlib
import re
import statistics
import sys
import time

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDS, BATCHES = 5, 40


def statement(name):
    text = (ROOT / "sql/statements" / f"{name}.sql").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return text


def numbered(text):
    """$n of libpq as %(pn)s of psycopg2"""
    return re.sub(r"\$(\d+)", r"%(p\1)s", text.replace("%", "%%"))


CLAIM = numbered(statement("claim"))
DELETE = numbered(statement("finish_delete"))


def fill(cur, tenants, rows):
    cur.execute("TRUNCATE jobq.jobs_live, jobq.claims")
    cur.execute(
        "INSERT INTO jobq.jobs_live (queue, tenant_id, payload) SELECT 'shape', 't' || i %% %s, jsonb_build_object('pad', repeat('x', 120))"
        " FROM generate_series(1, %s) i", (tenants, rows))
    cur.execute("ANALYZE jobq.jobs_live")


def run(cur, tenants, lanes, each):
    """jobs/s of claim + delete in batches of lanes * each"""
    fill(cur, tenants, BATCHES * lanes * each)
    names = [f"t{i}" for i in range(tenants)]
    after = {name: ("-infinity", -(2 ** 63)) for name in names}
    done, at, start = 0, 0, time.monotonic()
    while done < BATCHES * lanes * each:
        mine = [names[(at + i) % tenants] for i in range(lanes)]
        at += lanes
        cur.execute(CLAIM, {"p1": "shape", "p2": 0, "p3": "bench", "p4": mine, "p5": [5] * lanes, "p6": [each] * lanes,
                            "p7": [after[m][0] for m in mine], "p8": [after[m][1] for m in mine]})
        rows = sorted(cur.fetchall(), key=lambda r: r[1])
        if not rows:
            break
        for row in rows:
            if (row[7], row[1]) > after[row[2]] if after[row[2]][0] != "-infinity" else True:
                after[row[2]] = (row[7], row[1])
        cur.execute(DELETE, {"p1": [r[1] for r in rows], "p2": [r[0] for r in rows]})
        done += len(rows)
    return done / (time.monotonic() - start)


SHAPES = {"20 lanes x 25": (20, 20, 25), "1 lane x 500": (1, 1, 500), "500 lanes x 1": (500, 500, 1), "1 lane x 100": (1, 1, 100),
          "1 lane x 25": (1, 1, 25)}


def main():
    db = psycopg2.connect(sys.argv[1])
    db.autocommit = True
    cur = db.cursor()
    for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan", "jit"):
        cur.execute(f"SET {setting} = off")
    cur.execute("INSERT INTO jobq.nodes (incarnation, instance, node, version, schema_version, queues, started_at, last_seen, lease_until)"
                " VALUES (0, 'bench', 'bench', '0', 1, '{}', now(), now(), now() + interval '1 hour') ON CONFLICT DO NOTHING")
    figures = {name: [] for name in SHAPES}
    for _ in range(ROUNDS):
        for name, shape in SHAPES.items():
            figures[name].append(run(cur, *shape))
    first = figures[next(iter(SHAPES))]
    for name, values in figures.items():
        ratios = [v / f for v, f in zip(values, first)]
        print(f"{name:16} {statistics.median(values):9.0f} jobs/s   ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    cur.execute("TRUNCATE jobq.jobs_live, jobq.claims")
    cur.execute("DELETE FROM jobq.nodes WHERE incarnation = 0")


if __name__ == "__main__":
    main()
