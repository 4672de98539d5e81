/*
 * jobqctl/metrics_text.c: the metrics documents as text: tables that fit the width.
 *
 * Pure: the document in, text out; the JSON renderer is the document itself. Names of tenants and texts of receivers are strangers',
 * so all of it goes through table.c, which makes it printable and cuts it. Empty parts are left out.
 */
#include "config.h"

#include "jobqctl/metrics_text.h"

#include <stdio.h>
#include <string.h>

#include "jobqctl/doc.h"
#include "jobqctl/human.h"
#include "jobqctl/table.h"

#define COLUMNS(list) (sizeof(list) / sizeof *(list))

struct page {
	size_t width;
	bool color;
	struct buf *out;
};

static void put_table(const struct page *p, struct table *table)
{
	table_render(table, p->out, p->width, p->color);
	table_free(table);
}

static void cell_count(struct table *table, const json_t *doc, const char *path, enum table_paint if_some)
{
	char text[HUMAN_MAX];
	json_int_t count = doc_int(doc, path);

	table_cell(table, human_count(text, count), count > 0 ? if_some : TABLE_PLAIN);
}

static void cell_ms(struct table *table, double ms)
{
	char text[HUMAN_MAX];

	(void)snprintf(text, sizeof text, ms < 99.95 ? "%.1f" : "%.0f", ms);
	table_cell(table, ms > 0 ? text : "-", TABLE_PLAIN);
}

/* a queue's part of the document, and not one of the document's own keys */
static bool is_queue(const char *key, const json_t *part)
{
	return json_is_object(part) && strcmp(key, "workspaceRateLimits") != 0;
}

static void buffer_note(struct table *table, const json_t *queue)
{
	struct buf text = {0};
	const char *reason;
	json_t *count;

	json_object_foreach(json_object_get(json_object_get(queue, "buffer"), "flushes"), reason, count)
		if (json_integer_value(count) > 0)
			buf_printf(&text, "%s%s %lld", text.len > 0 ? ", " : "", reason, (long long)json_integer_value(count));
	if (text.len > 0)
		table_note(table, "flushed: ", buf_str(&text), TABLE_DIM);
	buf_free(&text);
}

static void queue_row(struct table *table, const char *name, const json_t *queue)
{
	char text[4 * HUMAN_MAX];

	table_cell(table, name, TABLE_PLAIN);
	cell_count(table, queue, "batches", TABLE_PLAIN);
	cell_count(table, queue, "jobs", TABLE_PLAIN);
	cell_count(table, queue, "success", TABLE_PLAIN);
	cell_count(table, queue, "errors", TABLE_WARN);
	cell_ms(table, doc_number(queue, "avgProcessingTime"));
	table_cell(table, human_rate(text, doc_number(queue, "throughput")), TABLE_PLAIN);
	cell_count(table, queue, "rateExceededCount", TABLE_WARN);
	(void)snprintf(text, sizeof text, "%lld (%lld-%lld)", (long long)doc_int(queue, "batch.size"), (long long)doc_int(queue, "batch.min"),
		(long long)doc_int(queue, "batch.max"));
	table_cell(table, text, TABLE_PLAIN);
	(void)snprintf(text, sizeof text, "%.0f%%", doc_number(queue, "buffer.utilization") * 100.0);
	table_cell(table, text, TABLE_PLAIN);
	buffer_note(table, queue);
}

static void worst(const struct page *p, json_t *tenants)
{
	static const struct table_column columns[] = {{"TENANT", false, 12}, {"QUEUE", false, 8}, {"EXCEEDED", true, 0}, {"LAST", false, 0}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const char *tenant, *queue;
	json_t *queues, *one;

	json_object_foreach(tenants, tenant, queues)
		json_object_foreach(queues, queue, one) {
			table_cell(table, tenant[0] != '\0' ? tenant : "(none)", TABLE_PLAIN);
			table_cell(table, queue, TABLE_PLAIN);
			cell_count(table, one, "count", TABLE_WARN);
			table_cell(table, doc_text(one, "lastExceeded"), TABLE_PLAIN);
		}
	buf_putc(p->out, '\n');
	put_table(p, table);
}

void metrics_text(json_t *doc, size_t width, bool color, struct buf *out)
{
	static const struct table_column columns[] = {
		{"QUEUE", false, 8}, {"BATCHES", true, 0}, {"JOBS", true, 0}, {"SUCCESS", true, 0}, {"ERRORS", true, 0}, {"AVG MS", true, 0},
		{"JOBS/S", true, 0}, {"EXCEEDED", true, 0}, {"SIZE", true, 0}, {"BUFFER", true, 0}};
	const struct page p = {width, color, out};
	struct table *table = table_new(columns, COLUMNS(columns));
	json_t *tenants = json_object_get(doc, "workspaceRateLimits"), *part;
	const char *key;

	table_paragraph(out, 0, "counted since ", doc_text(doc, "since"), width, 1, TABLE_PLAIN, color);
	buf_putc(out, '\n');
	json_object_foreach(doc, key, part)
		if (is_queue(key, part))
			queue_row(table, key, part);
	put_table(&p, table);
	if (json_object_size(tenants) > 0)
		worst(&p, tenants);
}

static void details(const struct page *p, json_t *doc)
{
	static const struct table_column columns[] = {{"WHEN", false, 0}, {"QUEUE", false, 8}, {"HELD BACK", true, 0}, {"MESSAGE", false, 20}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *part, *detail;
	const char *key;
	bool some = false;
	size_t i;

	json_object_foreach(doc, key, part)
		json_array_foreach(json_object_get(part, "details"), i, detail) {
			some = true;
			table_cell(table, doc_text(detail, "timestamp"), TABLE_PLAIN);
			table_cell(table, key, TABLE_PLAIN);
			cell_count(table, detail, "batchSize", TABLE_PLAIN);
			table_cell(table, doc_text(detail, "errorMessage"), TABLE_PLAIN);
		}
	if (some)
		buf_putc(p->out, '\n');
	if (some)
		table_render(table, p->out, p->width, p->color);
	table_free(table);
}

void metrics_text_tenant(json_t *doc, size_t width, bool color, struct buf *out)
{
	static const struct table_column columns[] = {{"QUEUE", false, 8}, {"EXCEEDED", true, 0}, {"LAST", false, 0}};
	const struct page p = {width, color, out};
	struct table *table = table_new(columns, COLUMNS(columns));
	json_t *part;
	const char *key;

	table_paragraph(out, 0, "tenant ", doc_text(doc, "workspaceId"), width, 2, TABLE_BOLD, color);
	buf_putc(out, '\n');
	json_object_foreach(doc, key, part)
		if (json_is_object(part)) {
			table_cell(table, key, TABLE_PLAIN);
			cell_count(table, part, "count", TABLE_WARN);
			table_cell(table, doc_null(part, "lastExceeded") ? "-" : doc_text(part, "lastExceeded"), TABLE_PLAIN);
		}
	put_table(&p, table);
	details(&p, doc);
}
