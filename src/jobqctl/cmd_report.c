/*
 * jobqctl/cmd_report.c: `jobqctl report`: performance against the targets, use of limits, trends, decisions.
 *
 * One request to the master, which needs shared memory alone; when it does not answer, shared memory is read here and a line on stderr says so.
 */
#include "config.h"

#include <stdio.h>

#include "jobqctl/ctl.h"
#include "jobqctl/memory.h"
#include "jobqctl/report_text.h"
#include "jobqctl/screen.h"
#include "shm/report.h"

#define ANSWER_MS 2000

int cmd_report(struct ctl *ctl)
{
	struct buf text = {0};
	char err[512];
	json_t *doc = NULL;
	int code = ctl_words(ctl, 0, 0);

	if (code != CTL_OK)
		return code;
	ctl->client.timeout_ms = ANSWER_MS;
	enum client_result rc = client_call(&ctl->client, "report", json_incref(ctl->args.sent), &doc);
	if (rc == CLIENT_SILENT) {
		doc = memory_read(ctl, shm_report_json, err, sizeof err);
		if (doc == NULL)
			return ctl_fail(CTL_ERROR, "%s; %s", ctl->client.error, err);
		(void)ctl_fail(CTL_OK, "%s; this was read from shared memory", ctl->client.error);
	} else if (rc != CLIENT_OK) {
		return ctl_failed(ctl, rc);
	}
	if (ctl->args.json) {
		code = ctl_json(doc);
	} else {
		report_text(doc, screen_width(), screen_color(), &text);
		fputs(buf_str(&text), stdout);
		buf_free(&text);
		code = ctl_done();
	}
	json_decref(doc);
	return code;
}
