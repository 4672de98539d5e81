"""Tenants take turns: a big backlog of one costs the others next to nothing."""


def test_small_tenants_first_through(daemon, db):
    """3,000 jobs of one tenant first in the queue, then 20 small tenants: these are done before a third of the big one's."""
    db.enqueue_many([{"queue": "sleep", "tenant_id": "big"} for _ in range(3000)])
    db.enqueue_many([{"queue": "sleep", "tenant_id": f"small{n % 20}"} for n in range(200)])
    daemon(db, {"sleep": {"workers": 2, "sleep": "1ms", "batch_size": 10}}).start()
    db.settle("sleep")
    ahead = db.one("SELECT count(*) FROM jobq.jobs WHERE tenant_id = 'big' AND completed_at <"
                   " (SELECT max(completed_at) FROM jobq.jobs WHERE tenant_id LIKE 'small%%')")
    assert ahead < 1000, f"{ahead} jobs of the big tenant went before the last small one"


def test_newcomer_joins_at_the_head(daemon, db):
    """A tenant that comes into a busy queue is served next, not behind the backlog."""
    db.enqueue_many([{"queue": "sleep", "tenant_id": f"big{n % 3}"} for n in range(3000)])
    d = daemon(db, {"sleep": {"workers": 2, "sleep": "2ms", "batch_size": 10}}).start()
    d.wait_status(lambda s: s["queues"][0]["completed"] > 100, "the queue to be busy")
    job = db.enqueue("sleep", {}, tenant_id="new")
    row = db.wait_job(job, "completed")
    ahead = db.one("SELECT count(*) FROM jobq.jobs WHERE tenant_id LIKE 'big%%' AND completed_at BETWEEN %s AND %s", [row["created_at"], row["completed_at"]])
    assert ahead < 500, f"{ahead} jobs of others went before it"


def test_equal_shares(daemon, db):
    """Four tenants with equal backlogs advance together."""
    db.enqueue_many([{"queue": "sleep", "tenant_id": f"t{n // 1000}"} for n in range(4000)])
    d = daemon(db, {"sleep": {"workers": 2, "sleep": "1ms", "batch_size": 10}}).start()
    d.wait_status(lambda s: s["queues"][0]["completed"] > 1500, "1,500 jobs to be done", 60)
    done = dict(db.sql("SELECT tenant_id, count(*) FROM jobq.jobs WHERE status = 'completed' GROUP BY 1"))
    assert len(done) == 4 and max(done.values()) - min(done.values()) < 300, done


def test_batches_of_one_tenant(daemon, db, receiver):
    """group_by = tenant: a batch holds one tenant's jobs (batch_id of the rows)."""
    db.enqueue_many([{"queue": "null", "tenant_id": f"t{n % 10}"} for n in range(1000)])
    daemon(db, {"null": {"workers": 2}}).start()
    db.settle("null")
    rows = db.sql("SELECT batch_id, count(DISTINCT tenant_id), count(*) FROM jobq.jobs WHERE batch_id IS NOT NULL GROUP BY 1")
    assert all(tenants == 1 and 1 <= jobs <= 50 for _, tenants, jobs in rows)


def test_turns_under_a_rate_limit(daemon, db, receiver):
    """Five tenants with equal backlogs behind a limit of 50/s: at half time none has been left out."""
    db.enqueue_many([{"queue": "sms", "tenant_id": f"t{n % 5}", "payload": {"to": f"+35840{n:07d}", "text": f"t{n % 5}"}} for n in range(300)])
    daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "50/s"}}).start()
    db.settle("sms")
    half = [e["text"] for e in receiver.effects()][:150]
    shares = {t: half.count(t) for t in sorted(set(half))}
    assert len(shares) == 5 and min(shares.values()) >= 10, shares
