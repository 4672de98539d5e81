#!/usr/bin/python3
"""UI translations for an exec queue: texts from a translation memory, DIRECTORY/LOCALE.json: {"source text": "translated text"}.

    SELECT jobq.enqueue('translations', '{"locale": "fi", "strings": {"cart.empty": "Your cart is empty"}}');

The result has what is known and the keys of what is not. A translation that loses a {placeholder} of its source fails the job: the memory
has to be put right, and nobody shall see "Hello {name}" without a name in it.
"""
import json
import os
import re
import sys

MEMORIES = {}
LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
PLACEHOLDER = re.compile(r"\{\w+\}")


class Wrong(Exception):
    """It will not be right the next time either."""


def memory(locale):
    """The file's content; read again when it has changed."""
    if not isinstance(locale, str) or not LOCALE.fullmatch(locale):
        raise Wrong(f"no locale like fi or pt-BR: {locale!r}")
    path = os.path.join(sys.argv[1], locale + ".json")
    changed = os.stat(path).st_mtime_ns
    if MEMORIES.get(locale, (None, 0))[1] != changed:
        with open(path, encoding="utf-8") as f:
            MEMORIES[locale] = json.load(f), changed
    return MEMORIES[locale][0]


def translate(payload):
    known = memory(payload["locale"])
    done = {key: known[text] for key, text in payload["strings"].items() if text in known}
    for key, text in done.items():
        if sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(payload["strings"][key])):
            raise Wrong(f"the translation of {key!r} has not the placeholders of its source")
    return {"translated": done, "missing": sorted(set(payload["strings"]) - set(done))}


for line in sys.stdin:
    job = json.loads(line)
    if "cancel" in job:
        continue
    try:
        answer = {"outcome": "done", "result": translate(job["payload"])}
    except (Wrong, KeyError, TypeError, AttributeError) as error:
        answer = {"outcome": "fail", "error": f"no {error}" if isinstance(error, KeyError) else str(error)}
    except (OSError, ValueError) as error:  # no such memory yet, or it is just being written
        answer = {"outcome": "retry", "error": str(error)}
    print(json.dumps({"id": job["id"], **answer}), flush=True)
