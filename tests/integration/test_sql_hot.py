"""A claim is HOT, its indexes are used, and its cost does not depend on what else lies in the table."""
import json
import os

from harness.paths import SOURCE
from harness.wait import wait_until


def statement(name):
    with open(os.path.join(SOURCE, "sql", "statements", name + ".sql"), encoding="utf-8") as f:
        return "".join(line for line in f if not line.startswith("--"))


def test_claim_is_hot(db):
    """The dispatcher's own statement over thousands of jobs of twenty tenants: nine of ten claims touch no index."""
    db.enqueue_many([{"queue": "null", "tenant_id": f"t{n % 20}", "payload": {"filler": "x" * 120}} for n in range(5000)])
    db.sql("INSERT INTO jobq.nodes (incarnation, instance, node, version, lease_until, schema_version) VALUES (1, 'i', 'n', '1', now(), 1)")
    db.sql("PREPARE claim AS " + statement("claim"))
    tenants = [f"t{n}" for n in range(20)]
    claimed = 0
    for _ in range(10):
        rows = db.sql("EXECUTE claim('null', 1, 'n', %s, %s::int2[], %s, %s::timestamptz[], %s::int8[])",
                      [tenants, [5] * 20, [25] * 20, ["-infinity"] * 20, [0] * 20])
        claimed += len(rows)
    assert claimed == 5000
    assert db.one("SELECT sum(cardinality(ids)) FROM jobq.claims") == 5000
    counts = wait_until(lambda: next((r for r in db.sql("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'jobq.jobs_live'::regclass")
                                      if r[0] >= 5000), None), "the statistics of the claims")
    assert counts[1] / counts[0] >= 0.9, counts


def test_no_index_holds_what_a_claim_changes(db):
    changed = {"status", "claim_token", "claimed_by", "started_at"}
    for name, definition in db.sql("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'jobq' AND tablename = 'jobs_live'"):
        assert not any(column in definition for column in changed), name


def test_claim_reads_its_lanes_only(db):
    """A hundred thousand urgent jobs of tomorrow and of another tenant do not count: the plan reads a handful of pages."""
    db.sql("INSERT INTO jobq.jobs_live (queue, payload, tenant_id, priority, run_at) SELECT 'sms', '{}', 'big', 1, now() + interval '1 day' FROM generate_series(1, 60000)")
    db.enqueue_many([{"queue": "sms", "tenant_id": "small"} for _ in range(30)])
    db.sql("ANALYZE jobq.jobs_live")
    db.sql("INSERT INTO jobq.nodes (incarnation, instance, node, version, lease_until, schema_version) VALUES (1, 'i', 'n', '1', now(), 1)")
    db.sql("PREPARE claim AS " + statement("claim"))
    plan = db.one("EXPLAIN (ANALYZE, BUFFERS, FORMAT json) EXECUTE claim('sms', 1, 'n', '{big,big,small}', '{1,5,5}', '{25,25,25}', '{-infinity,-infinity,-infinity}', '{0,0,0}')")
    plan = plan if isinstance(plan, list) else json.loads(plan)
    text = json.dumps(plan)
    assert "jobs_live_lane" in text and '"Seq Scan", "Parent Relationship": "Inner"' not in text
    read = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    assert read < 1500, f"{read} pages"


def test_arrivals_are_read_in_parts(db):
    """A million rows that came at once must not keep the link of the claims for seconds: each poll reads so many and the next goes on behind them,
    by the primary key, whatever lies in the table."""
    db.sql("INSERT INTO jobq.jobs_live (queue, payload, tenant_id) SELECT 'sms', '{}', 't' || n %% 7 FROM generate_series(1, 60000) n", [])
    db.sql("ANALYZE jobq.jobs_live")
    db.sql("SET plan_cache_mode = force_generic_plan")
    db.sql("SET enable_seqscan = off")
    db.sql("PREPARE arrivals AS " + statement("arrivals"))
    first, last = db.sql("SELECT min(id), max(id) FROM jobq.jobs_live")[0]
    at, seen = first - 1, 0
    while at < last:
        rows = db.sql("EXECUTE arrivals(%s, %s, 8000)", [at, first - 1])
        assert {row[1] for row in rows} == {f"t{n}" for n in range(7)} and sum(row[6] for row in rows) == min(8000, 60000 - seen)
        assert sum(row[4] for row in rows) == sum(row[6] for row in rows)
        at, seen = max(row[5] for row in rows), seen + sum(row[6] for row in rows)
    assert seen == 60000 and db.sql("EXECUTE arrivals(%s, %s, 8000)", [last, last]) == []
    plan = db.one("EXPLAIN (ANALYZE, BUFFERS, FORMAT json) EXECUTE arrivals(%s, %s, 8000)", [last - 10, last])
    plan = plan if isinstance(plan, list) else json.loads(plan)
    assert "jobs_live_pkey" in json.dumps(plan) and plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 100
