"""Tenants, tiers and limits: what may be written, what a node reads of it, and that changes are told at once."""
import select
import subprocess

import psycopg2
import pytest
from harness.paths import JOBQD, SOURCE

READ = open(f"{SOURCE}/sql/statements/tenants.sql", encoding="utf-8").read()


def tenants(db, queues=("q",), source='"jobq"."tenants"', role="jobq_worker"):
    """What a node of these queues reads: {(id, queue): row}; the statement as the dispatcher sends it."""
    body = "\n".join(line for line in READ.splitlines() if not line.startswith("--"))
    connection = db.connect(role)
    try:
        with connection.cursor() as cursor:
            cursor.execute("PREPARE t AS " + body.replace("%SOURCE%", source))
            cursor.execute("EXECUTE t (%s)", [list(queues)])
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    finally:
        connection.close()
    found = {}
    for row in rows:
        for queue in row.pop("queues").split(","):
            key = (row["id"] if row["id"] is not None else f"tier {row['tier']}", queue)
            assert key not in found
            found[key] = row
    return found


def limits(row):
    return tuple(row[name] for name in ("weight", "rate_limit", "rate_burst", "concurrency", "min_share"))


NOTHING = (1, None, None, None, 0)


def test_nothing_is_the_default_tier(db):
    db.sql("INSERT INTO jobq.tenants (id, name) VALUES ('plain', 'A plain one'), ('', 'jobs without a tenant')")
    found = tenants(db, ("q", "r"))
    assert sorted(found) == [("tier default", "q"), ("tier default", "r")] and limits(found["tier default", "q"]) == NOTHING
    assert tenants(db, ()) == {}


def test_the_nearest_row_wins_column_by_column(db):
    """But rate limits, which hold one beside the other."""
    db.sql("INSERT INTO jobq.tiers (tier, queue, weight, rate_limit, rate_burst, concurrency, min_share) VALUES"
           " ('default', '*', NULL, '10/s', 3, NULL, NULL), ('gold', '*', 4, '100/s', 20, 8, 0.1), ('gold', 'sms', NULL, '600/min', NULL, NULL, 0.25)")
    db.sql("INSERT INTO jobq.tenants (id, tier) VALUES ('a', 'gold'), ('b', 'gold'), ('c', 'default'), ('d', 'unheard-of')")
    db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, weight, rate_limit, rate_burst, concurrency) VALUES"
           " ('b', '*', 2, 'off', 7, 0), ('b', 'sms', NULL, '1/s', 1, NULL), ('nowhere', 'sms', NULL, NULL, NULL, 1)")
    found = tenants(db, ("sms", "q"))
    want = {
        ("tier default", "sms"): (1, "10/s", 3, None, 0), ("tier default", "q"): (1, "10/s", 3, None, 0),
        ("tier gold", "sms"): (4, "600/min", None, 8, 0.25), ("tier gold", "q"): (4, "100/s", 20, 8, 0.1),
        ("a", "sms"): (4, None, None, 8, 0.25), ("a", "q"): (4, None, None, 8, 0.1),
        ("b", "sms"): (2, "1/s", 1, 0, 0.25), ("b", "q"): (2, "off", 7, 0, 0.1),
        ("d", "sms"): NOTHING, ("d", "q"): NOTHING,
        ("nowhere", "sms"): (1, None, None, 1, 0), ("nowhere", "q"): NOTHING,
    }
    assert {key: limits(row) for key, row in found.items()} == want
    assert found["b", "q"]["tier"] == "gold" and found["nowhere", "q"]["tier"] == "default" and found["a", "q"]["active"] is True


def test_inactive_tenants_are_told(db):
    db.sql("INSERT INTO jobq.tenants (id, active) VALUES ('a', false), ('b', true)")
    found = tenants(db)
    assert found["a", "q"]["active"] is False and ("b", "q") not in found


def test_a_tenant_is_one_row_where_its_queues_agree(db):
    db.sql("INSERT INTO jobq.tiers (tier, weight) VALUES ('gold', 2)")
    db.sql("INSERT INTO jobq.tenants (id, tier) SELECT 't' || n, 'gold' FROM generate_series(1, 1000) n")
    body = READ.replace("%SOURCE%", "jobq.tenants")
    db.sql("PREPARE t AS " + "\n".join(line for line in body.splitlines() if not line.startswith("--")))
    rows = db.sql("EXECUTE t ('{a,b,c,d,e}')")
    assert len(rows) == 1002 and {tuple(sorted(row[3].split(","))) for row in rows} == {tuple("abcde")}


def test_another_source(db):
    """A table or view of the application's, whatever the types of its columns; hostile names stay names."""
    db.sql('CREATE SCHEMA "Shop"; CREATE TABLE "Shop"."the ""stores""" (id int PRIMARY KEY, active int, plan text)')
    db.sql('INSERT INTO "Shop"."the ""stores""" VALUES (1, 1, NULL), (2, 0, NULL), (3, NULL, \'gold\'), (4, 1, \'default\')')
    db.sql('CREATE VIEW "Shop".tenants AS SELECT id, active, plan::varchar(20) AS tier FROM "Shop"."the ""stores"""')
    db.sql("INSERT INTO jobq.tenant_limits (tenant_id, weight) VALUES ('4', 7)")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        tenants(db, source='"Shop"."tenants"')
    db.sql('GRANT USAGE ON SCHEMA "Shop" TO jobq_worker; GRANT SELECT ON "Shop".tenants TO jobq_worker')
    found = tenants(db, source='"Shop"."tenants"')
    assert {key[0]: (row["active"], row["tier"], row["weight"]) for key, row in found.items() if row["id"]} == {
        "2": (False, "default", 1), "3": (True, "gold", 1), "4": (True, "default", 7)}
    with pytest.raises(psycopg2.errors.UndefinedColumn):
        tenants(db, source='"Shop"."the ""stores"""', role="postgres")


@pytest.mark.parametrize("columns, values", [
    ("weight", "0"), ("weight", "-1"), ("weight", "101"), ("weight", "'NaN'"), ("weight", "'infinity'"), ("min_share", "0.91"), ("min_share", "-0.1"),
    ("min_share", "'NaN'"), ("concurrency", "-1"), ("rate_limit", "'50'"), ("rate_limit", "'0/s'"), ("rate_limit", "'50/x'"), ("rate_limit", "'50 / s'"),
    ("rate_limit", "'-5/s'"), ("rate_limit", "'5/s; off'"), ("rate_limit", "E'5/s\\n'"), ("rate_limit", "'9999999999/s'"), ("rate_limit", "'1/99999d'"), ("rate_limit", "''"),
    ("rate_burst", "5"), ("rate_limit, rate_burst", "'5/s', 0"), ("queue", "'Q'"), ("queue", "''"), ("queue", "'**'"), ("queue", "NULL"),
])
def test_nonsense_is_refused(db, columns, values):
    for table, key in (("tiers", "tier"), ("tenant_limits", "tenant_id")):
        with pytest.raises(psycopg2.IntegrityError):
            db.sql(f"INSERT INTO jobq.{table} ({key}, {columns}) VALUES ('x', {values})")


def test_names_of_tiers(db):
    for tier in ("''", "repeat('x', 64)", "NULL"):
        for sql in ("INSERT INTO jobq.tiers (tier) VALUES (%s)", "INSERT INTO jobq.tenants (id, tier) VALUES ('x', %s)"):
            with pytest.raises(psycopg2.IntegrityError):
                db.sql(sql % tier)


@pytest.mark.parametrize("rate", ["50/s", "600/min", "500/15s", "10/h", "1/d", "5/100ms", "off", "0", "999999999/9999d"])
def test_rates_are_those_of_the_configuration(db, rate, tmp_path):
    db.sql("INSERT INTO jobq.tiers (tier, rate_limit) VALUES ('x', %s)", [rate])
    conf = tmp_path / "c.conf"
    conf.write_text(f"[queue null]\nrate_limit = {rate}\n[jobqd]\nrun_dir = /tmp/x\nstate_dir = /tmp/x\n", encoding="utf-8")
    done = subprocess.run([JOBQD, "-t", "-c", str(conf)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_updated_at_is_kept(db):
    db.sql("INSERT INTO jobq.tenants (id, updated_at) VALUES ('a', '2020-01-01')")
    db.sql("UPDATE jobq.tenants SET name = NULL WHERE id = 'a'")
    assert db.one("SELECT updated_at = '2020-01-01' FROM jobq.tenants"), "nothing changed"
    db.sql("UPDATE jobq.tenants SET active = false WHERE id = 'a'")
    assert db.one("SELECT updated_at > now() - interval '1 min' FROM jobq.tenants")
    db.sql("UPDATE jobq.tenants SET active = true, updated_at = '2021-01-01' WHERE id = 'a'")
    assert db.one("SELECT updated_at = '2021-01-01' FROM jobq.tenants")


@pytest.fixture
def listener(db):
    connection = db.connect("jobq_worker")
    connection.cursor().execute("LISTEN jobq_wake")
    yield connection
    connection.close()


def notes(connection):
    """What has been delivered: a query's answer brings along all that was sent before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    select.select([connection], [], [], 0.05)
    connection.poll()
    seen = [note.payload for note in connection.notifies]
    connection.notifies.clear()
    return seen


TOLD = ["!tenants"]


def test_changes_are_told(db, listener):
    for sql in ("INSERT INTO jobq.tenants (id) VALUES ('a'), ('b')", "UPDATE jobq.tenants SET tier = 'x'", "UPDATE jobq.tenants SET active = false WHERE id = 'a'",
                "DELETE FROM jobq.tenants WHERE id = 'a'", "TRUNCATE jobq.tenants", "INSERT INTO jobq.tiers (tier) VALUES ('x')",
                "UPDATE jobq.tiers SET weight = 2", "DELETE FROM jobq.tiers", "INSERT INTO jobq.tenant_limits (tenant_id) VALUES ('a')",
                "UPDATE jobq.tenant_limits SET rate_limit = '5/s'", "TRUNCATE jobq.tenant_limits"):
        db.sql(sql)
        assert notes(listener) == TOLD, sql
    db.sql("UPDATE jobq.tenants SET name = 'x'")
    assert notes(listener) == [], "no node needs the name"


def test_once_a_transaction_when_it_commits(db, listener):
    with db.connect("postgres", autocommit=False) as connection, connection.cursor() as cursor:
        for n in range(20):
            cursor.execute("INSERT INTO jobq.tenants (id) VALUES (%s)", [f"t{n}"])
            cursor.execute("INSERT INTO jobq.tenant_limits (tenant_id) VALUES (%s)", [f"t{n}"])
        assert notes(listener) == []
        connection.commit()
        assert notes(listener) == TOLD
        cursor.execute("DELETE FROM jobq.tenants")
        connection.rollback()
    connection.close()
    assert notes(listener) == []


def test_a_watched_table(pg, db, listener):
    """An application's own table, watched by its owner, who needs no more than a producer's rights; twice is once."""
    pg.sql("DROP ROLE IF EXISTS t_shop; CREATE ROLE t_shop LOGIN IN ROLE jobq_producer")
    try:
        db.sql("CREATE SCHEMA shop AUTHORIZATION t_shop")
        owner = db.connect("t_shop")
        with owner.cursor() as cursor:
            cursor.execute("CREATE TABLE shop.stores (id text PRIMARY KEY, active boolean, tier text, visits int DEFAULT 0); CREATE TABLE shop.plans (store text, plan text)")
            for _ in range(2):
                cursor.execute("SELECT jobq.watch_tenants('shop.stores'), jobq.watch_tenants('shop.plans')")
            cursor.execute("INSERT INTO shop.stores VALUES ('a', true, 'gold')")
            assert notes(listener) == TOLD
            cursor.execute("UPDATE shop.stores SET visits = visits + 1")
            assert notes(listener) == []
            cursor.execute("UPDATE shop.stores SET active = false")
            assert notes(listener) == TOLD
            cursor.execute("INSERT INTO shop.plans VALUES ('a', 'gold'); UPDATE shop.plans SET plan = 'tin'")
            assert notes(listener) == TOLD
        owner.close()
    finally:
        db.sql("DROP SCHEMA IF EXISTS shop CASCADE")
        pg.sql("DROP OWNED BY t_shop; DROP ROLE t_shop")


def test_what_cannot_be_watched(db):
    db.sql("CREATE VIEW public.v AS SELECT 1 AS id; CREATE TABLE public.t (id int)")
    with pytest.raises(psycopg2.errors.WrongObjectType, match="public.v is not a table") as error:
        db.sql("SELECT jobq.watch_tenants('public.v')")
    assert "each table that it reads" in error.value.diag.message_hint
    with pytest.raises(psycopg2.errors.InvalidParameterValue):
        db.sql("SELECT jobq.watch_tenants(NULL)")
    producer = db.connect("jobq_producer")
    with producer.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("SELECT jobq.watch_tenants('public.t')")
    producer.close()


def test_rights(db):
    """Nodes read and write them (`jobqctl tenant set`), readers read, producers see nothing."""
    for role, sql, may in (
            ("jobq_worker", "INSERT INTO jobq.tenants (id) VALUES ('a'); UPDATE jobq.tenants SET tier = 'x'; SELECT jobq.lease_rate(1, '{}')", True),
            ("jobq_worker", "SELECT * FROM jobq.rate_leases, jobq.rate_holds, jobq.tiers, jobq.tenant_limits", True),
            ("jobq_worker", "TRUNCATE jobq.tenants", False),
            ("jobq_reader", "SELECT * FROM jobq.tenants, jobq.tiers, jobq.tenant_limits, jobq.rate_leases", True),
            ("jobq_reader", "UPDATE jobq.tenants SET tier = 'y'", False), ("jobq_reader", "SELECT jobq.lease_rate(1, '{}')", False),
            ("jobq_producer", "SELECT id FROM jobq.tenants", False), ("jobq_producer", "SELECT * FROM jobq.tiers", False),
            ("jobq_producer", "INSERT INTO jobq.tenant_limits (tenant_id) VALUES ('a')", False), ("jobq_producer", "SELECT jobq.lease_rate(1, '{}')", False)):
        connection = db.connect(role)
        with connection.cursor() as cursor:
            if may:
                cursor.execute(sql)
            else:
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(sql)
        connection.close()
