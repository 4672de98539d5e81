/*
 * jobqctl/report_text.c: the report as text: for each queue what was asked of it, what it did, what it used, and what was decided.
 *
 * Pure: the document in, text out; the JSON renderer is the document itself. Everything goes through table.c, which makes it printable
 * and cuts it. What is not known yet is left out or "-".
 */
#include "config.h"

#include "jobqctl/report_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jobqctl/doc.h"
#include "jobqctl/human.h"
#include "jobqctl/table.h"

#define LABEL 11u
#define DECISIONS 8 /* the newest; --json has more */

struct page {
	size_t width;
	bool color;
	struct buf *out;
};

/* "label      text", wrapped beside its label */
__attribute__((format(printf, 4, 5))) static void line(const struct page *p, const char *label, enum table_paint paint, const char *format, ...)
{
	struct buf text = {0}, part = {0};
	size_t from = p->out->len;
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	table_paragraph(&part, LABEL, "", text.len > 0 ? buf_str(&text) : "-", p->width, 4, paint, p->color);
	buf_puts(p->out, buf_str(&part));
	memcpy(p->out->data + from, label, strlen(label)); /* over the blanks of the indent */
	buf_free(&part);
	buf_free(&text);
}

static char *share(char dst[HUMAN_MAX], const json_t *doc, const char *path)
{
	double value = doc_number(doc, path);

	if (value < 0)
		(void)snprintf(dst, HUMAN_MAX, "-");
	else
		(void)snprintf(dst, HUMAN_MAX, "%.0f%%", value < 1e6 ? value * 100.0 : 1e8);
	return dst;
}

static char *milliseconds(char dst[HUMAN_MAX], const json_t *doc, const char *path)
{
	return human_ms(dst, doc_number(doc, path));
}

static enum table_paint verdict(const json_t *doc, const char *path)
{
	const json_t *met = doc_at(doc, path);

	return json_is_true(met) ? TABLE_GOOD : json_is_false(met) ? TABLE_WARN : TABLE_PLAIN;
}

static const char *verdict_word(const json_t *doc, const char *path)
{
	const json_t *met = doc_at(doc, path);

	return json_is_true(met) ? ": met" : json_is_false(met) ? ": missed" : "";
}

static void targets(const struct page *p, const json_t *queue)
{
	char is[HUMAN_MAX], target[HUMAN_MAX], p95[HUMAN_MAX];

	(void)human_rate(is, doc_number(queue, "targets.throughput_per_s.measured"));
	line(p, "throughput", verdict(queue, "targets.throughput_per_s.met"), "%s jobs/s; %s under backlog, target %s%s", is,
		human_rate(p95, doc_number(queue, "targets.throughput_per_s.under_backlog")),
		human_rate(target, doc_number(queue, "targets.throughput_per_s.target")), verdict_word(queue, "targets.throughput_per_s.met"));
	line(p, "batches", verdict(queue, "targets.batch_ms.met"), "%s on average, target %s%s; p95 %s; size %lld (%lld-%lld)",
		milliseconds(is, queue, "targets.batch_ms.measured"), milliseconds(target, queue, "targets.batch_ms.target"),
		verdict_word(queue, "targets.batch_ms.met"), milliseconds(p95, queue, "targets.batch_ms.p95"), (long long)doc_int(queue, "batch.size"),
		(long long)doc_int(queue, "batch.min"), (long long)doc_int(queue, "batch.max"));
}

static void use(const struct page *p, const json_t *queue)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];
	const char *bound = doc_text(queue, "capacity.bound_by");

	if (!doc_null(queue, "limit.limit_per_s"))
		line(p, "rate limit", TABLE_PLAIN, "%s of %s/s used, %s/s in force; exceeded %lld times", share(a, queue, "limit.used"),
			human_rate(b, doc_number(queue, "limit.limit_per_s")), human_rate(c, doc_number(queue, "limit.effective_per_s")),
			(long long)doc_int(queue, "limit.exceeded"));
	else
		line(p, "rate limit", TABLE_PLAIN, "none");
	line(p, "workers", doc_int(queue, "workers.ready") < doc_int(queue, "workers.want") ? TABLE_WARN : TABLE_PLAIN,
		"%lld of %lld ready, %s busy; the queue was at work %s of the time", (long long)doc_int(queue, "workers.ready"),
		(long long)doc_int(queue, "workers.want"), share(a, queue, "workers.busy"), share(b, queue, "time.active"));
	if (!doc_null(queue, "capacity.jobs_per_s"))
		line(p, "capacity", strcmp(bound, "") != 0 ? TABLE_WARN : TABLE_PLAIN, "about %s jobs/s, %s used%s%s",
			human_rate(a, doc_number(queue, "capacity.jobs_per_s")), share(b, queue, "capacity.used"),
			strcmp(bound, "") != 0 ? "; what holds it back: its " : "", bound);
}

static void buffer(const struct page *p, const json_t *queue)
{
	char now[HUMAN_MAX], peak[HUMAN_MAX], efficiency[HUMAN_MAX];
	struct buf flushes = {0};
	const char *reason;
	json_t *one;

	line(p, "buffer", strcmp(doc_text(queue, "buffer.state"), "full") == 0 ? TABLE_WARN : TABLE_PLAIN,
		"%s of %lld used, at most %s (%s); memory efficiency %s", share(now, queue, "buffer.utilization"), (long long)doc_int(queue, "buffer.max"),
		share(peak, queue, "buffer.peak"), doc_text(queue, "buffer.state"), share(efficiency, queue, "buffer.efficiency"));
	json_object_foreach(json_object_get(json_object_get(queue, "buffer"), "flushes"), reason, one)
		if (doc_int(one, "count") > 0)
			buf_printf(&flushes, "%s%s %lld (last %s)", flushes.len > 0 ? ", " : "", reason, (long long)doc_int(one, "count"),
				doc_null(one, "last") ? "?" : doc_text(one, "last"));
	if (flushes.len > 0)
		line(p, "flushed", TABLE_PLAIN, "%s", buf_str(&flushes));
	buf_free(&flushes);
}

static void trends(const struct page *p, json_t *queue)
{
	static const struct table_column columns[] = {{"TREND", false, 10}, {"WAS", true, 0}, {"IS", true, 0}, {"", false, 0}};
	json_t *all = json_object_get(queue, "trends"), *one;
	struct table *table;
	const char *name;
	char text[HUMAN_MAX];

	if (!json_is_object(all))
		return;
	table = table_new(columns, sizeof columns / sizeof *columns);
	json_object_foreach(all, name, one) {
		if (!json_is_object(one))
			continue;
		table_cell(table, name, TABLE_PLAIN);
		(void)snprintf(text, sizeof text, "%.4g", doc_number(one, "was"));
		table_cell(table, text, TABLE_PLAIN);
		(void)snprintf(text, sizeof text, "%.4g", doc_number(one, "is"));
		table_cell(table, text, TABLE_PLAIN);
		table_cell(table, doc_text(one, "direction"), TABLE_PLAIN);
	}
	line(p, "trends", TABLE_PLAIN, "the last %lld minutes against the %lld before", (long long)doc_int(all, "minutes"),
		(long long)doc_int(all, "minutes"));
	table_render(table, p->out, p->width, p->color);
	table_free(table);
}

static void decisions(const struct page *p, const json_t *queue)
{
	static const struct table_column columns[] = {{"DECIDED", false, 0}, {"WHAT", false, 0}, {"FROM", true, 0}, {"TO", true, 0}, {"WHY", false, 12}};
	const json_t *list = doc_at(queue, "decisions"), *one;
	char text[HUMAN_MAX];
	size_t i;

	if (json_array_size(list) == 0)
		return;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	json_array_foreach(list, i, one) {
		if (i == DECISIONS)
			break;
		table_cell(table, doc_text(one, "at"), TABLE_DIM);
		table_cell(table, doc_text(one, "what"), TABLE_PLAIN);
		(void)snprintf(text, sizeof text, "%.4g", doc_number(one, "from"));
		table_cell(table, text, TABLE_PLAIN);
		(void)snprintf(text, sizeof text, "%.4g", doc_number(one, "to"));
		table_cell(table, text, TABLE_PLAIN);
		table_cell(table, doc_text(one, "text"), TABLE_PLAIN);
	}
	table_render(table, p->out, p->width, p->color);
	table_free(table);
}

static void queue_text(const struct page *p, const char *name, json_t *queue)
{
	char span[HUMAN_MAX], jobs[HUMAN_MAX], errors[HUMAN_MAX], pending[HUMAN_MAX];
	struct buf text = {0};

	buf_printf(&text, "%s: %s, %s jobs (%s errors) in the last %s, %s pending", name, doc_text(queue, "state"),
		human_count(jobs, doc_int(queue, "jobs")), human_count(errors, doc_int(queue, "errors")), human_age(span, doc_number(queue, "span_s")),
		human_count(pending, doc_int(queue, "pending")));
	table_paragraph(p->out, 0, "queue ", buf_str(&text), p->width, 3, TABLE_BOLD, p->color);
	buf_free(&text);
	targets(p, queue);
	use(p, queue);
	buffer(p, queue);
	trends(p, queue);
	decisions(p, queue);
}

void report_text(json_t *doc, size_t width, bool color, struct buf *out)
{
	const struct page p = {width, color, out};
	char up[HUMAN_MAX];
	const char *name;
	json_t *queue;

	line(&p, "node", TABLE_PLAIN, "%s, jobqd %s, up %s, %s", doc_text(doc, "node"), doc_text(doc, "version"),
		human_age(up, doc_number(doc, "uptime_s")), doc_text(doc, "timestamp"));
	json_object_foreach(json_object_get(doc, "queues"), name, queue) {
		buf_putc(out, '\n');
		queue_text(&p, name, queue);
	}
}
