/*
 * handlers/null.c: every job is done at once. What is left when it runs is the queue itself: for measurements.
 *
 * Runs in a worker; owns nothing, cannot fail.
 */
#include "config.h"

#include "handlers/registry.h"
#include "jobq/handler.h"

static void null_go(void *state, struct jobq_job *job)
{
	static const struct jobq_outcome done = {.kind = OUTCOME_DONE, .after_ns = -1};

	(void)state;
	jobq_end(job, &done);
}

static void null_run(void *state, struct jobq_batch *batch)
{
	(void)state;
	for (size_t i = 0; i < batch->count; i++)
		jobq_admit(batch->jobs[i], null_go);
}

const struct jobq_handler handler_null = {.name = "null", .flags = JOBQ_HANDLER_OVERLAP, .run = null_run};
