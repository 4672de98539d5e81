/*
 * import_read.c: the source's bytes through the splitter into COPY, at the pace of the slower of the two.
 *
 * Runs in a worker; the middle of a struct import_run (see import.h). Reading goes on in turns of the event loop, a few pieces a
 * turn, and stops whenever the COPY has enough; so memory is a piece of the file, a row, and what waits for the socket. Each row
 * goes to the server behind its line's number. Rows that cannot be used never get there: they are noted, or end the import.
 *
 * Invariant: callbacks of the splitter end nothing; they leave the reason in run->failed, and import_read_go acts on it.
 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "handlers/import.h"

#define CHUNK (128u << 10) /* read at a time */
#define PIECE (64u << 10)  /* given to the COPY at a time, at least */
#define TURN 8             /* chunks in one turn of the loop */
#define FULL (256u << 10)  /* waiting for the COPY: a source that pushes is held */
#define TELL_NS NS_PER_S

/* ---- bad rows ---- */

__attribute__((format(printf, 2, 3))) static void failed(struct import_run *run, const char *format, ...)
{
	va_list ap;
	struct buf text = {0};

	if (run->failed != NULL)
		return;
	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	run->failed = xstrdup(buf_str(&text));
	buf_free(&text);
}

bool import_read_bad(struct import_run *run, int64_t line, const char *reason, const char *row, size_t len)
{
	if (!run->spec->collect) {
		failed(run, "line %lld: %s; nothing was imported", (long long)line, reason);
		return false;
	}
	if (run->nbad == IMPORT_BAD_MAX) {
		failed(run, "more than %d bad rows, the first in line %lld: %s; nothing was imported", IMPORT_BAD_MAX, (long long)run->bad[0].line,
			run->bad[0].reason);
		return false;
	}
	if (run->bad == NULL)
		run->bad = xcalloc(IMPORT_BAD_MAX, sizeof *run->bad);
	run->bad[run->nbad++] = (struct import_bad){.line = line, .reason = text_clean_dup(reason, strlen(reason), IMPORT_TEXT_MAX),
		.row = text_clean_dup(row, len, IMPORT_TEXT_MAX)};
	return true;
}

/* ---- rows ---- */

static void take_names(struct import_run *run, const struct import_row *row)
{
	run->header_due = false;
	if (row->fields > IMPORT_COLUMNS_MAX) {
		failed(run, "the file has %zu columns; %d can be imported", row->fields, IMPORT_COLUMNS_MAX);
		return;
	}
	run->names = import_spec_fields(row->text, row->len, run->spec->delimiter, IMPORT_COLUMNS_MAX, &run->nnames);
}

/* The keys of an object as names: one block, as import_spec_fields makes it. */
static void take_keys(struct import_run *run, const json_t *object)
{
	size_t n = json_object_size(object), bytes = 0;
	const char *key;
	const json_t *value;

	if (n > IMPORT_COLUMNS_MAX) {
		failed(run, "the first line has %zu keys; %d can be imported", n, IMPORT_COLUMNS_MAX);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
		bytes += strlen(key) + 1;
	run->names = xcalloc(1, (n + 1) * sizeof *run->names + bytes);
	char *at = (char *)(run->names + n + 1);
	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		size_t len = strlen(key) + 1;

		memcpy(at, key, len);
		run->names[run->nnames++] = at;
		at += len;
	}
}

/* A key that the first line did not have, or NULL. */
static const char *new_key(const struct import_run *run, const json_t *object)
{
	const char *key;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		size_t i = 0;

		while (i < run->nnames && strcmp(run->names[i], key) != 0)
			i++;
		if (i == run->nnames)
			return key;
	}
	return NULL;
}

/* Is the line an object that can be used? Its text goes to the server as it is, so no digit of a number is lost here. */
static bool good_object(struct import_run *run, const struct import_row *row)
{
	char reason[JSON_ERROR_TEXT_LENGTH + 64];
	json_error_t error;
	json_t *object = json_loadb(row->text, row->len, JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, &error);
	const char *key = NULL;

	if (object == NULL)
		snprintf(reason, sizeof reason, "is not JSON: %s", error.text);
	else if (!json_is_object(object))
		snprintf(reason, sizeof reason, "is not a JSON object");
	else if (run->spec->n == 0 && run->names == NULL)
		take_keys(run, object);
	else if (run->spec->n == 0 && (key = new_key(run, object)) != NULL)
		snprintf(reason, sizeof reason, "has a key \"%.60s\" that the first line has not", key);
	bool good = json_is_object(object) && key == NULL;
	if (!good)
		(void)import_read_bad(run, row->line, reason, row->text, row->len);
	json_decref(object);
	return good;
}

/* As COPY's text format wants it. */
static void add_escaped(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0, plain; i < len; i++) {
		for (plain = i; i < len && text[i] != '\\' && text[i] != '\t' && text[i] != '\r'; i++)
			;
		buf_add(out, text + plain, i - plain);
		if (i == len)
			return;
		buf_putc(out, '\\');
		buf_putc(out, text[i] == '\\' ? '\\' : text[i] == '\t' ? 't' : 'r');
	}
}

static void on_row(void *arg, const struct import_row *row)
{
	struct import_run *run = arg;
	size_t fields = run->spec->header ? run->nnames : run->spec->n;
	char reason[96];

	if (run->failed != NULL)
		return;
	if (run->header_due) {
		take_names(run, row);
		return;
	}
	if (!run->spec->jsonl && row->fields != fields) {
		snprintf(reason, sizeof reason, "has %zu columns instead of %zu", row->fields, fields);
		(void)import_read_bad(run, row->line, reason, row->text, row->len);
		return;
	}
	if (run->spec->jsonl && !good_object(run, row))
		return;
	buf_printf(&run->out, "%lld%c", (long long)row->line, run->spec->jsonl ? '\t' : run->spec->delimiter);
	if (run->spec->jsonl)
		add_escaped(&run->out, row->text, row->len);
	else
		buf_add(&run->out, row->text, row->len);
	buf_putc(&run->out, '\n');
	run->rows++;
	run->last_line = row->line;
}

static void on_bad(void *arg, const struct import_row *row, const char *reason)
{
	struct import_run *run = arg;

	if (run->header_due)
		failed(run, "line %lld, the header, %s", (long long)row->line, reason);
	else if (run->failed == NULL)
		(void)import_read_bad(run, row->line, reason, row->text, row->len);
}

static void on_broken(void *arg, int64_t line, const char *reason)
{
	failed(arg, "line %lld: %s; nothing was imported", (long long)line, reason);
}

/* ---- reading ---- */

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	import_read_go(arg);
}

void import_read_open(struct import_run *run)
{
	static const struct import_split_calls calls = {.row = on_row, .bad = on_bad, .broken = on_broken};
	const struct conf_queue_keys *k = &run->import->queue->k;

	import_split_open(&run->split, !run->spec->jsonl, run->spec->delimiter, (size_t)k->max_row_bytes, &calls, run);
	run->splitting = run->looking = true;
	run->header_due = run->spec->header;
	run->chunk = xmalloc(CHUNK);
	run->turn = event_new(run->import->base, -1, 0, on_turn, run);
	if (run->turn == NULL)
		mem_exhausted(0);
}

void import_read_close(struct import_run *run)
{
	import_file_close(run);
	import_url_close(run);
	if (run->splitting)
		import_split_close(&run->split);
	if (run->turn != NULL)
		event_free(run->turn);
	free(run->chunk);
	buf_free(&run->out);
}

void import_read_progress(struct import_run *run, double percent, const char *doing)
{
	int64_t now = clock_mono_ns();
	char note[128], of[32] = "";

	if (now - run->told_ns < TELL_NS)
		return;
	run->told_ns = now;
	if (run->size > 0)
		snprintf(of, sizeof of, " of %.1f", (double)run->size / 1e6);
	snprintf(note, sizeof note, "%s: %lld rows, %.1f%s MB", doing, (long long)run->rows, (double)run->read / 1e6, of);
	jobq_progress(run->job, percent, note);
}

static void progress(struct import_run *run)
{
	if (run->read == 0)
		return; /* the next word could only be said a second later */
	double part = run->size > 0 && run->read < run->size ? (double)run->read / (double)run->size : run->size > 0 ? 1 : 0;

	import_read_progress(run, 60 * part, "reading");
}

static bool columns_known(const struct import_run *run)
{
	return !run->header_due && (run->spec->n > 0 || run->names != NULL);
}

void import_read_fed(struct import_run *run, const char *data, size_t len)
{
	run->read += (int64_t)len;
	import_split_feed(&run->split, data, len);
	event_active(run->turn, EV_TIMEOUT, 0);
}

void import_read_ended(struct import_run *run)
{
	run->ended = true;
	import_split_end(&run->split);
	event_active(run->turn, EV_TIMEOUT, 0);
}

bool import_read_full(const struct import_run *run)
{
	return run->out.len >= FULL;
}

/* A file's next piece; false: the run has ended. */
static bool read_file(struct import_run *run)
{
	ssize_t n = import_file_read(run, run->chunk, CHUNK);

	if (n > 0) {
		import_read_fed(run, run->chunk, (size_t)n);
	} else if (n < 0) {
		char text[160];

		snprintf(text, sizeof text, "the file cannot be read on: %s", strerror(errno));
		import_end(run, OUTCOME_RETRY, -1, text, NULL);
		return false;
	} else if (!import_file_same(run)) {
		import_end(run, OUTCOME_RETRY, -1, "the file changed while it was read; nothing was imported", NULL);
		return false;
	} else {
		import_read_ended(run);
	}
	return true;
}

/* Gives the COPY what is there for it; false: it has enough, and asks again. */
static bool give(struct import_run *run)
{
	if (!run->wanted)
		return false;
	if (run->out.len >= PIECE || (run->ended && run->out.len > 0)) {
		run->wanted = pg_copy_put(run->conn, run->out.data, run->out.len);
		buf_reset(&run->out);
		(void)FAULT(import_copy);
	}
	return run->wanted;
}

/* The first rows are read; false: more must be, or the run has ended. */
static void look(struct import_run *run)
{
	if (columns_known(run)) {
		run->looking = false;
		import_known(run);
	} else {
		import_fail(run, run->spec->jsonl ? "the file is empty" : "the file is empty: it has no header");
	}
}

void import_read_go(struct import_run *run)
{
	for (int i = 0; i < TURN; i++) {
		if (run->failed != NULL) {
			import_fail(run, "%s", run->failed);
			return;
		}
		if (run->looking && (columns_known(run) || run->ended)) {
			look(run);
			return;
		}
		if (!run->looking && !give(run))
			return;
		if (run->ended && run->out.len == 0) {
			run->wanted = false;
			pg_copy_end(run->conn, NULL);
			return;
		}
		progress(run);
		if (run->fetch != NULL && !run->ended)
			import_url_resume(run);
		if (run->fetch != NULL)
			return;
		if (!run->ended && !read_file(run))
			return;
	}
	event_active(run->turn, EV_TIMEOUT, 0);
}

/* ---- COPY ---- */

static void more(void *arg)
{
	struct import_run *run = arg;

	run->wanted = true;
	import_read_go(run);
}

static void copied(void *arg, const struct pg_result *result)
{
	struct import_run *run = arg;

	run->wanted = false;
	if (result->status != PG_OK)
		import_sql_failed(run, result, "staging the rows");
	else
		import_merge(run);
}

void import_read_copy(struct import_run *run)
{
	run->copying = true;
	buf_reset(&run->sql);
	import_plan_copy(&run->plan, &run->sql);
	if (!pg_conn_copy(run->conn, buf_str(&run->sql), more, copied, run))
		import_lost(run);
}
