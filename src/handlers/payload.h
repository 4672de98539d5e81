/*
 * handlers/payload.h: a batch whose payloads are looked at before their jobs are admitted.
 */
#ifndef JOBQ_HANDLERS_PAYLOAD_H
#define JOBQ_HANDLERS_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "jobq/handler.h"

/* Whether the handler can use the job's payload; false: why not. Keeps nothing: `go` reads it again when the job's turn has come. */
typedef bool payload_check(const void *state, const struct jobq_job *job, char *err, size_t errlen);

void payload_admit(void *state, struct jobq_batch *batch, payload_check *check, jobq_go *go);

#endif
