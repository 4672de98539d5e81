/*
 * handlers/exec_hear.c: what a program says in a talk: lines into outcomes and progress.
 *
 * Runs in a worker. Owns nothing: the talk's buffer holds the line under way, its credit what may still come (max_output for
 * each job that it has, and one for what it says beside them). A line that is neither outcome nor progress, is too long, or one too
 * many dooms the program; a wrong answer for a known job is that job's trouble alone; an answer for no job is told to the log.
 */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "handlers/dialect.h"
#include "handlers/exec_talk.h"

#define STRAYS_SHOWN 5   /* log lines about answers to nothing, a program */
#define LINE_SHOWN 200   /* bytes of a wrong line in an error */

static struct asked *hear_find(struct talk *t, int64_t id)
{
	struct asked *a;

	TAILQ_FOREACH(a, &t->asked, link)
		if (a->job->id == id)
			return a;
	return NULL;
}

static void hear_outcome(struct talk *t, struct asked *a, const json_t *line)
{
	struct dialect_outcome answer;
	struct jobq_job *job = a->job;
	const char *wrong = dialect_read_outcome(line, &answer);

	t->spoke = true;
	t->x->deaths = 0;
	exec_talk_forget(a);
	uint64_t most = (t->nasked + 1) * (uint64_t)t->x->conf.max_output;
	t->credit = t->credit < most ? t->credit : most; /* what one job did not use is not another's */
	if (wrong == NULL)
		jobq_end(job, &answer.o);
	else
		jobq_end_error(job, OUTCOME_RETRY, -1, "the program's answer %s", wrong);
	free(answer.result);
}

static void hear_about(struct talk *t, int64_t id, const json_t *line)
{
	const json_t *progress = json_object_get(line, "progress");
	struct asked *a = hear_find(t, id);

	if (a == NULL) {
		if (t->strays++ < STRAYS_SHOWN)
			log_warn("program %ld answers for job %" PRId64 ", which it does not have (any more)", (long)t->pid, id);
	} else if (json_object_get(line, "outcome") != NULL) {
		hear_outcome(t, a, line);
	} else {
		jobq_progress(a->job, json_number_value(progress), json_string_value(json_object_get(line, "note")));
	}
}

/* One line, without its end. Text that is not UTF-8 is mended, as it is only in what people read. */
static json_t *hear_parse(const char *line, size_t len)
{
	json_error_t error;
	json_t *in = json_loadb(line, len, JSON_ALLOW_NUL, &error);

	if (in == NULL && json_error_code(&error) == json_error_numeric_overflow)
		in = json_loadb(line, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
	if (in == NULL && !text_is_utf8(line, len)) {
		char *clean = text_clean_dup(line, len, 2 * len);
		in = json_loads(clean, 0, &error);
		free(clean);
	}
	return in;
}

static void hear_line(struct talk *t, const char *line, size_t len)
{
	char shown[LINE_SHOWN + 1];

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	if (len == 0)
		return;
	json_t *in = hear_parse(line, len);
	int64_t id = dialect_id(in);
	if (id >= 0 && (json_object_get(in, "outcome") != NULL || json_is_number(json_object_get(in, "progress")))) {
		hear_about(t, id, in);
	} else {
		(void)text_printable(shown, sizeof shown, line, len);
		exec_talk_doom(t, "wrote a line that is no outcome: %s", shown);
	}
	json_decref(in);
}

void exec_hear(void *arg, const char *data, size_t len)
{
	struct talk *t = arg;
	size_t most = t->x->conf.max_output, at = 0, from = t->in.len;

	if (len > t->credit) {
		exec_talk_doom(t, "wrote more than max_output (%zu bytes a job)", most);
		program_kill(t->program);
		return;
	}
	t->credit -= len;
	buf_add(&t->in, data, len);
	for (const char *end; (end = memchr(t->in.data + from, '\n', t->in.len - from)) != NULL; at = from) {
		from = (size_t)(end - t->in.data) + 1;
		hear_line(t, t->in.data + at, from - 1 - at);
	}
	buf_drop(&t->in, at);
	if (t->in.len > most) {
		exec_talk_doom(t, "wrote a line longer than max_output (%zu bytes)", most);
		buf_reset(&t->in);
	}
	exec_talk_settle(t);
}

void exec_hear_rest(struct talk *t)
{
	if (t->in.len > 0)
		hear_line(t, t->in.data, t->in.len);
	buf_reset(&t->in);
}
