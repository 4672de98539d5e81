-- node.c: a new incarnation of this node, and what the functions need to know of its queues
-- $1 instance  $2 node  $3 version  $4 lease, us  $5 queue names  $6 handlers  $7 max_retries  $8 retain_completed, us  $9 retain_failed, us  $10 schema
WITH q AS (
  INSERT INTO jobq.queues AS old (name, handler, max_retries, retain_completed, retain_failed, updated_at)
  SELECT name, handler, max_retries, completed * interval '1 microsecond', failed * interval '1 microsecond', now()
    FROM unnest($5::text[], $6::text[], $7::int8[], $8::int8[], $9::int8[]) AS u (name, handler, max_retries, completed, failed)
   ORDER BY name
  ON CONFLICT (name) DO UPDATE SET handler = excluded.handler, max_retries = excluded.max_retries,
    retain_completed = excluded.retain_completed, retain_failed = excluded.retain_failed, updated_at = now()
    WHERE (old.handler, old.max_retries, old.retain_completed, old.retain_failed)
      IS DISTINCT FROM (excluded.handler, excluded.max_retries, excluded.retain_completed, excluded.retain_failed)
), n AS (
  INSERT INTO jobq.nodes (incarnation, instance, node, version, schema_version, queues, started_at, last_seen, lease_until)
  VALUES (nextval('jobq.incarnation_seq'), $1, $2, $3, $10::int4, $5::text[], now(), now(), now() + $4::int8 * interval '1 microsecond')
  RETURNING incarnation
)
SELECT n.incarnation, clock_timestamp(), i.id FROM n CROSS JOIN jobq.installation i
