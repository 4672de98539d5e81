/* handlers/webhook_answer.h: what the answer to a web hook's request means for the jobs that were in it. Pure. */
#ifndef JOBQ_HANDLERS_WEBHOOK_ANSWER_H
#define JOBQ_HANDLERS_WEBHOOK_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handlers/dialect.h"
#include "handlers/law.h"
#include "jobq/handler.h"

struct webhook_answer {
	json_t *document;          /* NULL: `all` holds for every job; else it speaks of each */
	struct jobq_outcome all;   /* without its error: that is `why` */
	bool gate;                 /* nobody else need try: all.after_ns says for how long */
	enum jobq_cause cause;     /* of the request: one of its jobs tells it */
	struct buf why;            /* empty: nothing is wrong */
};

void webhook_answer_read(struct webhook_answer *a, const struct http_reply *reply);
/* Of a document: job ids[i]'s own object into said[i], NULL where it has none; of several the first counts. */
void webhook_answer_find(const struct webhook_answer *a, const int64_t *ids, size_t n, const json_t **said);
/* What an object, or its absence, says of its job. NULL, or why the job has to be tried again. */
const char *webhook_answer_of(const json_t *said, struct dialect_outcome *out);
void webhook_answer_free(struct webhook_answer *a);

#endif
