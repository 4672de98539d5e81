-- sweep.c: nodes whose lease has run out lose their row. $1 our incarnation
DELETE FROM jobq.nodes WHERE lease_until < now() AND incarnation <> $1::int8 RETURNING node
