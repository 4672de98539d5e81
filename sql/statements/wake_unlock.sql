-- wake.c
SELECT pg_advisory_unlock(jobq.wake_key())
