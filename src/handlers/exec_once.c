/*
 * handlers/exec_once.c: one program for one job (mode once).
 *
 * Runs in a worker. Owns one `struct once` a program, which may outlive its job: one that is stopped ends at once for the
 * queue, and the program when it heeds SIGTERM. The payload is its input. Exit code 0 is done, and JSON on its output the result;
 * 75 (EX_TEMPFAIL) asks for another try; any other fails, with the last line of stderr. A program that a signal ended
 * said nothing, so its job is tried again.
 */
#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "handlers/exec.h"

struct once {
	struct exec *x;
	struct jobq_job *job; /* NULL: it has ended */
	struct program *program;
	struct buf out;
	bool fed, flood, cancelled;
	int64_t begun_ns;
};

static void once_room(void *arg, struct buf *out)
{
	struct once *o = arg;

	if (!o->fed && o->job != NULL)
		buf_add(out, o->job->payload, o->job->payload_len);
	o->fed = true;
	program_close_input(o->program);
}

static void once_output(void *arg, const char *data, size_t len)
{
	struct once *o = arg;

	if (o->flood)
		return;
	if (len <= o->x->conf.max_output - o->out.len) {
		buf_add(&o->out, data, len);
		return;
	}
	o->flood = true;
	log_warn("program %ld wrote more than max_output; killed", (long)program_pid(o->program));
	program_kill(o->program);
}

/* Done. What it wrote is the result, if it is JSON. */
static void once_done(struct once *o)
{
	struct jobq_outcome outcome = {.kind = OUTCOME_DONE, .after_ns = -1};
	json_t *result = json_loadb(o->out.data, o->out.len, JSON_DECODE_ANY, NULL);
	char *text = result == NULL ? NULL : json_dumps(result, JSON_ENCODE_ANY | JSON_COMPACT);

	outcome.result = text;
	outcome.result_len = text == NULL ? 0 : strlen(text);
	jobq_end(o->job, &outcome);
	free(text);
	json_decref(result);
}

static void once_judge(struct once *o, const struct program_end *end)
{
	char why[1600];
	bool last = end->started && *end->last != '\0';
	int n = snprintf(why, sizeof why, "the program %s%s%s", end->text, last ? ": " : "", end->last);

	if (n < 0)
		why[0] = '\0';
	if (!end->started)
		exec_unstarted(o->x, o->job, end->text);
	else if (o->flood)
		jobq_end_error(o->job, OUTCOME_RETRY, -1, "the program wrote more than max_output (%zu bytes)", o->x->conf.max_output);
	else if (end->code == 0)
		once_done(o);
	else if (o->cancelled)
		exec_end(o->job, OUTCOME_CANCELLED, "cancelled while its program ran");
	else if (end->code < 0)
		exec_end(o->job, OUTCOME_RETRY, why);
	else
		exec_end(o->job, end->code == EX_TEMPFAIL ? OUTCOME_RETRY : OUTCOME_FAIL, last ? end->last : why);
}

static void once_gone(void *arg, const struct program_end *end)
{
	struct once *o = arg;

	if (o->job != NULL)
		once_judge(o, end);
	buf_free(&o->out);
	free(o);
}

static const struct program_calls once_calls = {.room = once_room, .output = once_output, .gone = once_gone};

void exec_once_go(struct exec *x, struct jobq_job *job)
{
	char err[512];
	struct once *o = xcalloc(1, sizeof *o);

	*o = (struct once){.x = x, .job = job, .begun_ns = clock_mono_ns()};
	job->data = o;
	o->program = program_start(x, &once_calls, o, err, sizeof err);
	if (o->program != NULL)
		return;
	free(o);
	exec_unstarted(x, job, err);
}

void exec_once_stop(struct jobq_job *job, enum jobq_stop why)
{
	struct once *o = job->data;

	program_end(o->program);
	o->cancelled = why == JOBQ_STOP_CANCEL;
	if (o->cancelled)
		return; /* its end decides */
	o->job = NULL;
	jobq_end_error(job, OUTCOME_RETRY, -1, "stopped after %.1f s: it ran over its time",
		(double)(clock_mono_ns() - o->begun_ns) / (double)NS_PER_S);
}
