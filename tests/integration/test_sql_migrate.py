"""`jobqctl migrate`: applies, repeats, prints, refuses; roles made, taken as they are, or none."""
import os
import subprocess
import threading

import pytest

from harness.paths import JOBQCTL, SOURCE

MIGRATIONS = sorted(name for name in os.listdir(f"{SOURCE}/sql/migrations") if name[0].isdigit())
APPLIED = "".join(f"applied {name}\n" for name in MIGRATIONS)
UP_TO_DATE = f"schema is up to date ({len(MIGRATIONS)})\n"
NAMES = iter(range(1, 1000))


@pytest.fixture
def empty(pg):
    """Connection string of an empty database."""
    name = f"m{next(NAMES)}"
    pg.sql(f"CREATE DATABASE {name}")
    yield name
    pg.sql(f"DROP DATABASE {name} WITH (FORCE)")


def migrate(pg, name, *options, user="postgres"):
    done = subprocess.run([JOBQCTL, "migrate", "--database", pg.dsn(name, user), *options], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_applies_once(pg, empty):
    assert migrate(pg, empty, "--plan") == (0, APPLIED.replace("applied", "would apply"), "")
    assert migrate(pg, empty, "--status") == (0, "".join(f"{name:<24} not applied\n" for name in MIGRATIONS), "")
    assert pg.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'jobq'", dbname=empty) == [(0,)]
    assert migrate(pg, empty) == (0, APPLIED, "")
    assert migrate(pg, empty) == (0, UP_TO_DATE, "")
    assert migrate(pg, empty, "--plan")[1].startswith("nothing to do")
    assert "not applied" not in migrate(pg, empty, "--status")[1]
    row = pg.sql("SELECT i.id, i.database = current_database(), i.system_identifier = c.system_identifier FROM jobq.installation i, pg_control_system() c", dbname=empty)[0]
    assert len(row[0]) == 8 and row[1:] == (True, True)


def test_printed_is_the_same(pg, empty, db):
    """What --print says, run by psql, leaves the same schema and the same checksum."""
    code, text, _ = migrate(pg, empty, "--print")
    assert code == 0
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", pg.dsn(empty)], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert migrate(pg, empty)[1] == UP_TO_DATE
    for sql in ("SELECT number, name, checksum FROM jobq.migrations",
                "SELECT proname, prosrc, proconfig, proacl::text FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace ORDER BY 1",
                "SELECT relname, relkind::text, relacl::text, reloptions FROM pg_class WHERE relnamespace = 'jobq'::regnamespace ORDER BY 1"):
        assert pg.sql(sql, dbname=empty) == db.sql(sql)


def test_one_after_the_other(pg, empty):
    """An installation of the first version, with a job in it, gets what is missing."""
    first = migrate(pg, empty, "--print")[1].split("\nBEGIN;\n")[1]
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", pg.dsn(empty)], input="BEGIN;\n" + first, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    pg.sql("SELECT jobq.enqueue('sms', '{}', 'acme')", dbname=empty)
    assert migrate(pg, empty) == (0, APPLIED.split("\n", 1)[1], "")
    assert pg.sql("SELECT tenant_id FROM jobq.jobs", dbname=empty) == [("acme",)]
    assert pg.sql("SELECT has_table_privilege('jobq_worker', 'jobq.tenants', 'UPDATE'), has_function_privilege('jobq_producer', 'jobq.watch_tenants(regclass)', 'EXECUTE'),"
                  " has_function_privilege('public', 'jobq.lease_rate(bigint, jsonb)', 'EXECUTE')", dbname=empty) == [(True, True, False)]


@pytest.mark.parametrize("damage, says", [
    ("UPDATE jobq.migrations SET checksum = 'x'", "checksum"),
    ("DELETE FROM jobq.migrations WHERE number = 1", "row is missing"),
    (f"INSERT INTO jobq.migrations (number, name, checksum) VALUES ({len(MIGRATIONS) + 1}, 'later', 'x')", f"this build knows {len(MIGRATIONS)}"),
    ("DROP SCHEMA jobq CASCADE; CREATE SCHEMA jobq", "not ours"),
])
def test_refuses(pg, db, damage, says):
    db.sql(damage)
    for option in ((), ("--plan",), ("--status",)):
        code, _, err = migrate(pg, db.name, *option)
        assert code == 1 and says in err and len(err.splitlines()) == 1, err


def test_many_at_once(pg, empty):
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(migrate(pg, empty))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(c[:2] for c in codes) == [(0, APPLIED)] + [(0, UP_TO_DATE)] * 3, codes


def test_failure_leaves_nothing(pg, empty):
    """A migration is one transaction, whatever stops it."""
    pg.sql("CREATE ROLE m_poor LOGIN", dbname=empty)
    try:
        code, out, err = migrate(pg, empty, "--roles", "none", user="m_poor")
        assert code == 4 and out == "" and "permission denied" in err
        assert pg.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'jobq'", dbname=empty) == [(0,)]
    finally:
        pg.sql("DROP ROLE m_poor", dbname=empty)


def test_roles_none(pg, empty):
    """No roles: everything belongs to whoever migrated, and that user can do everything."""
    pg.sql(f"CREATE ROLE m_app LOGIN; GRANT CREATE ON DATABASE {empty} TO m_app", dbname=empty)
    try:
        assert migrate(pg, empty, "--roles", "none", user="m_app")[:2] == (0, APPLIED)
        with pg.connect(empty, "m_app") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT jobq.cancel(jobq.enqueue('sms'))")
            assert cursor.fetchone()[0] == "cancelled"
        connection.close()
        assert pg.sql("SELECT nspowner::regrole::text, nspacl::text LIKE '%%jobq_%%' FROM pg_namespace WHERE nspname = 'jobq'", dbname=empty) == [("m_app", False)]
        assert migrate(pg, empty, "--roles", "create")[0] == 0, "roles can be added later"
        assert pg.sql("SELECT has_schema_privilege('jobq_producer', 'jobq', 'USAGE')", dbname=empty) == [(True,)]
    finally:
        pg.sql("DROP OWNED BY m_app CASCADE; DROP ROLE m_app", dbname=empty)


def test_roles_existing(pg, db, empty):
    """As a member of jobq_owner that can create neither roles nor databases."""
    pg.sql(f"CREATE ROLE m_dba LOGIN; GRANT jobq_owner TO m_dba; GRANT CREATE ON DATABASE {empty} TO jobq_owner", dbname=empty)
    try:
        for _ in range(2):
            code, _, err = migrate(pg, empty, "--roles", "existing", user="m_dba")
            assert code == 0, err
        assert migrate(pg, empty, "--roles", "create", user="m_dba")[0] == 0, "what is there already needs no privilege to make"
        assert pg.sql("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'jobq'", dbname=empty) == [("jobq_owner",)]
    finally:
        pg.sql("DROP ROLE m_dba", dbname=empty)


def test_no_secrets(pg):
    done = subprocess.run([JOBQCTL, "migrate", "--database", "postgres://u:hunter2secret@127.0.0.1:1/x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "127.0.0.1" in done.stderr and "hunter2secret" not in done.stdout + done.stderr
    done = subprocess.run([JOBQCTL, "migrate", "--database", "postgres://u:hunter2@secret@127.0.0.1:1/x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "secret" not in done.stderr.replace("secrets", "")
