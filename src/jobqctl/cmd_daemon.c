/*
 * jobqctl/cmd_daemon.c: the commands about the daemon itself: ping, version, reload, stop, pause, resume, config.
 *
 * Each sends one request and prints the answer. `stop --wait` follows the master by its pid descriptor, which cannot be
 * fooled by a recycled pid, and where there is none by its socket.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "jobqctl/ctl.h"
#include "jobqctl/doc.h"
#include "jobqctl/human.h"
#include "jobqctl/screen.h"
#include "jobqctl/table.h"

/* Sends ctl->args.sent. */
static int call(struct ctl *ctl, json_t **result)
{
	return ctl_call(ctl, json_incref(ctl->args.sent), result);
}

int cmd_ping(struct ctl *ctl)
{
	char up[HUMAN_MAX];
	json_t *result;
	int code = ctl_words(ctl, 0, 0);

	if (code != CTL_OK || (code = call(ctl, &result)) != CTL_OK)
		return code;
	if (ctl->args.json) {
		code = ctl_json(result);
	} else {
		struct buf node = {0};
		table_paragraph(&node, 0, "node ", doc_text(result, "node"), 0, 1, TABLE_PLAIN, false);
		printf("jobqd is alive: pid %lld, up %s, %s", (long long)doc_int(result, "pid"), human_age(up, doc_number(result, "uptime_s")),
			buf_str(&node));
		buf_free(&node);
		code = ctl_done();
	}
	json_decref(result);
	return code;
}

int cmd_version(struct ctl *ctl)
{
	json_t *result;
	const char *name;
	json_t *version;
	int code = ctl_words(ctl, 0, 0);

	if (code != CTL_OK)
		return code;
	if (!ctl->args.json)
		printf("jobqctl %s\n", PACKAGE_VERSION);
	if ((code = call(ctl, &result)) != CTL_OK)
		return code;
	if (ctl->args.json) {
		code = ctl_json(result);
	} else {
		printf("jobqd %s\n", doc_text(result, "version"));
		if (doc_null(result, "schema"))
			printf("schema unknown (the database is away); this jobqd is made for %lld\n", (long long)doc_int(result, "schema_wanted"));
		else
			printf("schema %lld (this jobqd is made for %lld)\n", (long long)doc_int(result, "schema"),
				(long long)doc_int(result, "schema_wanted"));
		json_object_foreach(json_object_get(result, "libraries"), name, version)
			printf("%s %s\n", name, json_is_string(version) ? json_string_value(version) : "?");
		code = ctl_done();
	}
	json_decref(result);
	return code;
}

int cmd_reload(struct ctl *ctl)
{
	json_t *result;
	int code = ctl_words(ctl, 0, 0);

	if (code != CTL_OK || (code = call(ctl, &result)) != CTL_OK)
		return code;
	if (ctl->args.json) {
		code = ctl_json(result);
	} else {
		printf(json_is_false(doc_at(result, "changed")) ? "nothing has changed; configuration generation %lld stays\n"
			: "configuration generation %lld is in force\n", (long long)doc_int(result, "generation"));
		code = ctl_done();
	}
	json_decref(result);
	return code;
}

/* Has the daemon at the end of this pid descriptor (-1: none) or socket gone? Waits for at most ms. */
static bool gone(struct ctl *ctl, int pidfd, int ms)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

	if (poll(&pfd, 1, ms) < 0 && errno != EINTR)
		return false;
	if (pidfd >= 0)
		return pfd.revents != 0;
	int fd = io_unix_connect(ctl->socket);
	if (fd >= 0)
		(void)close(fd);
	return fd < 0 && (errno == ENOENT || errno == ECONNREFUSED);
}

static int wait_until_gone(struct ctl *ctl, pid_t pid, const char *duration)
{
	int64_t wait_ns = 0, deadline;
	bool stopped = false;

	(void)units_duration(duration, &wait_ns); /* args.c has checked it */
	deadline = clock_mono_ns() + wait_ns;
	int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
	if (pidfd < 0 && pid > 0 && errno == ESRCH)
		return CTL_OK;
	while (!stopped && clock_mono_ns() < deadline)
		stopped = gone(ctl, pidfd, 50);
	if (pidfd >= 0)
		(void)close(pidfd);
	return stopped ? CTL_OK
		: ctl_fail(CTL_ERROR, "jobqd (pid %ld) is still stopping after %s; jobqctl stop --now ends it at once", (long)pid, duration);
}

int cmd_stop(struct ctl *ctl)
{
	const char *wait = args_value(&ctl->args, "wait");
	json_t *result;
	int code = ctl_words(ctl, 0, 0);

	if (code != CTL_OK || (code = call(ctl, &result)) != CTL_OK)
		return code;
	pid_t pid = (pid_t)doc_int(result, "pid");
	client_close(&ctl->client); /* an open connection must not be what a stop waits for */
	if (!ctl->args.json && wait == NULL)
		printf("jobqd (pid %ld) is stopping\n", (long)pid);
	if (wait != NULL)
		code = wait_until_gone(ctl, pid, wait);
	if (code == CTL_OK && ctl->args.json)
		code = ctl_json(result);
	else if (code == CTL_OK && wait != NULL)
		printf("jobqd (pid %ld) has stopped\n", (long)pid);
	json_decref(result);
	return code == CTL_OK ? ctl_done() : code;
}

static int pause_or_resume(struct ctl *ctl, const char *done)
{
	json_t *result;
	const char *tenant = args_value(&ctl->args, "tenant");
	int code = ctl_words(ctl, 1, 1);

	if (code != CTL_OK)
		return code;
	if (json_object_set_new(ctl->args.sent, "queue", json_string(ctl->args.words[0])) != 0)
		return ctl_fail(CTL_USAGE, "the queue's name is not UTF-8");
	if ((code = call(ctl, &result)) != CTL_OK)
		return code;
	if (ctl->args.json) {
		code = ctl_json(result);
	} else {
		printf("%s%s%s %s%s\n", ctl->args.words[0], tenant != NULL ? ", tenant " : "", tenant != NULL ? tenant : "", done,
			doc_true(result, "stored") ? "" : " on this node; the database is away, so the other nodes learn it later");
		code = ctl_done();
	}
	json_decref(result);
	return code;
}

int cmd_pause(struct ctl *ctl)
{
	return pause_or_resume(ctl, "is paused");
}

int cmd_resume(struct ctl *ctl)
{
	return pause_or_resume(ctl, "goes on");
}

static void print_config(const json_t *list)
{
	static const struct table_column columns[] = {{"KEY", false, 20}, {"VALUE", false, 10}, {"ORIGIN", false, 10}};
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	struct buf text = {0};
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		table_cell(table, doc_text(one, "key"), TABLE_PLAIN);
		table_cell(table, doc_text(one, "value"), TABLE_PLAIN);
		table_cell(table, doc_text(one, "origin"), TABLE_DIM);
	}
	/* a pipe gets every byte: a value cut short is no value */
	table_render(table, &text, screen_is_tty() ? screen_width() : 0, screen_color());
	fputs(buf_str(&text), stdout);
	buf_free(&text);
	table_free(table);
}

/* The daemon knows no such key: say which one may have been meant. */
static int no_key(struct ctl *ctl, const char *key)
{
	json_t *list;
	char *no = xstrdup(ctl->client.error);

	if (client_call(&ctl->client, "config", NULL, &list) == CLIENT_OK) {
		size_t n = json_array_size(list);
		const char **names = xcalloc(n + 1, sizeof *names);
		for (size_t i = 0; i < n; i++)
			names[i] = doc_text(json_array_get(list, i), "key");
		int near = text_nearest(key, names, n);
		(void)ctl_fail(CTL_ERROR, "%s%s%s%s", no, near >= 0 ? "; did you mean " : "", near >= 0 ? names[near] : "", near >= 0 ? "?" : "");
		free(names);
		json_decref(list);
	} else {
		(void)ctl_fail(CTL_ERROR, "%s", no);
	}
	free(no);
	return CTL_ERROR;
}

int cmd_config(struct ctl *ctl)
{
	json_t *result;
	int code = ctl_words(ctl, 0, 1);

	if (code != CTL_OK)
		return code;
	if (ctl->args.nwords == 1 && json_object_set_new(ctl->args.sent, "key", json_string(ctl->args.words[0])) != 0)
		return ctl_fail(CTL_USAGE, "the key is not UTF-8");
	enum client_result rc = client_call(&ctl->client, "config", json_incref(ctl->args.sent), &result);
	if (rc == CLIENT_ERROR && ctl->args.nwords == 1 && strcmp(ctl->client.code, "not_found") == 0)
		return no_key(ctl, ctl->args.words[0]);
	if (rc != CLIENT_OK)
		return ctl_failed(ctl, rc);
	if (ctl->args.json) {
		code = ctl_json(result);
	} else {
		print_config(result);
		code = ctl_done();
	}
	json_decref(result);
	return code;
}
