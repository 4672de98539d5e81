"""What is left of finished jobs: nothing at 0, else a row in the partition of the day on which it may go."""
from harness.wait import wait_until


def test_zero_deletes_at_once(daemon, db):
    """retain_completed = 0: completed rows are gone, failed ones stay for their own time."""
    daemon(db, {"sleep": {"retain_completed": "0"}}).start()
    good = db.enqueue("sleep", {})
    bad = db.enqueue("sleep", {"outcome": "fail", "error": "no"})
    db.wait_job(bad, "failed")
    db.settle("sleep")
    assert db.job(good) is None and db.one("SELECT status FROM jobq.status(%s)", [good]) in (None, "unknown")


def test_history_partition(daemon, db):
    """Finished rows leave the live table for a leaf by expiry day, on which dropping it loses nothing else."""
    daemon(db, {"null": {"retain_completed": "10d"}, "sleep": {"retain_failed": "20d"}}).start()
    done, failed = db.enqueue("null", {}), db.enqueue("sleep", {"outcome": "fail"})
    db.wait_job(done, "completed")
    db.wait_job(failed, "failed")
    assert db.one("SELECT count(*) FROM jobq.jobs_live") == 0
    days = dict(db.sql("SELECT id, expire_on - completed_at::date FROM jobq.jobs"))
    assert 10 <= days[done] <= 11 and 20 <= days[failed] <= 21
    assert db.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'jobq.jobs'::regclass") <= 16


def test_expired_partition_goes(daemon, db):
    """A leaf whose day has come is dropped whole by a daemon's upkeep; the others stay."""
    first = daemon(db, {"null": {"retain_completed": "1d"}}).start()
    db.wait_job(db.enqueue("null", {}), "completed")
    leaf = db.one("SELECT tableoid::regclass::text FROM jobq.jobs WHERE status = 'completed'")
    assert first.stop() == 0
    old = db.one("SELECT jobq.ensure_leaf('2020-01-08')")
    daemon(db, {"null": {"retain_completed": "1d"}}).start()
    wait_until(lambda: db.one("SELECT to_regclass(%s)", [f"jobq.{old}"]) is None, "the expired leaf to be gone", 60)
    assert db.one("SELECT to_regclass(%s)::text", [leaf]) == leaf


def test_claim_is_hot(daemon, db):
    """No index holds a column that a claim changes: most updates of the live table are HOT, as PostgreSQL counts them."""
    db.enqueue_many([{"queue": "null", "tenant_id": f"t{n % 20}", "payload": {"filler": "x" * 120}} for n in range(5000)])
    d = daemon(db, {"null": {}}).start()
    db.settle("null")
    assert d.stop() == 0
    updates, hot = db.sql("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'jobq.jobs_live'::regclass")[0]
    assert updates >= 5000 and hot / updates > 0.85, f"{hot} of {updates}"
