-- recover.c: claims of earlier incarnations of this instance become ours; their rows of jobq.nodes go
-- $1 incarnation  $2 instance
WITH old AS (
  DELETE FROM jobq.nodes WHERE instance = $2 AND incarnation <> $1::int8 RETURNING incarnation
)
UPDATE jobq.claims SET incarnation = $1::int8 WHERE incarnation IN (SELECT incarnation FROM old)
