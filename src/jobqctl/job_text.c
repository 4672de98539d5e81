/*
 * jobqctl/job_text.c: what jobs look like as text.
 *
 * Pure: documents of the daemon in, text out. Everything in a job is its tenant's word, so all of it goes through table.c,
 * which makes it printable and keeps to the width. `try` and `age` are made here: attempts used and allowed, time since the job
 * was created.
 */
#include "config.h"

#include "jobqctl/job_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "jobqctl/doc.h"
#include "jobqctl/human.h"
#include "jobqctl/table.h"
#include "jobqctl/width.h"

static const struct field {
	const char *name, *title;
	bool right;
	size_t elastic;
} fields[] = {
	{"id", "ID", true, 0}, {"queue", "QUEUE", false, 6}, {"type", "TYPE", false, 6}, {"tenant_id", "TENANT", false, 6},
	{"user_id", "USER", false, 6}, {"priority", "PRIORITY", false, 0}, {"status", "STATUS", false, 0}, {"try", "TRY", true, 0},
	{"age", "AGE", true, 0}, {"retry_count", "RETRIES", true, 0}, {"max_retries", "MAX", true, 0}, {"run_at", "RUN AT", false, 8},
	{"created_at", "CREATED", false, 8}, {"started_at", "STARTED", false, 8}, {"completed_at", "COMPLETED", false, 8},
	{"progress", "PROGRESS", true, 0}, {"progress_note", "NOTE", false, 6}, {"claimed_by", "CLAIMED BY", false, 6},
	{"error_message", "ERROR", false, 8},
};
#define NFIELDS (sizeof fields / sizeof *fields)

static const struct field *find(const char *name)
{
	for (size_t i = 0; i < NFIELDS; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int no_column(const char *name, char *err, size_t errlen)
{
	const char *names[NFIELDS];

	for (size_t i = 0; i < NFIELDS; i++)
		names[i] = fields[i].name;
	int near = text_nearest(name, names, NFIELDS);
	int at = snprintf(err, errlen, "no column \"%s\"%s%s%s; there are", name, near >= 0 ? "; did you mean \"" : "", near >= 0 ? names[near] : "",
		near >= 0 ? "\"?" : "");
	for (size_t i = 0; i < NFIELDS && at > 0 && (size_t)at < errlen; i++)
		at += snprintf(err + at, errlen - (size_t)at, " %s", names[i]);
	return -1;
}

/* microseconds since 1970 of "2026-01-31T12:00:00.123Z"; -1 when it is none */
static int64_t time_of(const char *text)
{
	struct tm tm = {0};
	char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	return rest == NULL ? -1 : (int64_t)timegm(&tm) * US_PER_S;
}

/* any value as text; the caller frees */
static char *value_text(const json_t *value)
{
	if (value == NULL || json_is_null(value))
		return xstrdup("-");
	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	return text != NULL ? text : xstrdup("?");
}

static char *cell_text(const json_t *job, const struct field *field, int64_t now_us)
{
	char age[HUMAN_MAX];

	if (strcmp(field->name, "try") == 0 && doc_int(job, "max_retries") < 0) /* the queue's own number */
		return xasprintf("%lld", (long long)doc_int(job, "retry_count"));
	if (strcmp(field->name, "try") == 0)
		return xasprintf("%lld/%lld", (long long)doc_int(job, "retry_count"), (long long)doc_int(job, "max_retries"));
	if (strcmp(field->name, "age") == 0) {
		int64_t created = time_of(doc_text(job, "created_at"));
		return xstrdup(created < 0 ? "-" : human_age(age, created < now_us ? (double)(now_us - created) / (double)US_PER_S : 0));
	}
	return value_text(doc_at(job, field->name));
}

static enum table_paint paint_of(const struct field *field, const char *text)
{
	if (strcmp(field->name, "status") != 0)
		return TABLE_PLAIN;
	return strcmp(text, "failed") == 0 ? TABLE_BAD : strcmp(text, "held") == 0 ? TABLE_WARN : TABLE_PLAIN;
}

int job_table(const json_t *jobs, const char *columns, int64_t now_us, size_t width, bool color, struct buf *out, char *err, size_t errlen)
{
	const struct field *chosen[JOB_COLUMNS_MAX];
	struct table_column shapes[JOB_COLUMNS_MAX];
	char *copy = xstrdup(columns), *save = NULL;
	const json_t *job;
	size_t n = 0, i;
	int rc = 0;

	for (char *name = strtok_r(copy, ", ", &save); name != NULL && rc == 0; name = strtok_r(NULL, ", ", &save)) {
		if (n == JOB_COLUMNS_MAX || (chosen[n] = find(name)) == NULL) {
			rc = no_column(name, err, errlen);
			break;
		}
		shapes[n] = (struct table_column){chosen[n]->title, chosen[n]->right, chosen[n]->elastic};
		n++;
	}
	if (rc == 0 && n == 0)
		rc = no_column("", err, errlen);
	free(copy);
	if (rc != 0)
		return rc;
	struct table *table = table_new(shapes, n);
	json_array_foreach(jobs, i, job)
		for (size_t c = 0; c < n; c++) {
			char *text = cell_text(job, chosen[c], now_us);
			table_cell(table, text, paint_of(chosen[c], text));
			free(text);
		}
	table_render(table, out, width, color);
	table_free(table);
	return 0;
}

static void one_field(const char *key, const json_t *value, size_t width, bool color, struct buf *out)
{
	struct buf label = {0};
	char *text = value_text(value);

	width_printable(&label, key);
	buf_printf(&label, "%*s", (int)(label.len < 15 ? 15 - label.len : 1), "");
	table_paragraph(out, 0, buf_str(&label), text, width, SIZE_MAX, json_is_null(value) ? TABLE_DIM : TABLE_PLAIN, color);
	buf_free(&label);
	free(text);
}

void job_fields(json_t *job, size_t width, bool color, struct buf *out)
{
	const char *key;
	json_t *value;

	for (size_t i = 0; i < NFIELDS; i++) /* those that every job has, in their order; then the rest */
		if ((value = json_object_get(job, fields[i].name)) != NULL)
			one_field(fields[i].name, value, width, color, out);
	json_object_foreach(job, key, value)
		if (find(key) == NULL)
			one_field(key, value, width, color, out);
}

void job_why(json_t *why, size_t width, bool color, struct buf *out)
{
	const json_t *reasons = doc_at(why, "reasons"), *reason;
	const char *id = doc_text(why, "id"), *status = doc_text(why, "status");
	size_t i;

	char *title = id[0] != '\0' ? xasprintf("job %s is %s", id, status)
		: xasprintf("queue %s%s%s", doc_text(why, "queue"), status[0] != '\0' ? " is " : "", status);
	table_paragraph(out, 0, title, "", width, 3, TABLE_BOLD, color);
	free(title);
	json_array_foreach(reasons, i, reason) {
		const char *until = doc_text(reason, "until");
		char *label = xasprintf("%s: ", doc_text(reason, "code"));
		char *text = until[0] != '\0' ? xasprintf("%s (until %s)", doc_text(reason, "detail"), until) : xstrdup(doc_text(reason, "detail"));
		table_paragraph(out, 2, label, text, width, SIZE_MAX, TABLE_PLAIN, color);
		free(label);
		free(text);
	}
	if (json_array_size(reasons) == 0)
		table_paragraph(out, 2, "", "nothing holds it back", width, 1, TABLE_PLAIN, color);
}
