"""A queue that no node serves: allowed, kept, and shown."""


def test_shown_and_served_later(daemon, db):
    """Its jobs wait; status names it; a reload that adds the queue runs them."""
    d = daemon(db, {"null": {}}, count_max_age="1s").start()
    ids = db.enqueue_many([{"queue": "emial", "payload": {}} for _ in range(3)])
    status = d.wait_status(lambda s: s["unserved"], "the queue to be shown as unserved")
    assert status["unserved"][0]["name"] == "emial" and status["unserved"][0]["pending"] == 3
    why = d.json("why", ids[0])
    assert [r["code"] for r in why["reasons"]] == ["no_node"]
    d.queue("emial", handler="null")
    d.ctl("reload")
    for job in ids:
        db.wait_job(job, "completed")
    d.wait_status(lambda s: s["unserved"] == [], "nothing to be unserved")
