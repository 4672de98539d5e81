/*
 * handlers/sync_push.c: changed rows of a table to an HTTP service (see sync.h).
 *
 * Runs in a worker. A round goes through what changed since the last one, in the order of the key: reads some rows, sends their values as
 * they are now, and moves the position behind them in one step. What the service wants once more is remembered by its key. Values
 * are absolute, so a row that is sent twice does no harm; the same content has the same Idempotency-Key on every attempt.
 *
 * The state: base (of the round before), target (what base will be), after (the last key), again and pending (keys to be sent once
 * more: of the round before, of this one). Invariant: every change that is not yet taken is behind `after`, not older than `base`,
 * or in `again` or `pending`.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/sync.h"
#include "handlers/webhook_sign.h"

#define AGAIN_MAX 1000u /* keys that are remembered */

static void push_read(struct sync_run *run);
static void push_send(struct sync_run *run);

static void rows_free(struct sync_run *run)
{
	for (size_t i = 0; i < run->nrows; i++) {
		json_decref(run->rows[i].item);
		free(run->rows[i].text);
		free(run->rows[i].key);
	}
	free(run->rows);
	run->rows = NULL;
	run->nrows = run->at = 0;
}

void sync_push_free(struct sync_run *run)
{
	rows_free(run);
}

static void set(json_t *o, const char *key, json_t *value)
{
	if (json_object_set_new(o, key, value) != 0)
		mem_exhausted(0);
}

/* ---- the state ---- */

static json_t *list_of(const struct sync_run *run, const char *key)
{
	json_t *list = json_object_get(run->state, key);

	return json_is_array(list) ? json_incref(list) : json_array();
}

static void push_open(struct sync_run *run)
{
	const json_t *base = json_object_get(run->state, "base"), *target = json_object_get(run->state, "target");

	run->base = json_is_integer(base) && json_integer_value(base) <= run->horizon ? json_integer_value(base) : INT64_MIN;
	run->target = json_is_integer(target) && json_integer_value(target) <= run->horizon ? json_integer_value(target) : -1;
	run->again = list_of(run, "again");
	run->pending_keys = list_of(run, "pending");
	if (run->target < 0) { /* a new round, or a database that was restored from elsewhere */
		run->target = run->horizon;
		(void)json_object_del(run->state, "after"); /* -1: it was not there */
	}
}

/* The round goes on behind `after`. */
static void push_going(struct sync_run *run, const char *after)
{
	json_t *state = json_object(), *key = json_loads(after, 0, NULL);

	if (run->base != INT64_MIN)
		set(state, "base", json_integer(run->base));
	set(state, "target", json_integer(run->target));
	set(state, "after", key != NULL ? key : json_null());
	set(state, "again", json_incref(run->again));
	set(state, "pending", json_incref(run->pending_keys));
	json_decref(run->state);
	run->state = state;
}

static void push_over(struct sync_run *run)
{
	json_t *state = json_object();

	set(state, "base", json_integer(run->target));
	if (json_array_size(run->pending_keys) > 0)
		set(state, "again", json_incref(run->pending_keys));
	json_decref(run->state);
	run->state = state;
}

/* ---- what became of rows ---- */

static void push_error(struct sync_run *run, const struct sync_row *row, const char *error)
{
	if (json_array_size(run->errors) >= SYNC_ERRORS_KEPT)
		return;
	json_t *text = json_sprintf("%.200s: %.200s", row->key, error == NULL ? "refused" : error);
	if (text != NULL && json_array_append_new(run->errors, text) != 0) /* NULL: cut inside a character */
		mem_exhausted(0);
}

static void push_said(struct sync_run *run, const struct sync_row *row, enum sync_said said, const char *error)
{
	run->sent++;
	if (said == SYNC_TAKEN)
		return;
	push_error(run, row, error);
	if (said == SYNC_REFUSED) {
		run->refused++;
		return;
	}
	json_t *key = json_loads(row->key, 0, NULL);
	if (key != NULL && json_array_append_new(run->pending_keys, key) != 0)
		mem_exhausted(0);
}

static void no_rows(struct sync_run *run)
{
	(void)run;
}

static void push_stepped(struct sync_run *run)
{
	rows_free(run);
	push_read(run);
}

static void push_ended(struct sync_run *run)
{
	char text[120];

	if (run->last) {
		sync_finished(run);
		return;
	}
	if (snprintf(text, sizeof text, "%zu rows are to be sent once more", json_array_size(run->pending_keys)) < 0)
		text[0] = '\0';
	sync_end(run, OUTCOME_RETRY, -1, text);
}

/* All rows of this read have been answered. */
static void push_step(struct sync_run *run)
{
	if (json_array_size(run->pending_keys) > AGAIN_MAX) {
		sync_db_put_off(run, OUTCOME_RETRY, -1, "more than 1000 rows are to be sent once more");
		return;
	}
	push_going(run, run->rows[run->nrows - 1].key);
	sync_db_step(run, no_rows, push_stepped);
}

/* ---- requests ---- */

static void on_list(void *arg, const struct http_reply *reply)
{
	struct sync_run *run = arg;
	const char *error;
	json_t *doc;

	run->call = NULL;
	if (reply->reach != HTTP_ANSWERED || reply->status < 200 || reply->status >= 300) {
		sync_refused(run, reply, "sending rows");
		return;
	}
	if (reply->cut) {
		sync_db_put_off(run, OUTCOME_RETRY, -1, "sending rows: the answer is larger than 8 MB");
		return;
	}
	const json_t *list = sync_page_outcomes(run->spec, reply->body, reply->body_len, &doc);
	if (json_array_size(list) > SYNC_ITEMS_MAX) { /* each row is looked for in it */
		json_decref(doc);
		sync_db_put_off(run, OUTCOME_RETRY, -1, "sending rows: the answer speaks of more than 10000 rows");
		return;
	}
	for (size_t i = 0; i < run->nrows; i++) {
		enum sync_said said = list == NULL ? SYNC_TAKEN : sync_page_outcome(run->spec, list, run->rows[i].item, &error);
		push_said(run, &run->rows[i], said, list == NULL ? NULL : error);
	}
	json_decref(doc);
	push_step(run);
}

/* The row itself is at fault, and not who sends it. */
static bool push_refused_row(long status)
{
	return status == 400 || status == 404 || status == 409 || status == 410 || status == 413 || status == 422;
}

static void on_one(void *arg, const struct http_reply *reply)
{
	struct sync_run *run = arg;
	char text[40];

	run->call = NULL;
	if (reply->reach != HTTP_ANSWERED || reply->status < 200 || (reply->status >= 300 && !push_refused_row(reply->status))) {
		sync_refused(run, reply, "sending a row");
		return;
	}
	if (snprintf(text, sizeof text, "answered %ld", reply->status) < 0)
		text[0] = '\0';
	push_said(run, &run->rows[run->at], reply->status < 300 ? SYNC_TAKEN : SYNC_REFUSED, text);
	run->at++;
	push_send(run);
}

static void push_post(struct sync_run *run, const char *url, struct buf *body, http_done *done)
{
	struct http_request r = {.method = run->spec->method, .url = url, .body = buf_str(body), .body_len = body->len, .done = done};
	struct buf key = {0};

	buf_printf(&key, "%s-", jobq_idempotency_key(run->job));
	webhook_digest(body->data, body->len, &key);
	(void)http_header(&r, "Content-Type", "application/json", strlen("application/json"));
	(void)http_header(&r, "Idempotency-Key", buf_str(&key), key.len);
	buf_free(&key);
	(void)sync_ask(run, &r); /* false: the run has ended */
}

static void push_list(struct sync_run *run)
{
	struct buf body = {0};
	json_t *text = json_string(*run->spec->items == '\0' ? "items" : run->spec->items);
	char *quoted = text == NULL ? NULL : json_dumps(text, JSON_ENCODE_ANY);

	if (quoted == NULL)
		mem_exhausted(0);
	buf_printf(&body, "{%s:[", quoted);
	for (size_t i = 0; i < run->nrows; i++)
		buf_printf(&body, "%s%s", i > 0 ? "," : "", run->rows[i].text);
	buf_puts(&body, "]}");
	free(quoted);
	json_decref(text);
	push_post(run, run->spec->url, &body, on_list);
	buf_free(&body);
}

static void push_each(struct sync_run *run)
{
	struct sync_row *row = &run->rows[run->at];
	struct buf body = {0};
	char *url = sync_spec_url(run->spec, row->item);

	if (url == NULL) {
		push_said(run, row, SYNC_REFUSED, "the URL's {column} is empty in it");
		run->at++;
		push_send(run);
		return;
	}
	buf_puts(&body, row->text);
	push_post(run, url, &body, on_one);
	buf_free(&body);
	free(url);
}

static void push_send(struct sync_run *run)
{
	if (run->cancelled)
		sync_end(run, OUTCOME_CANCELLED, -1, "cancelled; what was synced before stays");
	else if (!run->spec->each)
		push_list(run);
	else if (run->at < run->nrows)
		push_each(run);
	else
		push_step(run);
}

/* ---- rows ---- */

static void take_rows(struct sync_run *run, const PGresult *res)
{
	int n = PQntuples(res);
	json_error_t error;

	run->rows = xcalloc((size_t)n + 1, sizeof *run->rows);
	for (int i = 0; i < n; i++) {
		size_t len;
		const char *text = pg_get_text(res, i, 0, &len);
		run->rows[run->nrows++] = (struct sync_row){.item = sync_page_load(text, len, &error), .text = xstrndup(text, len),
			.key = xstrdup(pg_get_text(res, i, 1, NULL))};
	}
}

static void on_rows(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;

	if (!sync_db_good(run, result, "reading what changed"))
		return;
	take_rows(run, result->res);
	sync_db_release(run);
	if (run->nrows > 0) {
		push_send(run);
		return;
	}
	push_over(run);
	run->last = json_array_size(run->pending_keys) == 0;
	sync_db_step(run, no_rows, push_ended);
}

static void send_read(struct sync_run *run)
{
	const json_t *after = json_object_get(run->state, "after");
	char *key = json_is_object(after) ? json_dumps(after, JSON_COMPACT) : NULL, *again = json_dumps(run->again, JSON_COMPACT);

	if (again == NULL)
		mem_exhausted(0);
	buf_reset(&run->sql);
	sync_plan_changes(&run->table, run->spec, &run->sql);
	sync_plan_changes_params(&run->table, run->spec, run->job->tenant, run->base, key, again, (int64_t)run->spec->size, &run->params);
	const struct pg_stmt stmt = {.name = NULL, .sql = buf_str(&run->sql)};
	(void)sync_db_send(run, &stmt, on_rows);
	free(key);
	free(again);
}

static void push_read(struct sync_run *run)
{
	sync_db_read(run, send_read);
}

void sync_push(struct sync_run *run)
{
	push_open(run);
	push_read(run);
}
