-- Views by status. Those of live rows read the live leaf alone, those of finished rows the leaves alone.

CREATE VIEW jobq.jobs_pending AS SELECT * FROM jobq.jobs_live WHERE status = 'pending';
CREATE VIEW jobq.jobs_running AS SELECT * FROM jobq.jobs_live WHERE status IN ('claimed', 'running');
CREATE VIEW jobq.jobs_completed AS SELECT * FROM jobq.jobs WHERE expire_on < 'infinity' AND status = 'completed';
CREATE VIEW jobq.jobs_failed AS SELECT * FROM jobq.jobs WHERE expire_on < 'infinity' AND status = 'failed';
