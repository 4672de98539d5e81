-- what differs from the configuration of this node's queues: first what each tier gives (id NULL; 'default' is always there), then
-- each tenant that is inactive, of another tier, or has limits of its own. %SOURCE% is the quoted name of the table of tenants.
-- $1 queue names. Rows: id, active, tier, queues (comma between), weight, rate_limit, rate_burst, concurrency, min_share
-- rate_limit is the tier's bucket in the rows of tiers, and the tenant's own in those of tenants; what else a tier gives stands in
-- the rows of its tenants. NULL in rate_limit, rate_burst and concurrency: as the queue's configuration says.
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
), line AS (
  SELECT NULL::text AS id, true AS active, tier, queue, weight, rate_limit, rate_burst, concurrency, min_share FROM tier
  UNION ALL
  SELECT n.id, n.active, n.tier, q.queue, coalesce(o.weight, a.weight, t.weight, 1), coalesce(o.rate_limit, a.rate_limit)::text,
         CASE WHEN o.rate_limit IS NOT NULL THEN o.rate_burst ELSE a.rate_burst END, coalesce(o.concurrency, a.concurrency, t.concurrency),
         coalesce(o.min_share, a.min_share, t.min_share, 0)
    FROM tenant AS n CROSS JOIN queue AS q
    LEFT JOIN jobq.tenant_limits AS o ON o.tenant_id = n.id AND o.queue = q.queue
    LEFT JOIN jobq.tenant_limits AS a ON a.tenant_id = n.id AND a.queue = '*'
    LEFT JOIN tier AS t ON t.tier = n.tier AND t.queue = q.queue
)
SELECT id, active, tier, string_agg(queue, ',') AS queues, weight, rate_limit, rate_burst, concurrency, min_share
  FROM line GROUP BY id, active, tier, weight, rate_limit, rate_burst, concurrency, min_share
 ORDER BY id IS NOT NULL
