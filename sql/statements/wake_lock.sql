-- wake.c: the waking gate; enqueues share this lock for their transaction (jobq.wake)
SELECT pg_advisory_lock(jobq.wake_key())
