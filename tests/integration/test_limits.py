"""Limits, weights and the standing of tenants: queue, tier and tenant, rate and concurrency. Rates are judged by when jobs began, concurrency and
shares at the receiver."""
import os

from harness.begun import within
from harness.wait import wait_until


def enqueue(db, tenant, count, first=0):
    db.enqueue_many([{"queue": "sms", "tenant_id": tenant, "payload": {"to": f"+35840{n:07d}", "text": f"{tenant}:{n}"}} for n in range(first, first + count)])


def of(effects, *tenants):
    return [e for e in effects if e["text"].split(":")[0] in tenants]


def why(d, db, tenant):
    job = db.one("SELECT max(id) FROM jobq.jobs_live WHERE tenant_id = %s", (tenant,))
    return [r["code"] for r in d.json("why", str(job))["reasons"]]


def test_a_tenant_at_its_limit_holds_back_nobody(daemon, db, receiver, begun):
    """One tenant may send 20/s and has a backlog; the others' jobs do not wait for it."""
    enqueue(db, "slow", 150)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3}})
    db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, rate_limit) VALUES ('slow', 'sms', '20/s')")
    watch = begun(d.start())
    wait_until(lambda: len(receiver.effects()) > 20, "the slow tenant's messages")
    wait_until(lambda: why(d, db, "slow") == ["rate_tenant"], "the reason")
    enqueue(db, "quick", 300)
    wait_until(lambda: len(of(receiver.effects(), "quick")) == 300, "the others' messages")
    assert len(of(receiver.effects(), "slow")) < 150
    db.settle("sms")
    slow = of(receiver.effects(), "slow")
    within(db, [watch], slow, 20)
    assert db.one("SELECT max(retry_count) FROM jobq.jobs") == 0


def test_the_database_is_not_asked_for_what_may_not_go(daemon, db, receiver, begun):
    """A limited tenant's backlog is claimed as it may be sent, neither before nor again and again."""
    enqueue(db, "slow", 60)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2, "tenant_rate_limit": "10/s"}})
    watch = begun(d.start())
    wait_until(lambda: len(receiver.effects()) >= 30, "deliveries")
    claimed = db.one("SELECT count(*) FROM jobq.jobs_live WHERE status <> 'pending'")
    assert claimed <= 4, f"{claimed} jobs claimed ahead of a limit of 10/s"
    db.settle("sms")
    within(db, [watch], receiver.effects(), 10)


def test_a_tier_shares_one_limit(daemon, db, receiver, begun):
    """Three tenants of a tier send 30/s together, each of them some; one of another tier is not held back."""
    db.sql("INSERT INTO jobq.tiers (tier, queue, rate_limit) VALUES ('free', '*', '30/s')")
    db.sql("INSERT INTO jobq.tenants (id, tier) VALUES ('f1', 'free'), ('f2', 'free'), ('f3', 'free'), ('paid', 'gold')")
    for tenant in ("f1", "f2", "f3", "paid"):
        enqueue(db, tenant, 60)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3}}).start()
    watch = begun(d)
    wait_until(lambda: len(of(receiver.effects(), "paid")) == 60, "the other tier's messages")
    wait_until(lambda: len(receiver.effects()) > 100, "the tier's messages")
    wait_until(lambda: why(d, db, "f1") == ["rate_tier"], "the reason")
    free = of(receiver.effects(), "f1", "f2", "f3")
    assert all(len(of(free, t)) > 0 for t in ("f1", "f2", "f3"))
    db.settle("sms")
    within(db, [watch], of(receiver.effects(), "f1", "f2", "f3"), 30)


def test_concurrency_of_a_tenant(daemon, db, receiver):
    """At no time more than two requests of a tenant are open at the receiver, and those of others are."""
    receiver.control(slow=0.2)
    for tenant in ("a", "b"):
        enqueue(db, tenant, 20)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "tenant_concurrency": 2}}).start()
    wait_until(lambda: len(receiver.effects()) > 8, "deliveries")
    wait_until(lambda: "tenant_concurrency" in why(d, db, "a"), "the reason")
    db.settle("sms", 30)
    effects = receiver.effects()
    for tenant in ("a", "b"):
        times = sorted(e["m"] for e in of(effects, tenant))
        assert len(times) == 20
        assert all(times[i + 2] - times[i] > 0.15 for i in range(len(times) - 2)), "three at a time"


def test_an_inactive_tenant_waits(daemon, db, receiver):
    """It is told to the daemon at once, both ways, and `why` says it."""
    db.sql("INSERT INTO jobq.tenants (id, active) VALUES ('late', false)")
    enqueue(db, "late", 3)
    enqueue(db, "other", 3)
    d = daemon(db, {"sms": receiver.queue_keys()}).start()
    wait_until(lambda: len(receiver.effects()) == 3, "the active tenant's messages")
    assert why(d, db, "late") == ["tenant_inactive"]
    db.sql("UPDATE jobq.tenants SET active = true WHERE id = 'late'")
    wait_until(lambda: len(receiver.effects()) == 6, "the messages of the tenant that is active again", 10)
    db.sql("UPDATE jobq.tenants SET active = false WHERE id = 'late'")
    wait_until(lambda: "tenant_inactive" in [r["code"] for r in d.json("why", str(_one_more(db)))["reasons"]], "the tenant to be inactive")
    assert len(receiver.effects()) == 6


def test_the_roster_is_read_once(daemon, db, receiver):
    """Looking a tenant up asks no database: status counts the look-ups and the readings."""
    db.sql("INSERT INTO jobq.tenants (id, tier) SELECT 'f' || n, 'free' FROM generate_series(1, 50) n")
    db.sql("INSERT INTO jobq.tiers (tier, weight) VALUES ('free', 0.5)")
    for n in range(1, 51):
        enqueue(db, f"f{n}", 2)
    d = daemon(db, {"sms": receiver.queue_keys()}).start()
    db.settle("sms", 20)
    cache = d.status()["tenant_cache"]
    assert cache["size"] == 50 and cache["hits"] >= 50 and 1 <= cache["misses"] <= 3
    db.sql("UPDATE jobq.tenants SET tier = 'paid' WHERE id = 'f1'")
    wait_until(lambda: d.status()["tenant_cache"]["misses"] > cache["misses"], "the change to be read", 10)


def _one_more(db):
    job = db.one("SELECT min(id) FROM jobq.jobs_live WHERE tenant_id = 'late'")
    if job is None:
        db.sql("SELECT jobq.enqueue('sms', '{\"to\": \"+358401234567\", \"text\": \"late:9\"}', 'late', run_at => now() + interval '1 s')")
        job = db.one("SELECT min(id) FROM jobq.jobs_live WHERE tenant_id = 'late'")
    return job


def test_limits_survive_the_dispatcher(daemon, db, receiver, begun):
    """A dispatcher that is killed, and one that starts, give no tenant a fresh bucket; nor does a change of another's limit."""
    enqueue(db, "slow", 120)
    d = daemon(db, {"sms": {**receiver.queue_keys(), "workers": 3, "tenant_rate_limit": "20/s", "on_uncertain": "retry"}}).start()
    watch = begun(d)
    for _ in range(2):
        before = len(receiver.effects())
        wait_until(lambda: len(receiver.effects()) > before + 25, "deliveries")
        os.kill(d.pid("dispatcher"), 9)
    db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, rate_limit) VALUES ('else', '*', '1/h')")
    db.settle("sms", 30)
    within(db, [watch], receiver.attempts(), 20)
    assert len({e["text"] for e in receiver.effects()}) == 120


def test_a_changed_limit_holds_at_once(daemon, db, receiver):
    """One an hour, then none: the change is told, not waited for."""
    enqueue(db, "t", 30)
    db.sql("INSERT INTO jobq.tenant_limits (tenant_id, queue, rate_limit) VALUES ('t', 'sms', '1/h')")
    daemon(db, {"sms": receiver.queue_keys()}).start()
    wait_until(lambda: len(receiver.effects()) == 1, "the one message that may go")
    db.sql("UPDATE jobq.tenant_limits SET rate_limit = 'off'")
    db.settle("sms", 15)
    assert len(receiver.effects()) == 30


def test_weights_share_a_limited_queue(daemon, db, receiver):
    """Under one limit of the queue, a tenant of weight 3 sends three times what one of weight 1 does."""
    db.sql("INSERT INTO jobq.tenant_limits (tenant_id, weight) VALUES ('heavy', 3)")
    for tenant in ("light", "heavy"):
        enqueue(db, tenant, 300)
    daemon(db, {"sms": {**receiver.queue_keys(), "workers": 2, "rate_limit": "100/s", "batch_size": 5, "batch_adaptive": "off"}}).start()
    wait_until(lambda: len(receiver.effects()) >= 240, "deliveries", 20)
    first = receiver.effects()[40:240]
    heavy = len(of(first, "heavy"))
    assert 130 <= heavy <= 170, f"{heavy} of 200"


def test_segments_are_counted(daemon, db, receiver, begun):
    """rate_unit = segments: a text of three segments takes three tokens."""
    db.enqueue_many([{"queue": "sms", "tenant_id": "t", "payload": {"to": f"+35840{n:07d}", "text": f"{n:03d}" + "x" * 400}} for n in range(40)])
    watch = begun(daemon(db, {"sms": {**receiver.queue_keys(), "rate_limit": "60/s", "rate_unit": "segments"}}).start())
    db.settle("sms")
    within(db, [watch], receiver.effects(), 20)
    assert len(receiver.effects()) == 40


def test_nodes_share_a_limit(daemon, db, receiver, begun):
    """Three nodes keep 50/s together, each has some of it; when two leave, the third has all of it again."""
    enqueue(db, "t", 1000)
    keys = {**receiver.queue_keys(), "workers": 2, "rate_limit": "50/s", "on_uncertain": "retry"}
    nodes = [daemon(db, {"sms": keys}, node=f"n{i}", lease="3s").start() for i in range(3)]
    watches = [begun(d) for d in nodes]
    wait_until(lambda: len(receiver.effects()) > 50, "deliveries")
    wait_until(lambda: all(d.queue_status("sms")["completed"] > 30 for d in nodes), "deliveries of every node")
    shared = len(receiver.attempts())
    for d in nodes[1:]:
        d.stop()
    wait_until(lambda: len(receiver.attempts()) > shared + 250, "deliveries of the node that is left", 60)
    within(db, watches, receiver.attempts(), 50)
    wait_until(lambda: nodes[0].queue_status("sms")["rate"]["effective_per_s"] == 50, "the whole limit to be its own")
