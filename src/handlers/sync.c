/*
 * handlers/sync.c: the sync handler: a table of the shop and an HTTP service kept in step (see sync.h for the map, docs/sync.md).
 *
 * Runs in a worker, on its event loop; owns a struct sync_run for each begun job. Every step is one transaction of rows and position, the
 * last one also of the job's completion where the database is the queue's; so whoever is killed when, the position stands exactly
 * where the rows are. Receivers are tenants' own: their moods are noted for tenant and host, and never slow the queue down.
 *
 * Fails by outcome: what payload, answer or rows are to blame for FAILs or, if it may pass, is tried again; an answer 429 or the database
 * away burns no try. Neither URLs, headers nor values reach a log or an error.
 */
#include "config.h"

#include "handlers/sync.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "handlers/headers.h"
#include "handlers/law.h"
#include "handlers/payload.h"
#include "handlers/registry.h"
#include "pg/pool.h"

#define AWAY_NS (5 * NS_PER_S)        /* before a sync is tried again whose database went away */
#define REQUEST_NS (60 * NS_PER_S)    /* for one request and its answer */
#define ANSWER_MAX (8u << 20)
#define ANSWER_SHOWN 300

static void sync_close(void *state)
{
	struct sync *s = state;

	headers_free(s->headers);
	if (s->http != NULL)
		http_free(s->http);
	free(s);
}

static int sync_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	struct sync *s = xcalloc(1, sizeof *s);
	const struct conf_queue_keys *k = &env->queue->k;

	s->queue = env->queue;
	s->pool = env->pool;
	s->rules = (struct sync_rules){.tables = k->tables, .tenant_column = k->tenant_column, .allow_hosts = k->allow_hosts,
		.allow_private = k->allow_private};
	s->headers = headers_parse(k->headers);
	if (s->headers == NULL && snprintf(err, errlen, "headers: each must be \"Name: value\"") < 0)
		err[0] = '\0';
	if (s->headers != NULL)
		s->http = http_new(env->base, pg_pool_max(s->pool), env->user_agent, err, errlen);
	if (s->http == NULL) {
		sync_close(s);
		return -1;
	}
	*state = s;
	return 0;
}

static size_t sync_width(void *state)
{
	const struct sync *s = state;

	return pg_pool_max(s->pool);
}

/* ---- the ends of a run ---- */

static void sync_free(struct sync_run *run)
{
	if (run->call != NULL)
		(void)http_stop(run->call);
	if (run->wait != NULL)
		pg_pool_forget(run->sync->pool, run->wait);
	sync_db_release(run);
	sync_push_free(run);
	sync_page_free(&run->page);
	sync_table_free(&run->table);
	sync_spec_free(run->spec);
	pg_params_free(&run->params);
	buf_free(&run->source);
	buf_free(&run->sql);
	json_decref(run->state);
	json_decref(run->again);
	json_decref(run->pending_keys);
	json_decref(run->errors);
	json_decref(run->list);
	free(run->url);
	free(run->body);
	free(run);
}

char *sync_result(const struct sync_run *run)
{
	json_t *o;

	if (run->spec->push)
		o = json_pack("{s:I, s:I, s:O?}", "sent", (json_int_t)run->sent, "refused", (json_int_t)run->refused, "errors", run->errors);
	else
		o = json_pack("{s:I, s:I, s:I, s:I, s:b, s:I, s:O?}", "pages", (json_int_t)run->pages, "items", (json_int_t)run->items, "inserted",
			(json_int_t)(run->inserted + run->page_inserted), "updated", (json_int_t)(run->updated + run->page_updated), "unchanged", run->unchanged, "bad",
			(json_int_t)run->bad, "errors", run->bad > 0 ? run->errors : NULL);
	char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
	if (text == NULL)
		mem_exhausted(0);
	json_decref(o);
	return text;
}

void sync_end(struct sync_run *run, enum jobq_outcome_kind kind, int64_t after_ns, const char *error)
{
	struct jobq_outcome o = {.kind = kind, .after_ns = after_ns, .error = error, .error_len = error == NULL ? 0 : strlen(error)};
	char *result = kind == OUTCOME_DONE || kind == OUTCOME_COMMITTED ? sync_result(run) : NULL;

	o.result = result;
	o.result_len = result == NULL ? 0 : strlen(result);
	run->job->data = NULL;
	jobq_end(run->job, &o);
	free(result);
	sync_free(run);
}

void sync_fail(struct sync_run *run, const char *format, ...)
{
	char text[TEXT_ERROR_MAX + 1];
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(text, sizeof text, format, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	sync_end(run, OUTCOME_FAIL, -1, text);
}

void sync_lost(struct sync_run *run, const char *why)
{
	char text[600];

	if (snprintf(text, sizeof text, "the connection to the database was lost: %.500s", why) < 0)
		text[0] = '\0';
	if (run->committing && run->last && run->home)
		sync_end(run, OUTCOME_COMMITTED, -1, text); /* it may be so: the dispatcher looks */
	else
		sync_end(run, OUTCOME_SNOOZE, AWAY_NS, text);
}

void sync_sql_failed(struct sync_run *run, const char *doing, const struct pg_result *result)
{
	char text[TEXT_ERROR_MAX + 1];

	if (result->status == PG_LOST || strncmp(result->sqlstate, "57P", 3) == 0) { /* the server is leaving */
		sync_lost(run, result->error);
		return;
	}
	if (snprintf(text, sizeof text, "%s: %.3000s (%s)", doing, result->error, result->sqlstate) < 0)
		text[0] = '\0';
	sync_end(run, result->status == PG_TRANSIENT ? OUTCOME_RETRY : OUTCOME_FAIL, -1, text);
}

void sync_finished(struct sync_run *run)
{
	sync_end(run, run->home ? OUTCOME_COMMITTED : OUTCOME_DONE, -1, NULL);
}

/* ---- requests ---- */

bool sync_ask(struct sync_run *run, struct http_request *r)
{
	char err[256] = "";

	headers_add(run->sync->headers, r);
	if (!headers_has(run->sync->headers, "Accept"))
		(void)http_header(r, "Accept", "application/json", strlen("application/json"));
	r->arg = run;
	r->body_max = ANSWER_MAX;
	r->timeout_ns = REQUEST_NS;
	r->public_only = !run->sync->rules.allow_private;
	run->call = http_send(run->sync->http, r, err, sizeof err);
	http_request_drop(r);
	if (run->call == NULL)
		sync_fail(run, "%s", err);
	return run->call != NULL;
}

/* What may help against a refusal. */
static const char *sync_advice(const struct sync_run *run, long status)
{
	if (status == 304)
		return " (it was not asked what is new)";
	if (status >= 300 && status < 400)
		return " (redirects are not followed: correct the URL)";
	bool lost = status == 400 || status == 404 || status == 410 || status == 422;
	bool kept = !run->spec->push && run->pages == 0 && (json_object_get(run->state, "cursor") != NULL || json_object_get(run->state, "next") != NULL);
	return lost && kept ? " (asked from the position that was kept; \"full\": true begins afresh)" : "";
}

static void sync_reason(const struct sync_run *run, const struct http_reply *reply, const char *what, char *text, size_t size)
{
	char shown[ANSWER_SHOWN];
	int n;

	if (reply->reach != HTTP_ANSWERED) {
		n = snprintf(text, size, "%s: %s %s: %s", what, run->spec->host,
			reply->reach == HTTP_NOT_SENT ? "cannot be reached" : "did not answer", reply->error);
	} else {
		size_t len = text_clean(shown, sizeof shown, reply->body, reply->body_len);
		n = snprintf(text, size, "%s: %s answered %ld%s%s%s", what, run->spec->host, reply->status, len > 0 ? ": " : "", shown,
			sync_advice(run, reply->status));
	}
	if (n < 0)
		text[0] = '\0';
}

void sync_refused(struct sync_run *run, const struct http_reply *reply, const char *what)
{
	char text[600];
	bool answered = reply->reach == HTTP_ANSWERED;

	sync_reason(run, reply, what, text, sizeof text);
	if (reply->not_public)
		sync_fail(run, "\"url\" leads to an address that is not public");
	else if (answered && (reply->status == 429 || (reply->status == 503 && reply->retry_after_ns >= 0)))
		sync_db_put_off(run, OUTCOME_SNOOZE, law_snooze(reply), text); /* at once is no time, or the two would never rest */
	else if (!answered || reply->status == 408 || reply->status >= 500)
		sync_db_put_off(run, OUTCOME_RETRY, law_snooze(reply), text);
	else
		sync_fail(run, "%s", text);
}

/* ---- jobs ---- */

static struct sync_spec *sync_payload(const struct sync *s, const struct jobq_job *job, char *err, size_t errlen)
{
	struct sync_spec *spec = sync_spec_read(job->payload, job->payload_len, &s->rules, err, errlen);

	if (spec == NULL || *job->tenant != '\0')
		return spec;
	if (snprintf(err, errlen, "the job has no tenant, and rows of this queue belong to one") < 0)
		err[0] = '\0';
	sync_spec_free(spec);
	return NULL;
}

static void sync_known(struct sync_run *run)
{
	if (run->spec->push)
		sync_push(run);
	else
		sync_pull(run);
}

static void sync_go(void *state, struct jobq_job *job)
{
	struct sync_run *run = xcalloc(1, sizeof *run);
	char err[512] = "";

	run->sync = state;
	run->job = job;
	run->errors = json_array();
	job->data = run;
	run->spec = sync_payload(run->sync, job, err, sizeof err);
	if (run->spec == NULL) { /* checked before its admission */
		sync_fail(run, "%s", err);
		return;
	}
	sync_spec_source(run->spec, &run->source);
	sync_db_look(run, sync_known);
}

static bool sync_can(const void *state, const struct jobq_job *job, char *err, size_t errlen)
{
	struct sync_spec *spec = sync_payload(state, job, err, errlen);
	bool good = spec != NULL;

	sync_spec_free(spec);
	return good;
}

static void sync_run_batch(void *state, struct jobq_batch *batch)
{
	payload_admit(state, batch, sync_can, sync_go);
}

static void sync_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	struct sync_run *run = job->data;

	(void)state;
	if (run == NULL)
		return;
	if (why == JOBQ_STOP_TIMEOUT) {
		if (run->committing)
			sync_lost(run, "no answer to COMMIT in time");
		else
			sync_end(run, OUTCOME_RETRY, -1, "stopped, as its time was over; it goes on from the last page");
	} else if (run->committing || (run->spec->push && run->call != NULL && !http_unsent(run->call))) {
		run->cancelled = true; /* what is out cannot be called back */
	} else {
		sync_end(run, OUTCOME_CANCELLED, -1, "cancelled; what was synced before stays");
	}
}

const struct jobq_handler handler_sync = {
	.name = "sync", .flags = JOBQ_HANDLER_OVERLAP,
	.open = sync_open, .run = sync_run_batch, .stop = sync_stop, .close = sync_close, .width = sync_width,
};
