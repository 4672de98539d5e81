"""The judge judged: each way in which jobq could cheat must be seen by the checker."""
import json
import os
import threading

import checker

import pytest
from harness.jsonlines import whole_lines


def job(state="commit", **more):
    return {"state": state, "to": "+3584", **more}


def effect(key, ref="r", m=0.0):
    return {"text": key, "headers": {"idempotency-key": ref}, "query": {}, "m": m}


def row(key, status="completed", error=None):
    return {"id": 1, "status": status, "key": key, "retries": 0, "error": error}


def test_nothing_wrong():
    assert checker.check({"a": job()}, [effect("a")], [row("a")]).broken == []


@pytest.mark.parametrize("ledger,effects,table,words", [
    ({"a": job()}, [], [], "LOST"),
    ({"a": job()}, [effect("a")], [], "LOST"),
    ({"a": job()}, [], [row("a")], "without its effect"),
    ({"a": job()}, [effect("a")], [row("a", "claimed")], "still claimed"),
    ({"a": job("rollback")}, [effect("a")], [], "rolled back"),
    ({"a": job("rollback")}, [], [row("a")], "rolled back"),
    ({"a": job()}, [effect("a")], [row("a"), row("a")], "2 rows"),
    ({"a": job()}, [effect("a"), effect("a")], [row("a")], "more than the 0"),
    ({"a": job()}, [effect("a"), effect("a", "other")], [row("a")], "other references"),
    ({"a": job()}, [effect("a")], [row("a", "cancelled")], "yet its effect"),
    ({"a": job()}, [], [row("a", "failed", "no")], "failed: no"),
    ({}, [effect("b")], [], "nobody asked for"),
    ({}, [], [row("b")], "nobody enqueued"),
])
def test_sees(ledger, effects, table, words):
    assert any(words in text for text in checker.check(ledger, effects, table).broken)


def test_unknown_may_be_either():
    assert checker.check({"a": job("unknown")}, [], []).broken == []
    assert checker.check({"a": job("unknown")}, [effect("a")], [row("a")]).broken == []


def test_most_in_a_second():
    assert checker.most_in_a_second([effect("a", m=t / 8) for t in range(30)]) == 8
    assert checker.most_in_a_second([]) == 0


def test_lines_that_are_being_written(where):
    """A reader meets the writer in the middle of a line at any moment; it must neither fail nor take half a line for one."""
    path, count = os.path.join(where, "lines"), 20000
    line = json.dumps({"text": "x" * 40}).encode() + b"\n"

    def write():
        with open(path, "ab", buffering=0) as f:
            for _ in range(count):
                f.write(line[:25])
                f.write(line[25:])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while writer.is_alive():
            assert all(len(row["text"]) == 40 for row in whole_lines(path))
    finally:
        writer.join()
    assert len(whole_lines(path)) == count
