/*
 * handlers/dialect.c: jobs and outcomes as JSON objects (see dialect.h).
 *
 * Pure; runs in workers, for handlers whose effect is in other hands. A payload is passed on as the text that the database gave,
 * so no number in it changes. Whatever the other side says is checked here: an outcome that cannot be read is told, never guessed.
 */
#include "config.h"

#include "handlers/dialect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"

#define AFTER_MAX_NS (30 * 24 * 3600 * NS_PER_S) /* nobody may put a job off for longer */

static const struct {
	const char *text;
	enum jobq_outcome_kind kind;
} dialect_outcomes[] = {
	{"done", OUTCOME_DONE}, {"retry", OUTCOME_RETRY}, {"snooze", OUTCOME_SNOOZE}, {"fail", OUTCOME_FAIL},
	{"uncertain", OUTCOME_UNCERTAIN}, {"committed", OUTCOME_COMMITTED},
};

static const char *dialect_priority(int priority)
{
	return priority == 1 ? "urgent" : priority == 2 ? "high" : priority == 10 ? "low" : "normal";
}

/* Text, or null: "" is the contract's word for none */
static json_t *dialect_text(const char *text)
{
	json_t *v = text[0] == '\0' ? NULL : json_string(text);

	return v != NULL ? v : json_null();
}

static void dialect_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		mem_exhausted(0);
}

static json_t *dialect_number_text(int64_t n)
{
	char *text = xasprintf("%lld", (long long)n);
	json_t *v = json_string(text);

	free(text);
	return v;
}

void dialect_put_job(struct buf *out, const struct jobq_job *job, const char *queue)
{
	char when[32];
	json_t *o = json_object();

	dialect_set(o, "v", json_integer(1));
	dialect_set(o, "id", dialect_number_text(job->id));
	dialect_set(o, "queue", json_string(queue));
	dialect_set(o, "type", dialect_text(job->type));
	dialect_set(o, "tenant_id", dialect_text(job->tenant));
	dialect_set(o, "user_id", dialect_text(job->user_id));
	dialect_set(o, "priority", json_string(dialect_priority(job->priority)));
	dialect_set(o, "attempt", json_integer(job->attempt));
	dialect_set(o, "max_retries", json_integer(job->max_retries));
	dialect_set(o, "deadline", dialect_text(job->deadline_us == 0 ? "" : clock_rfc3339(when, sizeof when, job->deadline_us)));
	dialect_set(o, "idempotency_key", json_string(jobq_idempotency_key(job)));
	dialect_set(o, "claim_token", dialect_number_text(job->token));
	char *text = json_dumps(o, JSON_COMPACT);
	if (text == NULL)
		mem_exhausted(0);
	buf_add(out, text, strlen(text) - 1); /* open at its end, for the payload */
	buf_puts(out, ",\"payload\":");
	buf_add(out, job->payload, job->payload_len);
	buf_putc(out, '}');
	free(text);
	json_decref(o);
}

int64_t dialect_id(const json_t *in)
{
	const json_t *id = json_object_get(in, "id");
	char *end;

	if (json_is_integer(id))
		return json_integer_value(id);
	if (!json_is_string(id) || json_string_length(id) == 0 || strspn(json_string_value(id), "0123456789") != json_string_length(id))
		return -1;
	errno = 0;
	long long n = strtoll(json_string_value(id), &end, 10);
	return errno == 0 && *end == '\0' ? n : -1;
}

static const char *dialect_read_after(const json_t *in, int64_t *after_ns)
{
	const json_t *after = json_object_get(in, "after");

	if (after == NULL || json_is_null(after))
		return NULL;
	if (!json_is_string(after) || !units_duration(json_string_value(after), after_ns))
		return "has an \"after\" that is not a duration like \"30s\"";
	if (*after_ns > AFTER_MAX_NS)
		*after_ns = AFTER_MAX_NS;
	return NULL;
}

bool dialect_outcome_kind(const char *word, enum jobq_outcome_kind *kind)
{
	for (size_t i = 0; word != NULL && i < sizeof dialect_outcomes / sizeof dialect_outcomes[0]; i++)
		if (strcmp(word, dialect_outcomes[i].text) == 0) {
			*kind = dialect_outcomes[i].kind;
			return true;
		}
	return false;
}

const char *dialect_read_outcome(const json_t *in, struct dialect_outcome *out)
{
	const char *word = json_string_value(json_object_get(in, "outcome"));
	const json_t *error = json_object_get(in, "error"), *result = json_object_get(in, "result");

	*out = (struct dialect_outcome){.o.after_ns = -1};
	if (!dialect_outcome_kind(word, &out->o.kind))
		return "has no \"outcome\" that is one of done, retry, snooze, fail, uncertain, committed";
	if (json_is_string(error)) {
		out->o.error = json_string_value(error);
		out->o.error_len = json_string_length(error);
	}
	if (result != NULL && !json_is_null(result)) {
		out->result = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
		if (out->result == NULL)
			mem_exhausted(0);
		out->o.result = out->result;
		out->o.result_len = strlen(out->result);
	}
	return dialect_read_after(in, &out->o.after_ns);
}
