-- node.c: $1 incarnation  $2 lease, us; no row = another node has swept us
UPDATE jobq.nodes SET last_seen = now(), lease_until = now() + $2::int8 * interval '1 microsecond'
 WHERE incarnation = $1::int8
RETURNING clock_timestamp()
