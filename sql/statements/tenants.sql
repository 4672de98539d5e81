-- what differs from the configuration of this node's queues: first what each tier gives (id NULL; 'default' is always there), then
-- each tenant that is inactive, of another tier, or has limits of its own. %SOURCE% is the quoted name of the table of tenants.
-- $1 queue names. Rows: id, active, tier, queues (comma between), weight, rate_limit, rate_burst, concurrency, min_share, rate_of
-- NULL in rate_limit, rate_burst and concurrency: as the queue's configuration says. rate_of: whose rate_limit it is.
-- Queues in which a tenant has the same stand in one row, so that there are seldom more rows than tenants.
WITH queue AS (
  SELECT unnest($1::text[]) AS queue
), tier AS (
  SELECT t.tier, q.queue, coalesce(o.weight, a.weight, 1) AS weight, coalesce(o.rate_limit, a.rate_limit)::text AS rate_limit,
         CASE WHEN o.rate_limit IS NOT NULL THEN o.rate_burst ELSE a.rate_burst END AS rate_burst,
         coalesce(o.concurrency, a.concurrency) AS concurrency, coalesce(o.min_share, a.min_share, 0) AS min_share
    FROM (SELECT tier FROM jobq.tiers UNION SELECT 'default') AS t CROSS JOIN queue AS q
    LEFT JOIN jobq.tiers AS o ON o.tier = t.tier AND o.queue = q.queue
    LEFT JOIN jobq.tiers AS a ON a.tier = t.tier AND a.queue = '*'
), source AS (
  SELECT id::text AS id, coalesce(active::boolean, true) AS active, coalesce(tier::text, 'default') AS tier FROM %SOURCE% WHERE id IS NOT NULL
), tenant AS (
  SELECT coalesce(s.id, l.id) AS id, coalesce(s.active, true) AS active, coalesce(s.tier, 'default') AS tier
    FROM source AS s FULL JOIN (SELECT DISTINCT tenant_id AS id FROM jobq.tenant_limits) AS l ON l.id = s.id
   WHERE NOT s.active OR s.tier <> 'default' OR l.id IS NOT NULL
), resolved AS (
  SELECT n.id, n.active, n.tier, q.queue, coalesce(o.weight, a.weight, t.weight, 1) AS weight,
         coalesce(o.rate_limit, a.rate_limit, t.rate_limit)::text AS rate_limit,
         CASE WHEN o.rate_limit IS NOT NULL THEN o.rate_burst WHEN a.rate_limit IS NOT NULL THEN a.rate_burst ELSE t.rate_burst END AS rate_burst,
         coalesce(o.concurrency, a.concurrency, t.concurrency) AS concurrency, coalesce(o.min_share, a.min_share, t.min_share, 0) AS min_share,
         CASE WHEN coalesce(o.rate_limit, a.rate_limit) IS NOT NULL THEN 'tenant' WHEN t.rate_limit IS NOT NULL THEN 'tier' END AS rate_of
    FROM tenant AS n CROSS JOIN queue AS q
    LEFT JOIN jobq.tenant_limits AS o ON o.tenant_id = n.id AND o.queue = q.queue
    LEFT JOIN jobq.tenant_limits AS a ON a.tenant_id = n.id AND a.queue = '*'
    LEFT JOIN tier AS t ON t.tier = n.tier AND t.queue = q.queue
), line AS (
  SELECT NULL::text AS id, true AS active, tier, queue, weight, rate_limit, rate_burst, concurrency, min_share,
         CASE WHEN rate_limit IS NOT NULL THEN 'tier' END AS rate_of FROM tier
  UNION ALL
  SELECT id, active, tier, queue, weight, rate_limit, rate_burst, concurrency, min_share, rate_of FROM resolved
)
SELECT id, active, tier, string_agg(queue, ',' ORDER BY queue) AS queues, weight, rate_limit, rate_burst, concurrency, min_share, rate_of
  FROM line GROUP BY id, active, tier, weight, rate_limit, rate_burst, concurrency, min_share, rate_of
 ORDER BY id NULLS FIRST, tier, queues
