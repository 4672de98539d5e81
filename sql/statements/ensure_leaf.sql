-- leaf.c: makes the history leaf of a day. $1 days since 2000-01-01
SELECT jobq.ensure_leaf(date '2000-01-01' + $1::int4)
