-- Tenants, their tiers and their own limits, version 2.
--
-- Weight, concurrency and min_share of a tenant in a queue are looked up column by column, the first that is not NULL wins:
-- jobq.tenant_limits of that queue, of '*', jobq.tiers of the tenant's tier and that queue, of '*', the queue's configuration.
-- Rate limits hold one beside the other: that of the queue, that of the tier (jobq.tiers: all its tenants together), and the
-- tenant's own (jobq.tenant_limits, else tenant_rate_limit). A row of a queue goes before that of '*', and a rate_burst belongs to
-- the rate_limit of its own row. A tenant that is nowhere is active and of the tier 'default'. Tenants may be kept in a table of
-- the application instead of jobq.tenants ([tenants] source); tiers and limits are kept here. No claim touches these tables.

-- As in the configuration: 50/s, 600/min, 500/15s; off = no limit.
CREATE DOMAIN jobq.rate AS text
    CONSTRAINT rate_form CHECK (VALUE ~ '^(off|0|[1-9][0-9]{0,8}/([1-9][0-9]{0,3})?(d|h|min|m|s|ms))$');
-- A queue's name, or '*' for all.
CREATE DOMAIN jobq.queue_or_all AS text
    CONSTRAINT queue_or_all_form CHECK (VALUE = '*' OR VALUE ~ '^[a-z][a-z0-9_.-]{0,62}$');

CREATE TABLE jobq.tenants (
    id         text        PRIMARY KEY,
    name       text,
    active     boolean     NOT NULL DEFAULT true,
    tier       text        NOT NULL DEFAULT 'default' CONSTRAINT tenants_tier CHECK (octet_length(tier) BETWEEN 1 AND 63),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN jobq.tenants.active IS 'false: its jobs wait';

CREATE TABLE jobq.tiers (
    tier        text              NOT NULL CONSTRAINT tiers_tier CHECK (octet_length(tier) BETWEEN 1 AND 63),
    queue       jobq.queue_or_all NOT NULL DEFAULT '*',
    weight      double precision  CONSTRAINT tiers_weight CHECK (weight BETWEEN 0.1 AND 100),
    rate_limit  jobq.rate,
    rate_burst  integer           CONSTRAINT tiers_rate_burst CHECK (rate_burst BETWEEN 1 AND 1000000),
    concurrency integer           CONSTRAINT tiers_concurrency CHECK (concurrency BETWEEN 0 AND 1000000),
    min_share   double precision  CONSTRAINT tiers_min_share CHECK (min_share BETWEEN 0 AND 0.9),
    PRIMARY KEY (tier, queue),
    CONSTRAINT tiers_burst_of_a_rate CHECK (rate_burst IS NULL OR rate_limit IS NOT NULL)
);
COMMENT ON TABLE jobq.tiers IS 'What the tenants of a tier have in a queue; NULL: as the queue''s configuration says';
COMMENT ON COLUMN jobq.tiers.weight IS 'turns of each tenant against other tenants, 0.1 to 100; 1 where nothing is said';
COMMENT ON COLUMN jobq.tiers.rate_limit IS 'of all tenants of the tier together: 50/s, 600/min, 500/15s; off = no limit';
COMMENT ON COLUMN jobq.tiers.rate_burst IS 'units that may go at once after a pause; a tenth of a second of the rate where nothing is said';
COMMENT ON COLUMN jobq.tiers.concurrency IS 'of each tenant, as tenant_concurrency; 0 = no limit';
COMMENT ON COLUMN jobq.tiers.min_share IS 'of the queue''s jobs, 0 to 0.9, that each tenant with jobs gets at least';

CREATE TABLE jobq.tenant_limits (
    tenant_id   text              NOT NULL,
    queue       jobq.queue_or_all NOT NULL DEFAULT '*',
    weight      double precision  CONSTRAINT tenant_limits_weight CHECK (weight BETWEEN 0.1 AND 100),
    rate_limit  jobq.rate,
    rate_burst  integer           CONSTRAINT tenant_limits_rate_burst CHECK (rate_burst BETWEEN 1 AND 1000000),
    concurrency integer           CONSTRAINT tenant_limits_concurrency CHECK (concurrency BETWEEN 0 AND 1000000),
    min_share   double precision  CONSTRAINT tenant_limits_min_share CHECK (min_share BETWEEN 0 AND 0.9),
    PRIMARY KEY (tenant_id, queue),
    CONSTRAINT tenant_limits_burst_of_a_rate CHECK (rate_burst IS NULL OR rate_limit IS NOT NULL)
);
COMMENT ON TABLE jobq.tenant_limits IS 'What one tenant has in a queue; the columns are those of jobq.tiers; NULL: as its tier';
COMMENT ON COLUMN jobq.tenant_limits.rate_limit IS 'of this tenant: 50/s, 600/min, 500/15s; off = no limit; NULL: tenant_rate_limit of the queue';
