"""Shares of rate limits over nodes: never more than rate * time + burst together, most of it used, and nobody waits for the dead.

The nodes here are models that keep to the contract of jobq.lease_rate (sql/migrations/0002_tenants/30_leases.sql), under a virtual
clock: jobq.lease_rate_at is asked at times that are made up, so that minutes of several nodes take seconds and are the same in each run.
"""
import heapq
import json
import random

import psycopg2
import pytest

START = 1_000_000.0  # seconds since 1970, where the virtual clock begins: small, so that a double holds microseconds
EPS = 1e-5


class Node:
    """Asks once a second; sends as soon as it may, whenever it has work."""

    def __init__(self, db, name, now, queue="q"):
        self.db, self.name, self.queue = db, name, queue
        self.incarnation = db.one("SELECT nextval('jobq.incarnation_seq')")
        self.segments, self.hold_until, self.covered = [], 0.0, 0.0  # (from, until, rate, burst)
        self.tokens, self.at, self.busy, self.sent, self.shares = 0.0, now, False, [], []
        db.sql("INSERT INTO jobq.nodes (incarnation, instance, node, version, schema_version, queues, lease_until)"
               " VALUES (%s, 'i', %s, '1', 2, %s, to_timestamp(%s))", [self.incarnation, name, [queue], now + 30])

    def renew(self, now):
        self.db.sql("UPDATE jobq.nodes SET lease_until = to_timestamp(%s) WHERE incarnation = %s", [now + 30, self.incarnation])

    def leave(self):
        self.db.sql("DELETE FROM jobq.nodes WHERE incarnation = %s", [self.incarnation])

    def ask(self, limit, asked, want=None):
        wants = {"alone": [self.queue] if self.hold_until > asked else [],
                 "limits": [{**limit, "queue": self.queue, "want": (limit["rate"] * 2 if self.busy else 0) if want is None else want}]}
        return self.db.one("SELECT jobq.lease_rate_at(%s, %s, to_timestamp(%s))", [self.incarnation, json.dumps(wants), asked])

    def answered(self, limit, answer, asked, now):
        """Takes over what was answered at `now` to what was asked at `asked`."""
        self.advance(now)
        grant = answer["grants"][0]
        alone = answer["alone"].get(self.queue)
        if alone:
            self.hold_until = asked + alone["until_us"] / 1e6
            self.segments = [(now, self.hold_until, limit["rate"], limit["burst"])]
            idle = alone["idle_us"]
        else:
            self.hold_until, idle = 0.0, grant["idle_us"]
            self.segments = [(now + s["from_us"] / 1e6, asked + s["until_us"] / 1e6, s["rate"], s["burst"]) for s in grant["slices"]]
            self.shares += [(asked, s) for s in grant["slices"]]
        if self.segments and now > self.covered:  # not running
            self.tokens = limit["burst"] if idle is None else idle / 1e6 * limit["rate"]
        self.covered = max([s[1] for s in self.segments], default=self.covered if now <= self.covered else 0.0)
        if not self.segments:
            self.covered = 0.0

    def advance(self, now):
        for begin, until, rate, burst in self.segments:
            begin, until = max(begin, self.at), min(until, now)
            if begin >= until:
                continue
            self.tokens = min(self.tokens, burst)
            while self.busy:
                ready = begin + max(0.0, 1 - self.tokens) / rate
                if ready >= until:
                    break
                self.tokens = min(burst, self.tokens + (ready - begin) * rate) - 1
                self.sent.append(ready)
                begin = ready
            self.tokens = min(burst, self.tokens + (until - begin) * rate)
        self.at = max(self.at, now)

    def work(self, now, busy):
        self.advance(now)
        self.busy = busy


def excess(sent, rate, burst):
    """How far the sendings go beyond rate * time + burst over the worst of all intervals."""
    tokens, last, worst = float(burst), None, 0.0
    for at in sorted(sent):
        if last is not None:
            tokens = min(burst, tokens + (at - last) * rate)
        last = at
        tokens -= 1
        worst = max(worst, -tokens)
    return worst


def shares_fit(nodes, rate, burst):
    """For each slice: what all nodes were told, last, in sum."""
    told = {}
    for node in nodes:
        for asked, s in node.shares:
            told[round(asked + s["until_us"] / 1e6), node.name] = s
    for end in {end for end, _ in told}:
        both = [s for (e, _), s in told.items() if e == end]
        assert sum(s["rate"] for s in both) <= rate + EPS and sum(s["burst"] for s in both) <= burst, (end, both)


def run(nodes, limit, seconds, rng, begin=START, latency=0.02, lost=0.0, toggles=()):
    """Each node asks once a second at its own moment; `toggles`: (time, node, busy)."""
    events = [(begin + rng.random(), i, "ask", n) for i, n in enumerate(nodes)] + [(begin + t, 1000 + i, "work", (n, b)) for i, (t, n, b) in enumerate(toggles)]
    heapq.heapify(events)
    while events and events[0][0] < begin + seconds:
        at, key, what, arg = heapq.heappop(events)
        if what == "work":
            arg[0].work(at, arg[1])
        elif what == "ask":
            heapq.heappush(events, (at + rng.random() * latency, key, "database", (arg, at)))
            heapq.heappush(events, (at + 0.9 + 0.15 * rng.random(), key, "ask", arg))
        elif what == "database":
            node, asked = arg
            node.renew(at)
            answer = node.ask(limit, at)
            if rng.random() >= lost:
                heapq.heappush(events, (at + rng.random() * latency, key, "answer", (node, answer, asked)))
        else:
            arg[0].answered(limit, arg[1], arg[2], at)
    for node in nodes:
        node.advance(begin + seconds)


def limit_of(rate, burst, scope="queue", name=""):
    return {"scope": scope, "name": name, "rate": rate, "burst": burst}


@pytest.mark.parametrize("rate, burst", [(50, 5), (1000, 100), (7, 1), (5, 2)])
def test_three_nodes_with_backlog(db, rate, burst):
    """At least 90% used by three of them, and never more than rate * time + burst in any interval."""
    rng = random.Random(rate)
    nodes = [Node(db, f"n{i}", START) for i in range(3)]
    for node in nodes:
        node.work(START, True)
    run(nodes, limit_of(rate, burst), 60, rng)
    sent = [t for node in nodes for t in node.sent]
    assert excess(sent, rate, burst) <= EPS
    assert len([t for t in sent if t >= START + 5]) >= 0.9 * rate * 55
    shares_fit(nodes, rate, burst)
    assert all(len(node.sent) > rate * 55 * 0.15 for node in nodes), [len(n.sent) for n in nodes]


def test_slow_limits_go_from_hand_to_hand(db):
    """One unit a second and no burst: only one node can hold it; a node that has no use for it lets it go at once."""
    rng = random.Random(1)
    nodes = [Node(db, f"n{i}", START) for i in range(2)]
    limit = limit_of(1, 1)
    run(nodes, limit, 120, rng, toggles=[(0, nodes[0], True), (50, nodes[0], False), (50, nodes[1], True), (90, nodes[0], True)])
    sent = [t for node in nodes for t in node.sent]
    assert excess(sent, 1, 1) <= EPS and len(sent) >= 105
    assert len([t for t in nodes[1].sent if t < START + 57]) >= 2


@pytest.mark.parametrize("seed", range(6))
def test_anything_may_happen(db, seed):
    """Nodes work and rest, answers are slow or lost, nodes die, leave and come: never more than the limit."""
    rng = random.Random(seed)
    rate, burst = rng.choice([(3, 1), (20, 2), (50, 5), (200, 3)])
    limit, now, everyone = limit_of(rate, burst, "tenant", "acme"), START, []
    alive = []
    for phase in range(8):
        if len(alive) < 2 or (len(alive) < 4 and rng.random() < 0.6):
            alive.append(Node(db, f"m{phase}", now))
            everyone.append(alive[-1])
        toggles = sorted(((rng.random() * 8, node, rng.random() < 0.7) for node in alive for _ in range(3)), key=lambda t: t[0])
        run(alive, limit, 8, rng, begin=now, latency=rng.choice([0.01, 0.3]), lost=0.1, toggles=toggles)
        now += 8
        if len(alive) > 1 and rng.random() < 0.5:  # it ends: with a word, having sent its last, or with none, sending as long as it may
            gone = alive.pop(rng.randrange(len(alive)))
            if rng.random() < 0.5:
                gone.leave()
            else:
                gone.advance(now + 100)
    sent = [t for node in everyone for t in node.sent]
    assert len(sent) > 10 and excess(sent, rate, burst) <= EPS
    shares_fit(everyone, rate, burst)


def test_shares_follow_demand(db):
    """What one does not need the other has; what both do not need they halve."""
    a, b = Node(db, "a", START), Node(db, "b", START)
    limit = limit_of(100, 10)

    def shares(want_a, want_b, second):
        for at in (second, second + 1, second + 2):
            for node, want, moment in ((a, want_a, START + at + 0.3), (b, want_b, START + at + 0.6)):
                node.renew(moment)
                slices = node.ask(limit, moment, want)["grants"][0]["slices"]
                node.told = slices[-1]["rate"] if len(slices) == 2 else 0
        return a.told, b.told

    assert shares(1000, 1000, 10) == (50, 50)
    assert shares(10, 1000, 20) == (10, 90)
    assert shares(10, 30, 30) == (40, 60)
    assert shares(1000, 0, 40) == (100, 0)


def test_what_was_told_is_kept(db):
    """Asking again in a slice changes nothing of it."""
    a, b = Node(db, "a", START), Node(db, "b", START)
    limit = limit_of(100, 10)
    first = a.ask(limit, START + 0.1, 1000)["grants"][0]["slices"]
    assert [s["rate"] for s in first] == [100, 100] and first[0]["from_us"] == 0
    assert abs(first[0]["until_us"] - 900_000) <= 1 and first[1]["from_us"] == first[0]["until_us"] and first[1]["until_us"] == first[0]["until_us"] + 1_000_000
    assert b.ask(limit, START + 0.2, 1000)["grants"][0]["slices"] == []
    assert [s["rate"] for s in a.ask(limit, START + 0.5, 1)["grants"][0]["slices"]] == [100, 100]
    assert [s["rate"] for s in b.ask(limit, START + 1.2, 1000)["grants"][0]["slices"]] == [99]
    assert [s["rate"] for s in a.ask(limit, START + 1.5, 1000)["grants"][0]["slices"]] == [100, 1]
    assert [s["rate"] for s in b.ask(limit, START + 2.2, 1000)["grants"][0]["slices"]] == [99, 50]


def test_the_only_node_holds_everything(db):
    """As long as its lease, without writing more than it must; limits have to be asked for only when there are two."""
    a = Node(db, "a", START)
    limit = limit_of(50, 5)
    first = a.ask(limit, START, 1000)
    assert first["grants"] == [None] and abs(first["alone"]["q"]["until_us"] - 30_000_000) <= 1 and first["alone"]["q"]["idle_us"] is None
    row = db.sql("SELECT xmin, held_until FROM jobq.rate_holds")
    a.renew(START + 9)
    assert abs(a.ask(limit, START + 10, 1000)["alone"]["q"]["until_us"] - 20_000_000) <= 1
    assert db.sql("SELECT xmin, held_until FROM jobq.rate_holds") == row and db.one("SELECT count(*) FROM jobq.rate_leases") == 0
    a.renew(START + 20)
    assert abs(a.ask(limit, START + 20, 1000)["alone"]["q"]["until_us"] - 30_000_000) <= 1


def test_a_hold_counts_until_its_holder_lets_go(db):
    """The answer that takes the hold away may be lost: others get nothing until the holder asks without naming it, or it ends."""
    a = Node(db, "a", START)
    limit = limit_of(50, 5)
    a.answered(limit, a.ask(limit, START), START, START)
    b = Node(db, "b", START + 1)
    assert b.ask(limit, START + 1.2, 1000) == {"alone": {}, "grants": [{"slices": [], "idle_us": 0}]}
    told = a.ask(limit, START + 2.1, 1000)
    assert told["alone"] == {} and told["grants"][0]["slices"][0]["rate"] == 25
    assert b.ask(limit, START + 2.2, 1000)["grants"][0]["slices"] == []
    a.hold_until = 0.0  # it heard
    a.ask(limit, START + 3.1, 1000)
    assert [s["rate"] for s in b.ask(limit, START + 3.2, 1000)["grants"][0]["slices"]] == [25, 25]
    assert [s["rate"] for s in a.ask(limit, START + 4.1, 1000)["grants"][0]["slices"]] == [25, 25]


def test_a_holder_that_left_or_died(db):
    """Unregistered: its hold ends with it. Dead: with its lease."""
    limit = limit_of(50, 5)
    a = Node(db, "a", START)
    a.ask(limit, START)
    a.leave()
    b = Node(db, "b", START + 1)
    hold = b.ask(limit, START + 1, 1000)["alone"]["q"]
    assert hold["idle_us"] == 0 and hold["until_us"] > 29_000_000
    c = Node(db, "c", START + 2)
    assert c.ask(limit, START + 2, 1000)["grants"][0]["slices"] == []
    c.renew(START + 31.5)
    hold = c.ask(limit, START + 31.5, 1000)["alone"]["q"]
    assert abs(hold["idle_us"] - 500_000) <= 2


def test_shares_outlive_their_node(db):
    """Whoever comes to be alone waits for what others were told."""
    a, b, limit = Node(db, "a", START), Node(db, "b", START), limit_of(50, 5)
    a.ask(limit, START + 0.5, 1000)
    a.leave()
    told = b.ask(limit, START + 1.9, 1000)
    assert told["alone"] == {} and [s["from_us"] for s in told["grants"][0]["slices"]] == [100_000]
    assert b.ask(limit, START + 2, 1000)["alone"]["q"]["idle_us"] == 0


def test_queues_and_nodes_apart(db):
    """Who does not serve a queue does not count; a lease that ran out, or an incarnation that is not there, is told nothing."""
    a, other = Node(db, "a", START), Node(db, "b", START, queue="r")
    limit = limit_of(50, 5)
    assert "q" in a.ask(limit, START + 1)["alone"] and "r" in other.ask(limit, START + 1)["alone"]
    assert a.ask(limit, START + 31) is None
    a.leave()
    assert a.ask(limit, START + 1) is None


def test_an_idle_limit_is_full_again(db):
    """After a rest the burst is there at once; right after another node's share it is not."""
    a, b = Node(db, "a", START), Node(db, "b", START)
    limit = limit_of(10, 20)
    assert a.ask(limit, START + 0.5, 1000)["grants"][0]["idle_us"] is None
    a.ask(limit, START + 1.5, 0)
    assert b.ask(limit, START + 1.6, 1000)["grants"][0]["idle_us"] == 0
    b.renew(START + 9)
    told = b.ask(limit, START + 9, 1000)["grants"][0]
    assert abs(told["idle_us"] - 6_000_000) <= 1 and told["slices"][0]["burst"] == 20


def test_what_is_full_again_is_forgotten(db):
    a, b = Node(db, "a", START), Node(db, "b", START)
    a.ask(limit_of(10, 20), START + 0.5, 1000)
    a.ask(limit_of(1, 1000, "tier", "gold"), START + 0.5, 1)
    for second in range(100, 164):
        a.renew(START + second)
        b.renew(START + second)
        a.ask(limit_of(1, 1, "tenant", "x"), START + second, 1)
    assert db.sql("SELECT scope, name FROM jobq.rate_leases ORDER BY 1, 2") == [("tenant", "x"), ("tier", "gold")]


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": -1}, {"burst": 0}, {"want": -1}, {"scope": "job"}, {"name": None}, {"rate": None}])
def test_nonsense_is_refused(db, wrong):
    a = Node(db, "a", START)
    Node(db, "b", START)
    with pytest.raises(psycopg2.Error):
        a.ask({**limit_of(50, 5), "want": 1, **wrong}, START, wrong.get("want", 1))


def test_the_real_clock(db):
    """lease_rate is lease_rate_at at the database's own time, one after the other."""
    db.sql("INSERT INTO jobq.nodes (incarnation, instance, node, version, schema_version, queues, lease_until)"
           " SELECT n, 'i', 'n' || n, '1', 2, '{q}', now() + interval '30 s' FROM generate_series(1, 2) n")
    question = json.dumps({"limits": [{**limit_of(50, 5), "queue": "q", "want": 100}, {**limit_of(5, 1, "tenant", "x"), "queue": "q", "want": 0}]})
    worker = db.connect("jobq_worker")
    with worker.cursor() as cursor:
        cursor.execute("SELECT jobq.lease_rate(1, %s)", [question])
        queue, tenant = cursor.fetchone()[0]["grants"]
        assert [s["rate"] for s in queue["slices"]] == [50, 50] and tenant["slices"] == []
        assert 0 < queue["slices"][0]["until_us"] <= 1_000_000
        cursor.execute("SELECT jobq.lease_rate(3, %s), jobq.lease_rate(2, '{}')", [question])
        assert cursor.fetchone() == (None, {"alone": {}, "grants": []})
    worker.close()
