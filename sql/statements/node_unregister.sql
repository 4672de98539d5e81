-- node.c: $1 incarnation; everything it had claimed has been released
DELETE FROM jobq.nodes WHERE incarnation = $1::int8
