/*
 * jobqctl/cmd_metrics.c: `jobqctl metrics`: counts by queue, who exceeded limits, and counting anew.
 *
 * One request to the dispatcher. When it cannot answer, the queues' part is read from shared memory and a line on stderr says that
 * it was; who exceeded limits is then not known (null). A reset is a request of its own, for it needs more rights.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "jobqctl/ctl.h"
#include "jobqctl/memory.h"
#include "jobqctl/metrics_text.h"
#include "jobqctl/screen.h"
#include "shm/metrics.h"

#define ANSWER_MS 4000 /* the master itself gives up on the dispatcher after two seconds */

static json_t *from_segment(const struct shm *shm)
{
	return shm_metrics_json(shm, NULL);
}

static bool away(const struct ctl *ctl, enum client_result rc)
{
	return rc == CLIENT_SILENT || (rc == CLIENT_ERROR && strcmp(ctl->client.code, "database_away") == 0);
}

static int show(const struct ctl *ctl, json_t *doc, bool tenant)
{
	struct buf text = {0};

	if (ctl->args.json)
		return ctl_json(doc);
	if (tenant)
		metrics_text_tenant(doc, screen_width(), screen_color(), &text);
	else
		metrics_text(doc, screen_width(), screen_color(), &text);
	fputs(buf_str(&text), stdout);
	buf_free(&text);
	return ctl_done();
}

static int metrics(struct ctl *ctl)
{
	bool tenant = json_object_get(ctl->args.sent, "tenant") != NULL;
	char err[512];
	json_t *doc = NULL;
	enum client_result rc = client_call(&ctl->client, "metrics", json_incref(ctl->args.sent), &doc);

	if (away(ctl, rc) && !tenant) {
		doc = memory_read(ctl, from_segment, err, sizeof err);
		if (doc == NULL)
			return ctl_fail(CTL_ERROR, "%s; %s", ctl->client.error, err);
		(void)ctl_fail(CTL_OK, "%s; this was read from shared memory, without tenants", ctl->client.error);
	} else if (rc != CLIENT_OK) {
		return ctl_failed(ctl, rc);
	}
	int code = show(ctl, doc, tenant);
	json_decref(doc);
	return code;
}

static int reset(struct ctl *ctl)
{
	const char *queue = ctl->args.nwords == 1 ? ctl->args.words[0] : NULL, *tenant = args_value(&ctl->args, "tenant");
	json_t *doc;

	if (queue != NULL && json_object_set_new(ctl->args.sent, "queue", json_string(queue)) != 0)
		return ctl_fail(CTL_USAGE, "the queue's name is not UTF-8");
	enum client_result rc = client_call(&ctl->client, "metrics-reset", json_incref(ctl->args.sent), &doc);
	if (rc != CLIENT_OK)
		return ctl_failed(ctl, rc);
	int code = CTL_OK;
	if (ctl->args.json)
		code = ctl_json(doc);
	else
		printf("counted from now%s%s%s%s\n", queue != NULL ? ": queue " : "", queue != NULL ? queue : "",
			tenant != NULL ? queue != NULL ? ", exceeded limits of the one tenant" : ": exceeded limits of the one tenant" : "",
			queue == NULL && tenant == NULL ? ": all queues and tenants" : "");
	json_decref(doc);
	return code == CTL_OK ? ctl_done() : code;
}

int cmd_metrics(struct ctl *ctl)
{
	bool again = args_value(&ctl->args, "reset") != NULL;
	int code = ctl_words(ctl, 0, again ? 1 : 0);

	if (code != CTL_OK)
		return code;
	ctl->client.timeout_ms = ANSWER_MS;
	return again ? reset(ctl) : metrics(ctl);
}
