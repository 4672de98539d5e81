#!/usr/bin/python3
"""A handler for exec queues that writes rows and completes its job in one transaction: exactly once, whatever is killed when.

    [queue orders]
    handler = exec
    command = /usr/bin/python3 /usr/share/doc/jobq/examples/orders.py
    env = PGHOST=/var/run/postgresql
    env = PGDATABASE=shop
    env = PGPASSFILE=/etc/shop/pgpass

The role of these connections is granted jobq_producer, and may write the table. PGPASSFILE: a password never stands in an environment.
"""
import json
import sys

import psycopg2

database = psycopg2.connect("")  # all from the variables above


def write(cursor, job):
    order = job["payload"]
    cursor.execute("INSERT INTO orders (sku, count) VALUES (%s, %s) RETURNING id", (order["sku"], order["count"]))
    return {"order": cursor.fetchone()[0]}


class Lost(Exception):
    """The job is somebody else's by now."""


for line in sys.stdin:
    job = json.loads(line)
    if "cancel" in job:
        continue
    try:
        with database, database.cursor() as cursor:  # commits at its end, rolls back on an exception
            result = write(cursor, job)
            cursor.execute("SELECT jobq.complete(%s, %s, %s)", (job["id"], job["claim_token"], json.dumps(result)))
            if not cursor.fetchone()[0]:
                raise Lost("the job is not ours any more")
        answer = {"outcome": "committed"}
    except (KeyError, psycopg2.DataError, psycopg2.IntegrityError) as error:  # it never will
        answer = {"outcome": "fail", "error": f"{type(error).__name__}: {error}"}
    except (psycopg2.Error, Lost) as error:
        if database.closed:
            raise  # jobqd tries the job again with a new program, and asks the table whether it was done
        answer = {"outcome": "retry", "error": str(error)}
    print(json.dumps({"id": job["id"], **answer}), flush=True)
