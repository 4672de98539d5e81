/*
 * jobqctl/cmd_jobs.c: looking at jobs: jobs, job, held, why.
 *
 * Each is one request. Text fits the terminal, and 80 columns where there is none; only columns that were asked for by name
 * (-o) reach a pipe uncut. --json prints the daemon's document as it is.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "jobqctl/ctl.h"
#include "jobqctl/doc.h"
#include "jobqctl/job_text.h"
#include "jobqctl/screen.h"

static int print(struct buf *text)
{
	fputs(buf_str(text), stdout);
	buf_free(text);
	return ctl_done();
}

static int list(struct ctl *ctl, const char *columns, bool whole, const char *nothing)
{
	struct buf text = {0};
	char err[512];
	json_t *result;

	if (!ctl->args.json && job_table(NULL, columns, 0, 0, false, &text, err, sizeof err) != 0)
		return ctl_fail(CTL_USAGE, "%s", err); /* before anything is asked */
	buf_reset(&text);
	int code = ctl_call(ctl, json_incref(ctl->args.sent), &result);
	if (code == CTL_OK && ctl->args.json) {
		code = ctl_json(result);
		json_decref(result);
	} else if (code == CTL_OK) {
		const json_t *jobs = doc_at(result, "jobs");
		size_t width = whole && !screen_is_tty() ? 0 : screen_width();
		if (json_array_size(jobs) == 0)
			fprintf(stderr, "%s\n", nothing);
		else if (job_table(jobs, columns, clock_real_us(), width, screen_color(), &text, err, sizeof err) != 0)
			code = ctl_fail(CTL_USAGE, "%s", err);
		json_decref(result);
		if (code == CTL_OK)
			return print(&text);
	}
	buf_free(&text);
	return code;
}

int cmd_jobs(struct ctl *ctl)
{
	const char *columns = args_value(&ctl->args, "columns");
	int code = ctl_words(ctl, 0, 0);

	return code != CTL_OK ? code : list(ctl, columns != NULL ? columns : JOB_COLUMNS, columns != NULL, "no job matches");
}

int cmd_held(struct ctl *ctl)
{
	int code = ctl_words(ctl, 0, 1);

	if (code != CTL_OK)
		return code;
	if (ctl->args.nwords == 1 && json_object_set_new(ctl->args.sent, "queue", json_string(ctl->args.words[0])) != 0)
		return ctl_fail(CTL_USAGE, "the queue's name is not UTF-8");
	return list(ctl, "id,queue,tenant_id,try,age,error_message", false, "no job is held");
}

/* Asks, and renders the one document. */
static int show(struct ctl *ctl, void (*render)(json_t *doc, size_t width, bool color, struct buf *out))
{
	struct buf text = {0};
	json_t *result;
	int code = ctl_call(ctl, json_incref(ctl->args.sent), &result);

	if (code != CTL_OK)
		return code;
	if (ctl->args.json) {
		code = ctl_json(result);
	} else {
		render(result, screen_width(), screen_color(), &text);
		code = print(&text);
	}
	json_decref(result);
	return code;
}

int cmd_job(struct ctl *ctl)
{
	int code = ctl_words(ctl, 1, 1);

	if (code != CTL_OK)
		return code;
	if (!ctl_is_id(ctl->args.words[0]))
		return ctl_fail(CTL_USAGE, "\"%s\" is not the id of a job", ctl->args.words[0]);
	if (json_object_set_new(ctl->args.sent, "id", json_string(ctl->args.words[0])) != 0)
		return ctl_fail(CTL_ERROR, "out of memory");
	return show(ctl, job_fields);
}

int cmd_why(struct ctl *ctl)
{
	int code = ctl_words(ctl, 1, 1);

	if (code != CTL_OK)
		return code;
	if (json_object_set_new(ctl->args.sent, ctl_is_id(ctl->args.words[0]) ? "id" : "queue", json_string(ctl->args.words[0])) != 0)
		return ctl_fail(CTL_USAGE, "neither an id nor a queue's name");
	return show(ctl, job_why);
}
