/*
 * jobqctl/cmd_status.c: `jobqctl status`: asks the master; when it does not answer, reads shared memory itself.
 *
 * The document is the same either way (shm/status.h makes it); the fallback maps the segment read-only and says on stderr, or on
 * the watched screen, that it did. A daemon that is not there has no status: exit 3. --watch draws again every second;
 * what cannot be had in between is shown in place of the document, and asked for again.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "jobqctl/ctl.h"
#include "jobqctl/memory.h"
#include "jobqctl/screen.h"
#include "jobqctl/status_text.h"
#include "shm/status.h"

#define ANSWER_MS 2000
#define WIDTH_MAX 80u

struct view {
	json_t *doc;  /* NULL: there is none, and why says so */
	char *why;    /* what went wrong, or NULL */
	enum client_result result;
};

static struct view look(struct ctl *ctl)
{
	struct view view = {0};
	char err[512];

	view.result = client_call(&ctl->client, "status", NULL, &view.doc);
	if (view.result == CLIENT_SILENT) {
		view.doc = memory_read(ctl, shm_status_json, err, sizeof err);
		view.why = view.doc != NULL ? xasprintf("%s; this was read from shared memory", ctl->client.error)
			: xasprintf("%s; %s", ctl->client.error, err);
	} else if (view.result != CLIENT_OK) {
		view.why = xstrdup(ctl->client.error);
	}
	return view;
}

static void forget(struct view *view)
{
	json_decref(view->doc);
	free(view->why);
}

static size_t width(void)
{
	size_t columns = screen_width();

	return columns < WIDTH_MAX ? columns : WIDTH_MAX;
}

static int print(struct ctl *ctl, const struct view *view)
{
	struct buf text = {0};

	if (view->doc == NULL) {
		if (view->result != CLIENT_SILENT)
			return ctl_failed(ctl, view->result);
		return ctl_fail(CTL_ERROR, "%s", view->why);
	}
	if (view->why != NULL)
		(void)ctl_fail(CTL_OK, "%s", view->why);
	if (ctl->args.json)
		return ctl_json(view->doc);
	status_text_render(view->doc, NULL, width(), screen_color(), &text);
	fputs(buf_str(&text), stdout);
	buf_free(&text);
	return ctl_done();
}

static int once(struct ctl *ctl)
{
	struct view view = look(ctl);
	int code = print(ctl, &view);

	forget(&view);
	return code;
}

/* not a terminal: one after the other, until something fails or the reader leaves */
static int repeat(struct ctl *ctl)
{
	const struct timespec second = {.tv_sec = 1};
	int code;

	while ((code = once(ctl)) == CTL_OK) {
		if (!ctl->args.json && fputc('\n', stdout) == EOF)
			return CTL_ERROR;
		(void)nanosleep(&second, NULL); /* cut short by a signal: draw earlier */
	}
	return code;
}

static int draw(struct ctl *ctl)
{
	struct view view = look(ctl);
	struct buf text = {0};
	int rc;

	if (view.doc != NULL)
		status_text_render(view.doc, view.why, width(), screen_color(), &text);
	else
		buf_printf(&text, "jobqctl: %s\n", view.why);
	rc = screen_draw(buf_str(&text));
	buf_free(&text);
	forget(&view);
	return rc;
}

int cmd_status(struct ctl *ctl)
{
	int code = ctl_words(ctl, 0, 0);

	if (code != CTL_OK)
		return code;
	ctl->client.timeout_ms = ANSWER_MS;
	if (args_value(&ctl->args, "watch") == NULL)
		return once(ctl);
	if (!screen_is_tty() || ctl->args.json)
		return repeat(ctl);
	if (screen_begin() != 0)
		return ctl_fail(CTL_ERROR, "cannot watch: the terminal cannot be set up");
	bool gone;
	do
		gone = draw(ctl) != 0;
	while (!gone && screen_wait(1000));
	screen_end();
	return gone ? CTL_ERROR : CTL_OK;
}
