/*
 * handlers/sync_pull.c: pages of items from an HTTP service into a table (see sync.h).
 *
 * Runs in a worker. Asks for one page at a time, from where the position says; merges it and moves the position in one step; goes on until
 * there is no further page. A link may lead nowhere but to the origin that the payload names. Validators (ETag, Last-Modified) are
 * kept only if they are of the answer that the next sync will ask for first, so "nothing new" is said of everything.
 *
 * Invariant: what is in run->state is the position behind the page that is being merged. Fails by sync_refused or sync_fail.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/sync.h"

#define VALIDATOR_MAX 300u

static void pull_ask(struct sync_run *run);

static const char *state_text(const struct sync_run *run, const char *key)
{
	return json_string_value(json_object_get(run->state, key));
}

static void set_text(json_t *state, const char *key, const char *text)
{
	json_t *v = text == NULL || strlen(text) > URL_MAX ? NULL : json_string(text); /* NULL: it is not UTF-8 */

	if (v != NULL && json_object_set_new(state, key, v) != 0)
		mem_exhausted(0);
}

/* ---- where the next page is ---- */

/* A link of the service, or one that was kept: only its own origin will do. NULL: it leads elsewhere. */
static char *pull_link(const struct sync_run *run, const char *from, const char *link)
{
	char *url = url_resolve(from, link);

	if (url != NULL && url_same_origin(url, run->spec->url) && url_wrong(url, run->sync->rules.allow_private ? URL_PRIVATE : 0) == NULL)
		return url;
	free(url);
	return NULL;
}

static char *pull_numbered(const struct sync_run *run)
{
	char text[32];

	if (snprintf(text, sizeof text, "%lld", (long long)run->number) < 0)
		text[0] = '\0';
	return url_with(run->spec->url, run->spec->page, text);
}

static char *pull_start_url(struct sync_run *run)
{
	const char *next = state_text(run, "next"), *cursor = state_text(run, "cursor");
	json_int_t number = json_integer_value(json_object_get(run->state, "page"));
	char *url = NULL;

	run->number = number > 0 ? number : 1;
	if (run->spec->paging == SYNC_NUMBERS)
		url = pull_numbered(run);
	else if (run->spec->paging == SYNC_CURSOR && cursor != NULL)
		url = url_with(run->spec->url, run->spec->cursor_param, cursor);
	else if (run->spec->paging == SYNC_LINKS && next != NULL)
		url = pull_link(run, run->spec->url, next);
	return url != NULL ? url : xstrdup(run->spec->url);
}

/* ---- an answer ---- */

/* The state behind the last page: where the next sync begins, and how it asks whether there is anything new. */
static void pull_last_state(struct sync_run *run, const struct http_reply *reply, json_t *state)
{
	const char *cursor = state_text(run, "cursor"), *etag = http_reply_header(reply, "ETag"), *modified = http_reply_header(reply, "Last-Modified");
	bool same = run->spec->paging == SYNC_CURSOR || (run->pages == 1 && strcmp(run->url, run->spec->url) == 0);

	if (run->spec->paging == SYNC_CURSOR && cursor != NULL)
		set_text(state, "cursor", cursor);
	if (same && etag != NULL && strlen(etag) <= VALIDATOR_MAX)
		set_text(state, "etag", etag);
	if (same && modified != NULL && strlen(modified) <= VALIDATOR_MAX)
		set_text(state, "modified", modified);
}

/* Where this page leads: the new state, and the next URL. false: the run has ended. */
static bool pull_onward(struct sync_run *run, const struct http_reply *reply, char **url)
{
	const char *next = run->page.next, *cursor = state_text(run, "cursor");
	json_t *state = json_object();

	*url = NULL;
	if (run->spec->paging == SYNC_NUMBERS && run->page.items > 0) {
		run->number++;
		*url = pull_numbered(run);
		if (json_object_set_new(state, "page", json_integer(run->number)) != 0)
			mem_exhausted(0);
	} else if (run->spec->paging == SYNC_CURSOR && next != NULL && (cursor == NULL || strcmp(next, cursor) != 0)) {
		set_text(state, "cursor", next);
		*url = run->page.items > 0 ? url_with(run->spec->url, run->spec->cursor_param, next) : NULL;
	} else if (run->spec->paging == SYNC_LINKS && next != NULL) {
		*url = pull_link(run, run->url, next);
		if (*url == NULL || strcmp(*url, run->url) == 0) {
			sync_fail(run, "page %lld links to %s", (long long)run->pages, *url == NULL ? "another host than its own" : "itself");
			free(*url);
			json_decref(state);
			return false;
		}
		set_text(state, "next", *url);
	} else {
		pull_last_state(run, reply, state);
	}
	json_decref(run->state);
	run->state = state;
	run->last = *url == NULL;
	return true;
}

/* ---- the step of a page ---- */

static void on_merge(void *arg, const struct pg_result *result)
{
	struct sync_run *run = arg;
	char doing[64];

	if (snprintf(doing, sizeof doing, "merging page %lld", (long long)run->pages) < 0)
		doing[0] = '\0';
	if (result->status == PG_DATA) {
		sync_bad(run, result->error);
		return;
	}
	if (!sync_db_good(run, result, doing))
		return;
	run->page_inserted += pg_get_int8(result->res, 0, 0);
	run->page_updated += pg_get_int8(result->res, 0, 1);
	sync_db_settle(run);
}

static void pull_rows(struct sync_run *run)
{
	for (size_t i = 0; i < run->page.ngroups; i++) {
		const struct sync_group *g = &run->page.groups[i];
		if (g->n == 0)
			continue;
		buf_reset(&run->sql);
		sync_plan_merge(&run->table, run->spec, g, &run->sql);
		const struct pg_stmt stmt = {.name = NULL, .sql = buf_str(&run->sql)};
		sync_plan_merge_params(&run->table, run->page.path, g, run->job->tenant, run->body, run->body_len, &run->params);
		if (!sync_db_send(run, &stmt, on_merge))
			return;
	}
}

static void pull_errors(struct sync_run *run)
{
	run->bad += (int64_t)run->page.bad;
	for (size_t i = 0; i < json_array_size(run->page.errors) && json_array_size(run->errors) < SYNC_ERRORS_KEPT; i++) {
		json_t *text = json_sprintf("page %lld, %s", (long long)run->pages, json_string_value(json_array_get(run->page.errors, i)));
		if (text != NULL && json_array_append_new(run->errors, text) != 0) /* NULL: it is not UTF-8 */
			mem_exhausted(0);
	}
	run->page.bad = 0;
	if (json_array_clear(run->page.errors) != 0)
		mem_exhausted(0);
}

static void pull_stepped(struct sync_run *run)
{
	sync_page_free(&run->page);
	free(run->body);
	run->body = NULL;
	run->tried = false;
	run->inserted += run->page_inserted;
	run->updated += run->page_updated;
	run->page_inserted = run->page_updated = 0;
	if (run->last)
		sync_finished(run);
	else if (run->pages >= run->sync->queue->k.page_limit)
		sync_fail(run, "there are more than %lld pages (page_limit); the next sync goes on from here", (long long)run->sync->queue->k.page_limit);
	else
		pull_ask(run);
}

static void pull_page(struct sync_run *run, const struct http_reply *reply)
{
	char err[400] = "", text[500], *url;

	run->pages++;
	if (!sync_page_read(&run->page, run->spec, &run->table, reply->body, reply->body_len, http_reply_header(reply, "Link"), err, sizeof err)) {
		if (snprintf(text, sizeof text, "page %lld: %s", (long long)run->pages, err) < 0)
			text[0] = '\0';
		sync_db_put_off(run, OUTCOME_RETRY, -1, text);
		return;
	}
	if (!pull_onward(run, reply, &url))
		return;
	free(run->url);
	run->url = url;
	run->items += (int64_t)run->page.items;
	run->body = xstrndup(reply->body, reply->body_len);
	run->body_len = reply->body_len;
	sync_pull_merge(run);
}

void sync_pull_merge(struct sync_run *run)
{
	pull_errors(run);
	run->page_inserted = run->page_updated = 0;
	sync_db_step(run, pull_rows, pull_stepped);
}

static void no_rows(struct sync_run *run)
{
	(void)run;
}

/* There is nothing (more). A page that was still to come is none: the next sync begins at the front, or at the cursor. */
static void pull_nothing(struct sync_run *run)
{
	run->unchanged = run->pages == 0;
	run->last = true;
	(void)json_object_del(run->state, "next"); /* -1: it was not there */
	(void)json_object_del(run->state, "page");
	sync_db_step(run, no_rows, sync_finished);
}

static void pull_done(void *arg, const struct http_reply *reply)
{
	struct sync_run *run = arg;
	char what[40];

	run->call = NULL;
	if (snprintf(what, sizeof what, "page %lld", (long long)run->pages + 1) < 0)
		what[0] = '\0';
	if (reply->reach == HTTP_ANSWERED && reply->cut) {
		sync_fail(run, "%s is larger than 8 MB: ask for smaller pages", what);
	} else if (reply->reach == HTTP_ANSWERED && (reply->status == 204 || (reply->status == 304 && run->conditional))) {
		pull_nothing(run);
	} else if (reply->reach == HTTP_ANSWERED && reply->status == 200) {
		pull_page(run, reply);
	} else {
		sync_refused(run, reply, what);
	}
}

static void pull_ask(struct sync_run *run)
{
	struct http_request r = {.method = "GET", .url = run->url, .done = pull_done};
	const char *etag = state_text(run, "etag"), *modified = state_text(run, "modified");

	run->conditional = run->pages == 0 && ((etag != NULL && http_header(&r, "If-None-Match", etag, strlen(etag)))
		|| (etag == NULL && modified != NULL));
	if (run->pages == 0 && modified != NULL)
		run->conditional = http_header(&r, "If-Modified-Since", modified, strlen(modified)) || run->conditional;
	(void)sync_ask(run, &r); /* false: the run has ended */
}

void sync_pull(struct sync_run *run)
{
	run->url = pull_start_url(run);
	pull_ask(run);
}
