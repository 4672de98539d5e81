"""The handler `sql`: effect and completion in one transaction, whatever dies in between; a failing batch is halved until the culprit is alone."""
import json
import os
import re
import signal

import psycopg2
import pytest
from harness.database import Database
from harness.paths import SOURCE
from harness.wait import stays, wait_until

SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.effects (job bigint, n int, call bigint);
CREATE TABLE shop.stock (sku text PRIMARY KEY, qty int NOT NULL CHECK (qty >= 0));
CREATE SEQUENCE shop.calls;
CREATE FUNCTION shop.take(jobs jsonb) RETURNS TABLE(id bigint, outcome text, result jsonb, error text, after interval) LANGUAGE plpgsql AS $$
DECLARE
    this bigint := nextval('shop.calls');
    bad  jsonb;
BEGIN
    INSERT INTO shop.effects SELECT (j->>'id')::bigint, (j->'payload'->>'n')::int, this FROM jsonb_array_elements(jobs) j;
    SELECT j->'payload' INTO bad FROM jsonb_array_elements(jobs) j WHERE j->'payload' ? 'raise' LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = bad->>'raise', MESSAGE = coalesce(bad->>'message', 'as the payload says');
    END IF;
    PERFORM pg_sleep((j->'payload'->>'sleep')::float) FROM jsonb_array_elements(jobs) j WHERE j->'payload' ? 'sleep';
    RETURN QUERY SELECT (j->>'id')::bigint, coalesce(j->'payload'->>'say', 'done'), j->'payload'->'result', j->'payload'->>'error', (j->'payload'->>'after')::interval
        FROM jsonb_array_elements(jobs) j WHERE NOT coalesce((j->'payload'->>'silent')::boolean, false);
END $$;
GRANT USAGE ON SCHEMA shop TO jobq_worker;
GRANT ALL ON ALL TABLES IN SCHEMA shop TO jobq_worker;
GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO jobq_worker;
"""


@pytest.fixture
def shop(db):
    db.sql(SHOP)
    return db


def queue(**keys):
    return {"handler": "sql", "function": "shop.take", "workers": 1, "retry_backoff": "fixed 50ms", **keys}


def effects(db, ids=None):
    return sorted(r[0] for r in db.sql("SELECT job FROM shop.effects WHERE job = ANY(coalesce(%s, ARRAY(SELECT job FROM shop.effects)))", [ids]))


def test_done(daemon, shop):
    """A batch is one call; result and completion are the row's; the document is the one that programs get."""
    shop.sql("CREATE TABLE shop.seen (doc jsonb)")
    shop.sql("CREATE FUNCTION shop.look(jobs jsonb) RETURNS TABLE(id bigint, outcome text, result jsonb, error text, after interval) LANGUAGE sql AS"
             " $$ INSERT INTO shop.seen VALUES (jobs); SELECT (j->>'id')::bigint, 'done', j->'payload', NULL::text, NULL::interval FROM jsonb_array_elements(jobs) j $$")
    shop.sql("GRANT ALL ON shop.seen TO jobq_worker")
    jobs = shop.enqueue_many([{"queue": "stock", "tenant_id": "acme", "type": "t", "payload": {"n": n, "big": 2**60 + 1}, "priority": "high"} for n in range(10)])
    daemon(shop, {"stock": queue(function="shop.look", batch_size=10, batch_timeout="5s")}).start()
    for n, job in enumerate(jobs):
        row = shop.wait_job(job, "completed")
        assert row["result"] == {"n": n, "big": 2**60 + 1} and row["retry_count"] == 0 and row["error_message"] is None
    docs = [d for (doc,) in shop.sql("SELECT doc FROM shop.seen") for d in doc]
    assert shop.one("SELECT count(*) FROM shop.seen") == 1 and [d["id"] for d in docs] == [str(j) for j in jobs]
    assert {k: v for k, v in docs[0].items() if k not in ("id", "payload", "idempotency_key", "claim_token", "deadline", "user_id")} == {
        "v": 1, "queue": "stock", "type": "t", "tenant_id": "acme", "priority": "high", "attempt": 1, "max_retries": 3}


def test_outcomes(daemon, shop):
    """What is not done is reported as it is; what is done beside it is completed."""
    daemon(shop, {"stock": queue(max_retries=1)}).start()
    say = {"done": {}, "fail": {"say": "fail", "error": "no such thing"}, "retry": {"say": "retry", "error": "later", "after": "10ms"},
           "snooze": {"say": "snooze", "after": "1h"}, "silent": {"silent": True}, "uncertain": {"say": "uncertain", "error": "who knows"}}
    ids = dict(zip(say, shop.enqueue_many([{"queue": "stock", "payload": p} for p in say.values()])))
    assert shop.wait_job(ids["done"], "completed")
    assert shop.wait_job(ids["fail"], "failed")["error_message"] == "no such thing"
    row = shop.wait_job(ids["retry"], "failed")
    assert (row["error_message"], row["retry_count"]) == ("later", 1)
    assert shop.wait_job(ids["silent"], "failed")["error_message"] == "the function said nothing of this job"
    assert shop.wait_job(ids["uncertain"], "held")["error_message"] == "who knows"
    row = wait_until(lambda: (r := shop.job(ids["snooze"]))["status"] == "pending" and r["run_at"] > r["created_at"] and r, "the snooze")
    assert row["retry_count"] == 0 and 3500 < (row["run_at"] - row["created_at"]).total_seconds() < 3700


@pytest.mark.parametrize("code, status, tries", [("22023", "failed", 0), ("23505", "failed", 0), ("P0001", "failed", 2), ("42P01", "failed", 2), ("XX000", "failed", 2)])
def test_culprit(daemon, shop, code, status, tries):
    """One of sixteen raises: the fifteen are done, each exactly once; it fails at once when it always will, else after its tries."""
    ids = shop.enqueue_many([{"queue": "stock", "payload": {"n": n, **({"raise": code, "message": "bad n"} if n == 11 else {})}} for n in range(16)])
    node = daemon(shop, {"stock": queue(batch_size=16, max_retries=2)}).start()
    bad = ids.pop(11)
    row = shop.wait_job(bad, status)
    assert (row["error_message"], row["retry_count"]) == (f"bad n ({code})", tries)
    for job in ids:
        assert shop.wait_job(job, "completed")["retry_count"] == 0
    assert effects(shop) == ids
    assert "gate" not in node.text().replace("jobqd gate", "")


@pytest.mark.parametrize("code, status, tries", [("53100", "pending", 0), ("57P01", "pending", 0), ("58030", "pending", 0),
                                                ("53400", "failed", 1), ("58P01", "failed", 1)])
def test_an_outage_for_one(daemon, shop, code, status, tries):
    """What is raised inside the function as if the database were away may be one job's affair alone: its neighbours are done, and it waits, burning nothing."""
    ids = shop.enqueue_many([{"queue": "stock", "payload": {"n": n, **({"raise": code} if n == 3 else {})}} for n in range(8)])
    daemon(shop, {"stock": queue(batch_size=8, max_retries=1)}).start()
    bad = ids.pop(3)
    for job in ids:
        assert shop.wait_job(job, "completed")["retry_count"] == 0
    assert effects(shop) == ids
    row = wait_until(lambda: (r := shop.job(bad))["status"] == status and r["error_message"] and r, "the one to wait, or fail")
    assert row["retry_count"] == tries and row["error_message"] == f"as the payload says ({code})"


@pytest.mark.parametrize("body, says", [
    ("EXECUTE 'COMMIT'", "0A000"), ("COMMIT", "invalid transaction termination"),
    ("DELETE FROM jobq.jobs j USING jsonb_array_elements(jobs) e WHERE j.id = (e->>'id')::bigint", "somebody else's by now"),
    ("PERFORM jobq.complete((e->>'id')::bigint, (e->>'claim_token')::bigint) FROM jsonb_array_elements(jobs) e", "somebody else's by now"),
], ids=["execute-commit", "commit", "deletes", "completes"])
def test_a_function_that_goes_too_far(daemon, shop, body, says):
    """It tries to commit, deletes the rows of its jobs, or completes them itself and says "done" as well: nothing of that stays, and the jobs say why."""
    shop.sql(f"CREATE FUNCTION shop.far(jobs jsonb) RETURNS TABLE(id bigint, outcome text, result jsonb, error text, after interval) LANGUAGE plpgsql SECURITY DEFINER AS"
             f" $$ BEGIN INSERT INTO shop.effects SELECT (e->>'id')::bigint FROM jsonb_array_elements(jobs) e; {body};"
             f" RETURN QUERY SELECT (e->>'id')::bigint, 'done', NULL::jsonb, NULL::text, NULL::interval FROM jsonb_array_elements(jobs) e; END $$")
    ids = shop.enqueue_many([{"queue": "stock"}] * 3)
    daemon(shop, {"stock": queue(function="shop.far", max_retries=1)}).start()
    for job in ids:
        row = shop.wait_job(job, "failed")
        assert says in row["error_message"] and row["retry_count"] == 1
    assert effects(shop) == []


def test_function_missing(daemon, shop):
    """Nobody's fault among the jobs: the gate is shut, loudly, and no try is burnt; once it is there they run."""
    node = daemon(shop, {"stock": queue(function="shop.later", max_retries=0)}).start()
    job = shop.enqueue("stock", {"n": 1})
    wait_until(lambda: "function shop.later(jsonb) does not exist (42883)" in node.text(), "the reason in the log")
    assert shop.job(job)["retry_count"] == 0
    shop.sql("ALTER FUNCTION shop.take RENAME TO later")
    os.kill(node.pid("worker"), signal.SIGTERM)
    node.queue("stock", retain_completed="29d")
    node.ctl("reload")
    assert shop.wait_job(job, "completed", 90)


def test_bad_answers(daemon, shop):
    """Rows of others, rows twice, words that are none: the answer counts for nothing, and nothing of it stays."""
    for name, body, says in (
            ("foreign", "SELECT 424242::bigint, 'done', NULL::jsonb, NULL::text, NULL::interval", "a row for a job that it was not called with"),
            ("twice", "SELECT (jobs->0->>'id')::bigint, 'done', NULL::jsonb, NULL::text, NULL::interval FROM generate_series(1, 2)", "two rows for one job"),
            ("word", "SELECT (jobs->0->>'id')::bigint, 'ok', NULL::jsonb, NULL::text, NULL::interval", "an outcome that is not one of done"),
            ("nothing", "SELECT NULL::bigint, NULL, NULL::jsonb, NULL::text, NULL::interval", "a row for a job that it was not called with")):
        shop.sql(f"CREATE FUNCTION shop.{name}(jobs jsonb) RETURNS TABLE(id bigint, outcome text, result jsonb, error text, after interval) LANGUAGE sql AS"
                 f" $$ INSERT INTO shop.effects VALUES ((jobs->0->>'id')::bigint); {body} $$")
        node = daemon(shop, {name: queue(function=f"shop.{name}")}).start()
        assert says in shop.wait_job(shop.enqueue(name, {}), "failed")["error_message"]
        node.stop()
    assert effects(shop) == []


def test_strange_names(daemon, shop):
    """The name is an identifier, whatever is in it."""
    shop.sql('CREATE SCHEMA "My ""Shop"""; GRANT ALL ON SCHEMA "My ""Shop""" TO jobq_worker; ALTER FUNCTION shop.take SET SCHEMA "My ""Shop"""; ALTER FUNCTION "My ""Shop""".take RENAME TO "Take; --"')
    daemon(shop, {"stock": queue(function='My "Shop".Take; --')}).start()
    shop.wait_job(shop.enqueue("stock", {"n": 1}), "completed")


@pytest.mark.parametrize("point", ["before_effect", "sql_called", "sql_commit_sent", "after_effect"])
def test_killed(daemon, shop, point):
    """The worker dies at each step: each job's effect is there exactly once."""
    node = daemon(shop, {"stock": queue(batch_size=5, workers=2)}).start(fault=f"{point}=kill,3")
    ids = shop.enqueue_many([{"queue": "stock", "tenant_id": f"t{n % 3}", "payload": {"n": n}} for n in range(60)])
    shop.settle("stock")
    assert shop.statuses("stock") == {"completed": 60} and effects(shop) == ids
    assert node.queue_status("stock")["failed"] == 0


def test_killed_at_random(daemon, shop):
    """Workers and the dispatcher are killed again and again; with and without history kept."""
    for name, retain in (("kept", "30d"), ("gone", "0")):
        shop.sql("TRUNCATE shop.effects")
        node = daemon(shop, {name: queue(batch_size=5, workers=2, retain_completed=retain)}).start()
        ids = shop.enqueue_many([{"queue": name, "tenant_id": f"t{n % 5}", "payload": {"n": n, "sleep": 0.003}} for n in range(400)])
        for role in ("worker", "worker", "dispatcher", "worker", "worker", "dispatcher", "worker"):
            os.kill(node.pid(role), signal.SIGKILL)
            stays(lambda: True, "a moment between kills", 0.2)
        shop.settle(name)
        assert effects(shop) == ids and shop.one("SELECT count(*) FROM jobq.jobs_live") == 0
        node.stop()


def test_backends_ended(daemon, shop):
    """The database ends sessions in the middle of calls and commits: no try is burnt, each effect is there once."""
    node = daemon(shop, {"stock": queue(batch_size=5, workers=2, max_retries=0)}).start()
    ids = shop.enqueue_many([{"queue": "stock", "tenant_id": f"t{n % 5}", "payload": {"n": n, "sleep": 0.02}} for n in range(150)])
    for _ in range(5):
        wait_until(lambda: shop.server.terminate(shop.name, "jobqd pool%") > 0, "a session of the pool to end")
    shop.settle("stock", 120)
    assert shop.statuses("stock") == {"completed": 150} and effects(shop) == ids
    assert node.alive()


def test_kills_its_session(daemon, shop):
    """A job that ends its own session is found: called alone after the first time, and failed when it has done it again and again. Nobody
    else fails, or burns a try."""
    shop.sql("CREATE FUNCTION shop.deadly(jobs jsonb) RETURNS TABLE(id bigint, outcome text, result jsonb, error text, after interval) LANGUAGE plpgsql AS"
             " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()) FROM jsonb_array_elements(jobs) j WHERE j->'payload' ? 'die'; PERFORM pg_sleep(0);"
             " RETURN QUERY SELECT * FROM shop.take(jobs); END $$")
    daemon(shop, {"stock": queue(function="shop.deadly", max_retries=1, batch_size=8)}).start()
    ids = shop.enqueue_many([{"queue": "stock", "payload": {"die": 1} if n == 3 else {"n": n}} for n in range(8)])
    row = shop.wait_job(ids[3], "failed", 90)
    assert "the session ended while the function ran" in row["error_message"] and row["retry_count"] == 1
    for job in ids[:3] + ids[4:]:
        assert shop.wait_job(job, "completed")["retry_count"] == 0
    assert effects(shop) == ids[:3] + ids[4:]


def test_ownership_lost(daemon, shop):
    """A job that was taken away while the function ran: nothing of it stays, its neighbours are done without it."""
    daemon(shop, {"stock": queue(batch_size=4, batch_timeout="5s")}).start()
    ids = shop.enqueue_many([{"queue": "stock", "payload": {"n": n, "sleep": 0.4}} for n in range(4)])
    wait_until(lambda: shop.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%shop%%take%%' AND application_name LIKE 'jobqd pool%%'"), "the call")
    shop.sql("UPDATE jobq.jobs_live SET claim_token = nextval('jobq.claim_token_seq'), claimed_by = 'another' WHERE id = %s", [ids[2]])
    for job in ids[:2] + ids[3:]:
        shop.wait_job(job, "completed")
    assert effects(shop) == ids[:2] + ids[3:] and shop.job(ids[2])["claimed_by"] == "another"


def test_cancel(daemon, shop):
    """Cancelled in the middle: the call is given up, the others go again, and are done once."""
    daemon(shop, {"stock": queue(batch_size=4, batch_timeout="5s")}).start()
    ids = shop.enqueue_many([{"queue": "stock", "payload": {"n": n, "sleep": 30 if n == 2 else 0.01}} for n in range(4)])
    wait_until(lambda: shop.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%shop%%take%%' AND application_name LIKE 'jobqd pool%%'"), "the call")
    assert shop.one("SELECT jobq.cancel(%s)", [ids[2]]) == "requested"
    shop.wait_job(ids[2], "cancelled")
    for job in ids[:2] + ids[3:]:
        assert shop.wait_job(job, "completed")["retry_count"] == 0
    assert effects(shop) == ids[:2] + ids[3:]


def test_timeout(daemon, shop):
    """A call that runs over job_timeout is ended in the server too."""
    daemon(shop, {"stock": queue(job_timeout="500ms", max_retries=0)}).start()
    job = shop.enqueue("stock", {"sleep": 600})
    assert "stopped before the function's transaction had ended" in shop.wait_job(job, "failed")["error_message"]
    wait_until(lambda: shop.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%shop%%take%%' AND application_name LIKE 'jobqd pool%%'") == 0, "the call to end")
    assert effects(shop) == []


def test_deadlocks(daemon, shop):
    """Batches that lock the same rows in different orders run into each other; each is done once, and no try is burnt for it."""
    shop.sql("INSERT INTO shop.stock SELECT 'sku' || n, 0 FROM generate_series(0, 9) n")
    shop.sql("CREATE FUNCTION shop.count(jobs jsonb) RETURNS TABLE(id bigint, outcome text, result jsonb, error text, after interval) LANGUAGE plpgsql AS"
             " $$ DECLARE j jsonb; BEGIN FOR j IN SELECT e FROM jsonb_array_elements(jobs) e LOOP UPDATE shop.stock SET qty = qty + 1 WHERE sku = 'sku' || (j->'payload'->>'sku');"
             " PERFORM pg_sleep(0.002); RETURN QUERY SELECT (j->>'id')::bigint, 'done', NULL::jsonb, NULL::text, NULL::interval; END LOOP; END $$")
    ids = shop.enqueue_many([{"queue": "stock", "tenant_id": f"t{n % 4}", "payload": {"sku": (n * 7 + n % 4 * 3) % 10}} for n in range(200)])
    daemon(shop, {"stock": queue(function="shop.count", workers=4, batch_size=10, max_retries=20)}).start()
    shop.settle("stock", 120)
    assert shop.statuses("stock") == {"completed": len(ids)} and shop.one("SELECT sum(qty) FROM shop.stock") == 200


def test_replaced_and_notified(daemon, shop):
    """A keyed job that is replaced while the function has it runs once more; the last end is told once."""
    listener = shop.connect("jobq_reader")
    listener.cursor().execute("LISTEN ends")
    node = daemon(shop, {"stock": queue()}).start()
    job = shop.enqueue("stock", {"n": 1, "sleep": 0.5}, unique_key="k", notify_channel="ends")
    wait_until(lambda: shop.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%shop%%take%%' AND application_name LIKE 'jobqd pool%%'"), "the call")
    assert shop.enqueue("stock", {"n": 2}, unique_key="k", on_duplicate="replace") == job
    shop.wait_job(job, "completed")
    assert shop.sql("SELECT n FROM shop.effects ORDER BY call") == [(1,), (2,)]
    wait_until(lambda: listener.poll() or listener.notifies, "the word")
    assert [json.loads(n.payload) for n in listener.notifies] == [{"id": str(job), "status": "completed"}]
    assert "ownership lost" not in node.text()
    listener.close()


def test_another_database(daemon, shop, pg):
    """A pool that leads to another installation: its completions are refused there, and nobody's job of the same number is touched."""
    other = pg.connect("postgres")
    other.cursor().execute(f"CREATE DATABASE {shop.name}_b TEMPLATE template0")
    other.close()
    b = Database(pg, f"{shop.name}_b")
    try:
        b.migrate()
        b.sql(SHOP)
        theirs = b.enqueue("stock", {"n": 1})
        b.sql("UPDATE jobq.jobs_live SET status = 'claimed', claim_token = 1")
        node = daemon(shop, {"stock": queue(pool="away")})
        node.sections["pool away"] = {"database": b.dsn("jobq_worker")}
        node.write()
        node.start()
        shop.enqueue("stock", {"n": 1})
        wait_until(lambda: "these jobs are of the installation" in node.text(), "the refusal in the log")
        assert b.job(theirs)["status"] == "claimed" and effects(b) == []
        node.stop()
    finally:
        b.close()
        pg.sql(f"DROP DATABASE {shop.name}_b WITH (FORCE)")


def test_complete_all_is_closed(shop):
    """Producers may complete with the installation's id and a token, as with jobq.complete; nothing is done unless all of it can be."""
    ids = [shop.enqueue("stock", {}) for _ in range(3)]
    shop.sql("UPDATE jobq.jobs_live SET status = 'claimed', claim_token = 7")
    me = shop.one("SELECT id FROM jobq.installation")
    connection = shop.connect()
    with connection.cursor() as cursor:
        call = "SELECT jobq.complete_all(%s, %s::bigint[], %s::bigint[], ARRAY['1', NULL, '{}']::jsonb[])"
        with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
            cursor.execute(call, ["00000000", ids, [7, 7, 7]])
        cursor.execute(call, [me, ids, [7, 8, 7]])
        assert cursor.fetchall() == [(ids[1],)] and shop.statuses() == {"claimed": 3}
        cursor.execute(call, [me, ids, [7, 7, 7]])
        assert cursor.fetchall() == []
    connection.close()
    assert shop.sql("SELECT status, result FROM jobq.jobs ORDER BY id") == [("completed", 1), ("completed", None), ("completed", {})]


def test_documentation(daemon, db):
    """The function of docs/sql.md, as it stands there."""
    with open(os.path.join(SOURCE, "docs/sql.md"), encoding="utf-8") as f:
        function = re.search(r"```sql\n(.*?)```", f.read(), re.S).group(1)
    db.sql("CREATE SCHEMA shop; CREATE TABLE shop.orders (id bigint, store text, total numeric);"
           " CREATE TABLE shop.invoices (number int GENERATED ALWAYS AS IDENTITY, order_id bigint, store text, total numeric);"
           " INSERT INTO shop.orders VALUES (1, 'acme', 9.5), (2, 'acme', 1)")
    db.sql(function.replace("%", "%%"))
    daemon(db, {"invoices": {"handler": "sql", "function": "shop.make_invoices"}}).start()
    jobs = db.enqueue_many([{"queue": "invoices", "tenant_id": "acme", "payload": {"order_id": n}} for n in (1, 2, 3)])
    assert sorted(db.wait_job(j, "completed")["result"]["invoice"] for j in jobs[:2]) == [1, 2]
    assert db.wait_job(jobs[2], "failed")["error_message"] == "there is no such order"
    assert db.sql("SELECT order_id, total::float FROM shop.invoices ORDER BY 1") == [(1, 9.5), (2, 1)]
