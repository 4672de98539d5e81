/*
 * handlers/dialect.h: jobs and outcomes as JSON objects, as programs and web hooks get and give them. Pure.
 *
 *   {"v":1,"id":"18231","queue":"thumbs","type":"resize","tenant_id":"acme","user_id":null,"priority":"normal","attempt":1,
 *    "max_retries":3,"deadline":null,"idempotency_key":"9f1c2d3e-18231","claim_token":"7","payload":{}}
 *   {"id":"18231","outcome":"done","result":{}}    done retry snooze fail uncertain committed; "error", "after":"30s"
 */
#ifndef JOBQ_HANDLERS_DIALECT_H
#define JOBQ_HANDLERS_DIALECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "jobq/handler.h"

/* Appends the job as one object, without a line break. */
void dialect_put_job(struct buf *out, const struct jobq_job *job, const char *queue);

struct dialect_outcome {
	struct jobq_outcome o; /* error points into the object that was read, result to `result` */
	char *result;          /* free it */
};
bool dialect_outcome_kind(const char *word, enum jobq_outcome_kind *kind); /* false: it is none */
/* NULL, or what is wrong with it, fit to follow "the answer "; unknown keys are passed over. */
const char *dialect_read_outcome(const json_t *in, struct dialect_outcome *out);
/* The "id" of an object, text or number; -1: it has none. */
int64_t dialect_id(const json_t *in);

#endif
