-- this node's shares of rate limits, for this slice and the next: see sql/migrations/0002_tenants/30_leases.sql
-- $1 incarnation  $2 question, jsonb
SELECT jobq.lease_rate($1::int8, $2::jsonb)
