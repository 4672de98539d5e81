/*
 * handlers/payload.c: the run() of handlers that can tell from its payload that a job is in vain (see payload.h).
 *
 * Runs in a worker, on its event loop. Owns nothing. Invariant: a job whose payload cannot be used ends FAIL with the reason before
 * it has taken anything of a limit, and its neighbours go on. Nothing is kept of the others until `go`: they may wait long, or never
 * start. Cannot fail.
 */
#include "config.h"

#include "handlers/payload.h"

void payload_admit(void *state, struct jobq_batch *batch, payload_check *check, jobq_go *go)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct jobq_job *job = batch->jobs[i];
		char err[512] = "";

		if (check(state, job, err, sizeof err))
			jobq_admit(job, go);
		else
			jobq_end_error(job, OUTCOME_FAIL, -1, "%s", err);
	}
}
