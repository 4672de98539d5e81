-- What imports leave behind: the rows that could not be taken, version 3.
--
-- Written in the import's own transaction, so they are there exactly if its rows are. A pool's database user needs nothing but
-- to call these functions (jobq_producer and jobq_worker may).

-- No foreign key can point at jobq.jobs: the job's id is a plain column, and the rows go on the day the job may go.
CREATE TABLE jobq.import_errors (
    job_id     bigint      NOT NULL,
    line       bigint      NOT NULL,
    reason     text        NOT NULL,
    row        text,
    tenant_id  text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    expire_on  date        NOT NULL,
    PRIMARY KEY (job_id, line)
);
CREATE INDEX import_errors_expire_on ON jobq.import_errors (expire_on);
COMMENT ON TABLE jobq.import_errors IS 'Rows that an import with bad_rows = collect passed over';
COMMENT ON COLUMN jobq.import_errors.line IS 'of the file, where the row begins; from 1';
COMMENT ON COLUMN jobq.import_errors.row IS 'its first 1000 bytes, as far as they are text';

-- Which installation this is: whether a connection leads to the database of the queue.
CREATE FUNCTION jobq.installation_id() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT id FROM jobq.installation
$$;

-- Notes rows of an import that is in flight under this token; false: it is not.
CREATE FUNCTION jobq.note_import_errors(id bigint, claim_token bigint, lines bigint[], reasons text[], rows text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job record;
BEGIN
    SELECT j.queue, coalesce(j.tenant_id, '') AS tenant INTO job FROM jobq.jobs_live j
    WHERE j.id = note_import_errors.id AND j.claim_token = note_import_errors.claim_token AND j.status IN ('claimed', 'running');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO jobq.import_errors (job_id, line, reason, row, tenant_id, expire_on)
    SELECT note_import_errors.id, bad.line, left(bad.reason, 1000), left(bad.text, 1000), job.tenant,
        coalesce(jobq.expire_day(job.queue, 'completed'), current_date + 1)
    FROM unnest(lines, reasons, rows) AS bad (line, reason, text)
    ON CONFLICT DO NOTHING;
    RETURN true;
END $$;
