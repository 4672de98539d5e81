/*
 * jobqctl/status_processes.c: the processes of the status document: those in trouble first, then in their own order.
 *
 * Pure. On a node of many workers those that are simply ready share one line a queue, so that the screen stays a screen;
 * the document itself has each of them.
 */
#include "config.h"

#include "jobqctl/status_processes.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobqctl/doc.h"
#include "jobqctl/human.h"
#include "jobqctl/table.h"

#define EACH_MAX 16u /* with more processes, ready workers are grouped */

struct group { /* ready workers of one queue */
	const char *queue;
	json_int_t count, restarts, rss;
	double uptime;
};

static int rank(const json_t *process)
{
	static const char *const order[] = {"crash-loop", "dead", "starting", "draining"};
	const char *state = doc_text(process, "state");

	for (int i = 0; i < (int)(sizeof order / sizeof *order); i++)
		if (strcmp(state, order[i]) == 0)
			return i;
	return (int)(sizeof order / sizeof *order);
}

static bool plain_worker(const json_t *process)
{
	return strcmp(doc_text(process, "role"), "worker") == 0 && strcmp(doc_text(process, "state"), "ready") == 0;
}

static void last_exit(struct table *table, const json_t *process)
{
	json_int_t signal = doc_int(process, "last_exit.signal");
	const char *doing = doc_text(process, "last_exit.doing"), *name = signal > 0 && signal < 65 ? sigabbrev_np((int)signal) : NULL;
	char how[64];

	if (doc_null(process, "last_exit"))
		return;
	if (signal > 0)
		(void)snprintf(how, sizeof how, "signal %lld%s%s%s", (long long)signal, name != NULL ? " (" : "", name != NULL ? name : "",
			name != NULL ? ")" : "");
	else
		(void)snprintf(how, sizeof how, "exit code %lld", (long long)doc_int(process, "last_exit.code"));
	char *text = xasprintf("%s, %s%s%s", doc_text(process, "last_exit.at"), how, doing[0] != '\0' ? ", doing: " : "", doing);
	table_note(table, "last exit ", text, rank(process) < 2 ? TABLE_BAD : TABLE_DIM);
	free(text);
}

static void numbers(struct table *table, json_int_t pid, const char *state, double uptime, json_int_t rss, json_int_t restarts)
{
	char text[HUMAN_MAX];
	bool bad = strcmp(state, "crash-loop") == 0 || strcmp(state, "dead") == 0;

	(void)snprintf(text, sizeof text, "%lld", (long long)pid);
	table_cell(table, pid > 0 ? text : "-", TABLE_PLAIN);
	table_cell(table, state, bad ? TABLE_BAD : strcmp(state, "ready") == 0 ? TABLE_PLAIN : TABLE_WARN);
	table_cell(table, human_age(text, uptime), TABLE_PLAIN);
	table_cell(table, human_bytes(text, rss), TABLE_PLAIN);
	table_cell(table, human_count(text, restarts), TABLE_PLAIN);
}

static void row(struct table *table, const json_t *process)
{
	const char *role = doc_text(process, "role"), *queue = doc_text(process, "queue");
	char *name = queue[0] != '\0' ? xasprintf("%s %s/%lld", role, queue, (long long)doc_int(process, "slot")) : xstrdup(role);

	table_cell(table, name, TABLE_PLAIN);
	numbers(table, doc_int(process, "pid"), doc_text(process, "state"), doc_number(process, "uptime_s"), doc_int(process, "rss_bytes"),
		doc_int(process, "restarts"));
	table_cell(table, doc_text(process, "doing"), TABLE_DIM);
	last_exit(table, process);
	free(name);
}

static void group_rows(struct table *table, const json_t *list)
{
	struct group *groups = xcalloc(json_array_size(list) + 1, sizeof *groups);
	const json_t *process;
	size_t n = 0, i, g;

	json_array_foreach(list, i, process) {
		if (!plain_worker(process))
			continue;
		const char *queue = doc_text(process, "queue");
		for (g = 0; g < n && strcmp(groups[g].queue, queue) != 0; g++)
			;
		if (g == n)
			groups[n++].queue = queue;
		groups[g].count++;
		groups[g].restarts += doc_int(process, "restarts");
		groups[g].rss += doc_int(process, "rss_bytes");
		if (doc_number(process, "uptime_s") > groups[g].uptime)
			groups[g].uptime = doc_number(process, "uptime_s");
	}
	for (g = 0; g < n; g++) {
		char *name = xasprintf("%lld workers %s", (long long)groups[g].count, groups[g].queue);
		table_cell(table, name, TABLE_PLAIN);
		numbers(table, 0, "ready", groups[g].uptime, groups[g].rss, groups[g].restarts);
		table_cell(table, "", TABLE_PLAIN);
		free(name);
	}
	free(groups);
}

void status_processes(const json_t *doc, size_t width, bool color, struct buf *out)
{
	static const struct table_column columns[] = {
		{"PROCESS", false, 12}, {"PID", true, 0}, {"STATE", false, 0}, {"UP", true, 0}, {"MEMORY", true, 0}, {"RESTARTS", true, 0},
		{"DOING", false, 6},
	};
	const json_t *list = doc_at(doc, "processes"), *process;
	bool group = json_array_size(list) > EACH_MAX;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	struct table *table = table_new(columns, sizeof columns / sizeof *columns);
	for (int r = 0; r <= 4; r++)
		json_array_foreach(list, i, process)
			if (rank(process) == r && !(group && plain_worker(process)))
				row(table, process);
	if (group)
		group_rows(table, list);
	buf_putc(out, '\n');
	table_render(table, out, width, color);
	table_free(table);
}
