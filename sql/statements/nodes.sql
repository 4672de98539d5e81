-- counts.c: the nodes on this database, the oldest first
SELECT node, version, last_seen FROM jobq.nodes ORDER BY incarnation LIMIT 32
