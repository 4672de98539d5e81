-- tick.c: cancel requests of jobs that went back to waiting meanwhile are carried out; those of jobs that are gone are removed
WITH gone AS (
  DELETE FROM jobq.cancels c WHERE NOT EXISTS (SELECT FROM jobq.jobs_live j WHERE j.id = c.id)
)
SELECT count(jobq.cancel(c.id)) FROM jobq.cancels c JOIN jobq.jobs_live j ON j.id = c.id WHERE j.status IN ('pending', 'held')
