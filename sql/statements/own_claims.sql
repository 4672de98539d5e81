-- sweep.c: our claims. $1 incarnation
SELECT token FROM jobq.claims WHERE incarnation = $1::int8
