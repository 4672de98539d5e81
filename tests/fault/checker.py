"""The judge. It knows only the producers' ledger, the receiver's log of effects, and the rows of jobq.jobs at the end.

Nothing here asks jobq about itself: no status, no log, no metric. Invariants are those of docs: every acknowledged job reaches one
terminal state (I1), completed means that the effect happened and cancelled or rolled back that it did not (I2), repeated effects are
bounded and carry one reference (I3), limits hold at the receiver (I5).
"""
import collections

TERMINAL = {"completed", "failed", "cancelled", "held"}


class Verdict:
    def __init__(self):
        self.broken = []
        self.repeats = 0
        self.counts = collections.Counter()

    def say(self, text):
        self.broken.append(text)

    def __str__(self):
        shown = self.broken[:20] + ([f"... and {len(self.broken) - 20} more"] if len(self.broken) > 20 else [])
        return f"{dict(self.counts)}, {self.repeats} repeated effects\n" + "\n".join(shown)


def rows(database, queue):
    """The final table as the checker wants it: {id: (status, key)}."""
    found = database.sql("SELECT id, status, payload->>'text', retry_count, error_message FROM jobq.jobs WHERE queue = %s", [queue])
    return [dict(zip(("id", "status", "key", "retries", "error"), row)) for row in found]


def reference(effect):
    """What the receiver could deduplicate by: the reference that jobq promises to keep the same on every attempt."""
    return effect["headers"].get("idempotency-key") or effect["headers"].get("x-kannel-binfo") or ""


def check(ledger, effects, table, repeats_allowed=0, refused=lambda job: False, deleted_when_done=False):
    """ledger: Ledger.read(); effects: Receiver.effects(); table: rows(). refused(job): the receiver never accepts this one, so it must
    end failed. repeats_allowed: jobs that were in flight at the victims. deleted_when_done: retain_completed = 0. Returns a Verdict."""
    verdict = Verdict()
    happened = collections.defaultdict(list)
    for effect in effects:
        happened[effect["text"]].append(effect)
    stored = collections.defaultdict(list)
    for row in table:
        stored[row["key"]].append(row)
    for key, job in ledger.items():
        _one(verdict, key, job, stored.pop(key, []), happened.pop(key, []), refused, deleted_when_done)
    for key in stored:
        verdict.say(f"{key}: a job that nobody enqueued")
    for key in happened:
        verdict.say(f"{key}: an effect that nobody asked for")
    if verdict.repeats > repeats_allowed:
        verdict.say(f"{verdict.repeats} effects were repeated, more than the {repeats_allowed} that were in flight at the victims")
    return verdict


def _one(verdict, key, job, stored, effects, refused, deleted_when_done):
    verdict.counts[job["state"]] += 1
    if len(effects) > 1:
        verdict.repeats += len(effects) - 1
        if len({reference(e) for e in effects}) != 1 or not reference(effects[0]):
            verdict.say(f"{key}: repeated under other references: {[reference(e) for e in effects]}")
    if job["state"] == "rollback":
        if stored or effects:
            verdict.say(f"{key}: rolled back, yet {len(stored)} rows and {len(effects)} effects")
        return
    if not stored:
        gone_is_right = job["state"] in ("unknown", "intent") and not effects or deleted_when_done and len(effects) >= 1
        if not gone_is_right:
            verdict.say(f"{key}: LOST (ledger: {job['state']}, {len(effects)} effects)")
        return
    if len(stored) > 1:
        verdict.say(f"{key}: {len(stored)} rows")
    row = stored[0]
    verdict.counts[row["status"]] += 1
    if row["status"] not in TERMINAL:
        verdict.say(f"{key}: still {row['status']}")
    elif row["status"] == "completed" and not effects:
        verdict.say(f"{key}: completed without its effect")
    elif row["status"] == "completed" and refused(job):
        verdict.say(f"{key}: completed, though its receiver refuses it")
    elif row["status"] == "failed" and not refused(job):
        verdict.say(f"{key}: failed: {row['error']}")
    elif row["status"] == "cancelled" and effects:
        verdict.say(f"{key}: cancelled, yet its effect happened")
    if row["status"] == "failed" and not row["error"]:
        verdict.say(f"{key}: failed without a reason")


def most_in_a_second(effects):
    """The most effects in any one second, by the receiver's monotonic clock."""
    times, most, first = sorted(e["m"] for e in effects), 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most
