/*
 * jobqctl/jobline.c: checks a job that somebody wrote as JSON, and keeps its very text.
 *
 * Pure. The text is parsed to see that it is right, but what is sent is the text itself: a parser would turn 0.1 and
 * 12345678901234567890 into the nearest number it knows. Defaults of the command line are put in as text too, at the front of the
 * object, and only for keys that it does not have.
 */
#include "config.h"

#include "jobqctl/jobline.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const names[] = {
	"queue", "payload", "tenant_id", "priority", "run_at", "type", "max_retries", "unique_key", "on_duplicate", "user_id", "deadline",
	"notify_channel",
};
#define NNAMES (sizeof names / sizeof *names)

/* numbers of any size are fine here: PostgreSQL reads them, not we */
#define FLAGS (JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL)

static bool known(const char *key)
{
	for (size_t i = 0; i < NNAMES; i++)
		if (strcmp(names[i], key) == 0)
			return true;
	return false;
}

static int check_keys(json_t *job, char *err, size_t errlen)
{
	const char *key;
	json_t *value;

	json_object_foreach(job, key, value) {
		if (known(key))
			continue;
		int near = text_nearest(key, names, NNAMES);
		(void)snprintf(err, errlen, "unknown key \"%s\"%s%s%s", key, near >= 0 ? "; did you mean \"" : "", near >= 0 ? names[near] : "",
			near >= 0 ? "\"?" : "; the keys are the argument names of jobq.enqueue");
		return -1;
	}
	return 0;
}

static int add_defaults(struct buf *out, const json_t *job, json_t *defaults)
{
	const char *key;
	json_t *value;
	int n = 0;

	json_object_foreach(defaults, key, value) {
		if (job != NULL && json_object_get(job, key) != NULL)
			continue;
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		buf_printf(out, "%s\"%s\":%s", n++ > 0 ? "," : "", key, text != NULL ? text : "null");
		free(text);
	}
	return n;
}

static json_t *parse(const char *text, size_t len, char *err, size_t errlen)
{
	json_error_t error;
	json_t *value = json_loadb(text, len, FLAGS, &error);

	if (value == NULL)
		(void)snprintf(err, errlen, "not JSON: %s at character %d", error.text, error.column);
	return value;
}

int jobline_add(struct buf *out, const char *line, size_t len, json_t *defaults, char *err, size_t errlen)
{
	json_t *job = parse(line, len, err, errlen);
	int rc = job == NULL ? -1 : 0;

	if (rc == 0 && !json_is_object(job)) {
		(void)snprintf(err, errlen, "not a JSON object; write {\"payload\": ...}");
		rc = -1;
	}
	if (rc == 0)
		rc = check_keys(job, err, errlen);
	if (rc == 0) {
		const char *open = memchr(line, '{', len); /* only blanks stand before it */
		size_t rest = len - (size_t)(open + 1 - line);
		buf_putc(out, '{');
		if (add_defaults(out, job, defaults) > 0 && json_object_size(job) > 0)
			buf_putc(out, ',');
		buf_add(out, open + 1, rest);
	}
	json_decref(job);
	return rc;
}

int jobline_single(struct buf *out, const char *payload, json_t *defaults, char *err, size_t errlen)
{
	json_t *value = payload == NULL ? NULL : parse(payload, strlen(payload), err, errlen);

	if (payload != NULL && value == NULL)
		return -1;
	json_decref(value);
	buf_putc(out, '{');
	if (add_defaults(out, NULL, defaults) > 0 && payload != NULL)
		buf_putc(out, ',');
	if (payload != NULL)
		buf_printf(out, "\"payload\":%s", payload);
	buf_putc(out, '}');
	return 0;
}
