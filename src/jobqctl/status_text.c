/*
 * jobqctl/status_text.c: the status document as text: what is wrong first, then what is.
 *
 * Pure: the document in, text out; the JSON renderer is the document itself. Every text in it may be a stranger's, so all
 * of it goes through table.c, which makes it printable and cuts it. Parts that are empty are left out.
 */
#include "config.h"

#include "jobqctl/status_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobqctl/doc.h"
#include "jobqctl/human.h"
#include "jobqctl/status_processes.h"
#include "jobqctl/table.h"

#define LABEL 10u /* columns of the labels in the header */

struct screen {
	const json_t *doc;
	size_t width;
	bool color;
	struct buf *out;
};

/* "label     text", the text wrapped beside its label; label at most 9 columns */
static void line(const struct screen *s, const char *label, const char *text, enum table_paint paint)
{
	struct buf part = {0};
	size_t from = s->out->len;

	table_paragraph(&part, LABEL, "", text[0] != '\0' ? text : "-", s->width, 4, paint, s->color);
	buf_puts(s->out, buf_str(&part));
	memcpy(s->out->data + from, label, strlen(label)); /* over the blanks of the indent */
	buf_free(&part);
}

__attribute__((format(printf, 4, 5))) static void linef(const struct screen *s, const char *label, enum table_paint paint, const char *format, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	line(s, label, buf_str(&text), paint);
	buf_free(&text);
}

static void head(const struct screen *s)
{
	char up[HUMAN_MAX], age[HUMAN_MAX];
	const char *state = doc_text(s->doc, "database.state");
	json_int_t schema = doc_int(s->doc, "database.schema");

	linef(s, "node", TABLE_BOLD, "%s, jobqd %s, pid %lld, up %s", doc_text(s->doc, "node"), doc_text(s->doc, "version"),
		(long long)doc_int(s->doc, "pid"), human_age(up, doc_number(s->doc, "uptime_s")));
	struct buf schema_text = {0};
	if (schema >= 0)
		buf_printf(&schema_text, ", schema %lld", (long long)schema);
	linef(s, "database", strcmp(state, "connected") == 0 ? TABLE_GOOD : TABLE_BAD, "%s, %s%s%s", state, doc_text(s->doc, "database.target"),
		doc_true(s->doc, "database.embedded") ? " (embedded)" : "", buf_str(&schema_text));
	buf_free(&schema_text);
	if (!doc_null(s->doc, "database.last_error"))
		linef(s, "", TABLE_WARN, "last error: %s", doc_text(s->doc, "database.last_error"));
	if (doc_null(s->doc, "counts_age_s"))
		line(s, "counts", "not counted yet", TABLE_WARN);
	else
		linef(s, "counts", doc_number(s->doc, "counts_age_s") > 30 ? TABLE_WARN : TABLE_PLAIN, "%s old",
			human_age(age, doc_number(s->doc, "counts_age_s")));
	linef(s, "config", TABLE_PLAIN, "%s, generation %lld", doc_text(s->doc, "config.path"), (long long)doc_int(s->doc, "config.generation"));
	if (!doc_true(s->doc, "config.ok") || !doc_null(s->doc, "config.error"))
		linef(s, "", TABLE_BAD, "the last reload was refused: %s", doc_text(s->doc, "config.error"));
}

static void nodes(const struct screen *s)
{
	const json_t *list = doc_at(s->doc, "nodes"), *node;
	struct buf text = {0};
	size_t i;

	if (json_array_size(list) > 1) {
		json_array_foreach(list, i, node)
			buf_printf(&text, "%s%s%s", i > 0 ? ", " : "", doc_text(node, "name"), doc_true(node, "leader") ? " (leader)" : "");
		line(s, "nodes", buf_str(&text), TABLE_PLAIN);
	}
	buf_free(&text);
}

static void cell_count(struct table *table, const json_t *doc, const char *path, enum table_paint if_some)
{
	char text[HUMAN_MAX];
	json_int_t count = doc_int(doc, path);

	table_cell(table, human_count(text, count), count > 0 ? if_some : TABLE_PLAIN);
}

static enum table_paint state_paint(const char *state)
{
	return strcmp(state, "crash-loop") == 0 ? TABLE_BAD : strcmp(state, "running") == 0 ? TABLE_PLAIN : TABLE_WARN;
}

/* batch, buffer and rate, of a queue that has worked or has a limit */
static void queue_pace(struct table *table, const json_t *queue)
{
	char limit[HUMAN_MAX], effective[HUMAN_MAX], avg[HUMAN_MAX], p95[HUMAN_MAX];
	struct buf text = {0};
	bool limited = !doc_null(queue, "rate.effective_per_s");

	if (doc_int(queue, "batch.last") <= 0 && !limited)
		return;
	buf_printf(&text, "%lld (%lld-%lld)", (long long)doc_int(queue, "batch.size"), (long long)doc_int(queue, "batch.min"),
		(long long)doc_int(queue, "batch.max"));
	if (doc_number(queue, "batch.avg_ms") > 0)
		buf_printf(&text, ", %s, p95 %s", human_ms(avg, doc_number(queue, "batch.avg_ms")), human_ms(p95, doc_number(queue, "batch.p95_ms")));
	buf_printf(&text, "; buffer %.0f%%", doc_number(queue, "buffer.utilization") * 100.0);
	if (limited)
		buf_printf(&text, "; rate %s of %s/s, exceeded %lld times", human_rate(effective, doc_number(queue, "rate.effective_per_s")),
			human_rate(limit, doc_number(queue, "rate.limit_per_s")), (long long)doc_int(queue, "rate.exceeded"));
	table_note(table, "batch ", buf_str(&text), TABLE_DIM);
	buf_free(&text);
}

static void queue_notes(struct table *table, const json_t *queue)
{
	char until[HUMAN_MAX], *text;

	if (!doc_null(queue, "gate")) {
		text = doc_true(queue, "gate.probing") ? xasprintf("%s; one job at a time, until one comes through", doc_text(queue, "gate.reason"))
			: xasprintf("%s; tried again in %s", doc_text(queue, "gate.reason"), human_age(until, doc_number(queue, "gate.retry_in_s")));
		table_note(table, "gate closed: ", text, TABLE_BAD);
		free(text);
	}
	if (!doc_null(queue, "pause")) {
		const char *end = doc_text(queue, "pause.until"), *why = doc_text(queue, "pause.reason");
		text = xasprintf("%s%s%s since %s%s%s%s%s", doc_text(queue, "pause.by"), doc_null(queue, "pause.tenant") ? "" : ", tenant ",
			doc_text(queue, "pause.tenant"), doc_text(queue, "pause.since"), end[0] != '\0' ? " until " : "",
			end, why[0] != '\0' ? ": " : "", why);
		table_note(table, "paused by ", text, TABLE_WARN);
		free(text);
	}
	queue_pace(table, queue);
	if (!doc_null(queue, "last_error"))
		table_note(table, "last error: ", doc_text(queue, "last_error"), TABLE_DIM);
}

static void queue_row(struct table *table, const json_t *queue)
{
	char text[2 * HUMAN_MAX + 24];
	json_int_t want = doc_int(queue, "workers.want"), ready = doc_int(queue, "workers.ready");
	double oldest = doc_number(queue, "oldest_pending_s");

	table_cell(table, doc_text(queue, "name"), TABLE_PLAIN);
	table_cell(table, doc_text(queue, "state"), state_paint(doc_text(queue, "state")));
	(void)snprintf(text, sizeof text, "%lld/%lld", (long long)ready, (long long)want);
	table_cell(table, text, ready < want ? TABLE_WARN : TABLE_PLAIN);
	cell_count(table, queue, "pending", TABLE_PLAIN);
	table_cell(table, oldest > 0 ? human_age(text, oldest) : "-", oldest > 300 ? TABLE_WARN : TABLE_PLAIN);
	cell_count(table, queue, "scheduled", TABLE_PLAIN);
	cell_count(table, queue, "in_flight", TABLE_PLAIN);
	cell_count(table, queue, "held", TABLE_WARN);
	cell_count(table, queue, "completed", TABLE_PLAIN);
	cell_count(table, queue, "failed", TABLE_WARN);
	table_cell(table, human_rate(text, doc_number(queue, "throughput_per_s")), TABLE_PLAIN);
	queue_notes(table, queue);
}

static void queues(const struct screen *s)
{
	static const struct table_column columns[] = {
		{"QUEUE", false, 8}, {"STATE", false, 0}, {"WORK", true, 0}, {"PENDING", true, 0}, {"OLDEST", true, 0}, {"LATER", true, 0},
		{"FLY", true, 0}, {"HELD", true, 0}, {"DONE", true, 0}, {"FAILED", true, 0}, {"JOBS/S", true, 0},
	};
	const json_t *list = doc_at(s->doc, "queues"), *queue;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	json_array_foreach(list, i, queue)
		queue_row(table, queue);
	buf_putc(s->out, '\n');
	table_render(table, s->out, s->width, s->color);
	table_free(table);
}

static void unserved(const struct screen *s)
{
	static const struct table_column columns[] = {{"UNSERVED (no node has this queue)", false, 8}, {"PENDING", true, 0}, {"OLDEST", true, 0}};
	const json_t *list = doc_at(s->doc, "unserved"), *one;
	char text[HUMAN_MAX];
	size_t i;

	if (json_array_size(list) == 0)
		return;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	json_array_foreach(list, i, one) {
		table_cell(table, doc_text(one, "name"), TABLE_WARN);
		cell_count(table, one, "pending", TABLE_PLAIN);
		table_cell(table, human_age(text, doc_number(one, "oldest_pending_s")), TABLE_PLAIN);
	}
	buf_putc(s->out, '\n');
	table_render(table, s->out, s->width, s->color);
	table_free(table);
}

static void pools(const struct screen *s)
{
	static const struct table_column columns[] = {
		{"POOL", false, 8}, {"IN USE", true, 0}, {"IDLE", true, 0}, {"MAX", true, 0}, {"WAITING", true, 0}, {"LENT", true, 0},
		{"RETURNED", true, 0}, {"TIMEOUTS", true, 0}, {"ERRORS", true, 0},
	};
	const json_t *list = doc_at(s->doc, "pools"), *pool;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	json_array_foreach(list, i, pool) {
		table_cell(table, doc_text(pool, "name"), TABLE_PLAIN);
		cell_count(table, pool, "in_use", TABLE_PLAIN);
		cell_count(table, pool, "idle", TABLE_PLAIN);
		cell_count(table, pool, "max", TABLE_PLAIN);
		cell_count(table, pool, "waiting", TABLE_WARN);
		cell_count(table, pool, "acquired", TABLE_PLAIN);
		cell_count(table, pool, "released", TABLE_PLAIN);
		cell_count(table, pool, "timeouts", TABLE_WARN);
		cell_count(table, pool, "errors", TABLE_WARN);
	}
	buf_putc(s->out, '\n');
	table_render(table, s->out, s->width, s->color);
	table_free(table);
}

static void alerts(const struct screen *s)
{
	static const struct table_column columns[] = {
		{"ALERT", false, 8}, {"QUEUE", false, 8}, {"SINCE", false, 10}, {"VALUE", true, 0}, {"THRESHOLD", true, 0}};
	const json_t *list = doc_at(s->doc, "alerts"), *alert;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	json_array_foreach(list, i, alert) {
		table_cell(table, doc_text(alert, "name"), TABLE_BAD);
		table_cell(table, doc_text(alert, "queue"), TABLE_PLAIN);
		table_cell(table, doc_text(alert, "since"), TABLE_PLAIN);
		cell_count(table, alert, "value", TABLE_PLAIN);
		cell_count(table, alert, "threshold", TABLE_PLAIN);
	}
	buf_putc(s->out, '\n');
	table_render(table, s->out, s->width, s->color);
	table_free(table);
}

void status_text_render(const json_t *doc, const char *note, size_t width, bool color, struct buf *out)
{
	const struct screen s = {.doc = doc, .width = width, .color = color, .out = out};

	if (note != NULL)
		table_paragraph(out, 0, "", note, width, 3, TABLE_BAD, color);
	head(&s);
	nodes(&s);
	alerts(&s);
	queues(&s);
	unserved(&s);
	pools(&s);
	status_processes(doc, width, color, out);
}
