#!/usr/bin/python3
"""A handler for exec queues in Python: one job after another.

    [queue words]
    handler = exec
    command = /usr/bin/python3 /usr/share/doc/jobq/examples/words.py

    SELECT jobq.enqueue('words', '{"text": "to be or not to be"}');
"""
import json
import sys
from collections import Counter


def work(payload):
    words = payload["text"].split()
    return {"words": len(words), "most": Counter(words).most_common(3)}


for line in sys.stdin:  # ends when jobqd closes our input: finish and leave
    job = json.loads(line)
    if "cancel" in job:
        continue  # we do one at a time: it has ended before we read this
    try:
        answer = {"outcome": "done", "result": work(job["payload"])}
    except KeyError as missing:  # it never will
        answer = {"outcome": "fail", "error": f"the payload has no {missing}"}
    except OSError as error:  # it may, later
        answer = {"outcome": "retry", "error": str(error), "after": "30s"}
    print(json.dumps({"id": job["id"], **answer}), flush=True)
