/*
 * tests/unit/child_dummy.c: a dispatcher and workers that do nothing but keep the child contract, for jobqd_dummy.
 *
 * Linked in place of the real ones, so the master can be tried without a database. What they do wrong is asked for through
 * DUMMY_WORKER and DUMMY_DISPATCHER: "exit:CODE" at once, "crash" (SIGSEGV) at once, "slow:MS" before ready, "stubborn" (TERM
 * is ignored), "hold" (a job stands in the slot), "work" (says at once that it has worked). The dispatcher answers commands
 * with their arguments; "mute" answers none. "@FILE": as the first line of that file says at the fork.
 * An argument "kill" of a command names a slot whose process the master is to kill; "uncounted" one whose death counts not.
 */
#include "config.h"

#include <event2/event.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "jobq/child.h"
#include "jobq/exit.h"
#include "jobq/shm.h"
#include "master/lines.h"
#include "shm/cell.h"
#include "shm/held.h"
#include "shm/seg.h"

struct dummy {
	struct child *child;
	const char *mood;
	struct lines lines;
	struct event *events[6];
	size_t nevents;
};

static void leave(evutil_socket_t fd, short what, void *arg)
{
	struct dummy *d = arg;

	(void)what;
	atomic_store(&d->child->slot->state, PROC_DRAINING);
	if (fd == SIGTERM && strcmp(d->mood, "stubborn") == 0)
		return;
	(void)event_base_loopbreak(d->child->base);
}

static void beat(evutil_socket_t fd, short what, void *arg)
{
	struct dummy *d = arg;

	(void)fd;
	(void)what;
	atomic_store(&d->child->slot->beat_mono_ns, clock_mono_ns());
}

static void reopen(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	(void)log_reopen();
}

static void post(struct dummy *d, const json_t *args)
{
	const json_t *kill = json_object_get(args, "kill"), *uncounted = json_object_get(args, "uncounted");
	uint32_t index = (uint32_t)json_integer_value(kill != NULL ? kill : uncounted);
	struct shm_slot *slot = shm_slot_at(d->child->shm, index);
	uint32_t generation = slot != NULL ? atomic_load(&slot->generation) : 0;

	if (kill != NULL && slot != NULL) {
		shm_cell_set(&slot->kill_reason, "a test wants it");
		atomic_store(&slot->kill_generation, generation);
	} else if (uncounted != NULL && dprintf(d->child->control, "{\"event\":\"uncounted\",\"slot\":%u,\"generation\":%u}\n", index, generation) < 0) {
		log_error("cannot tell");
	}
}

static void answer(struct dummy *d, const char *line, size_t len)
{
	json_t *message = json_loadb(line, len, 0, NULL);
	json_t *reply = json_pack("{s:O*, s:b, s:O*}", "req", json_object_get(message, "req"), "ok", 1, "result", message);
	char *text = json_dumps(reply, JSON_COMPACT);

	post(d, json_object_get(message, "args"));
	if (json_object_get(message, "event") != NULL)
		shm_cell_set(&d->child->slot->doing, json_string_value(json_object_get(message, "event")));
	else if (strcmp(d->mood, "mute") != 0 && (!io_write_all(d->child->control, text, strlen(text)) || !io_write_all(d->child->control, "\n", 1)))
		log_error("cannot answer");
	free(text);
	json_decref(reply);
	json_decref(message);
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct dummy *d = arg;
	size_t len;

	(void)what;
	buf_reserve(&d->lines.in, 65536);
	ssize_t n = read(fd, d->lines.in.data + d->lines.in.len, 65536);
	if (n > 0)
		d->lines.in.len += (size_t)n;
	for (const char *line; (line = master_lines_next(&d->lines, &len)) != NULL; master_lines_take(&d->lines, len))
		answer(d, line, len);
}

static void watch(struct dummy *d, evutil_socket_t fd, short what, event_callback_fn function, const struct timeval *tv)
{
	struct event *event = event_new(d->child->base, fd, what | EV_PERSIST, function, d);

	if (event == NULL || event_add(event, tv) != 0)
		_exit(JOBQ_EXIT_INTERNAL);
	d->events[d->nevents++] = event;
}

static int misbehave(const struct dummy *d)
{
	if (strncmp(d->mood, "exit:", 5) == 0)
		return atoi(d->mood + 5);
	if (strcmp(d->mood, "crash") == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		(void)raise(SIGSEGV);
	}
	if (strncmp(d->mood, "slow:", 5) == 0)
		(void)usleep((useconds_t)atoi(d->mood + 5) * 1000);
	return -1;
}

/* the mood itself, or the first line of the file that it names; for the life of the process */
static const char *resolve(const char *mood)
{
	static struct buf text;

	if (mood == NULL)
		return "";
	if (mood[0] != '@')
		return mood;
	if (io_read_file(mood + 1, 4096, &text) != 0)
		return "";
	buf_putc(&text, '\0');
	char *line = text.data;
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static int run(struct child *child, const char *mood)
{
	static const struct timeval second = {.tv_sec = 0, .tv_usec = 500000};
	struct dummy d = {.child = child, .mood = resolve(mood)};
	uint32_t hint = 0;
	int code = misbehave(&d);

	if (code >= 0)
		return code;
	watch(&d, SIGTERM, EV_SIGNAL, leave, NULL);
	watch(&d, SIGQUIT, EV_SIGNAL, leave, NULL);
	watch(&d, SIGUSR1, EV_SIGNAL, reopen, NULL);
	watch(&d, child->lifeline, EV_READ, leave, NULL);
	watch(&d, -1, 0, beat, &second);
	if (child->control >= 0 && io_set_nonblock(child->control, false) == 0)
		watch(&d, child->control, EV_READ, on_control, NULL);
	if (strcmp(d.mood, "hold") == 0)
		(void)shm_held_add(child->slot, &hint, 4711, 1, false);
	if (strcmp(d.mood, "work") == 0)
		atomic_store(&child->slot->worked, 1);
	atomic_store(&child->slot->state, PROC_READY);
	if (event_base_dispatch(child->base) < 0)
		code = JOBQ_EXIT_INTERNAL;
	for (size_t i = 0; i < d.nevents; i++)
		event_free(d.events[i]);
	master_lines_free(&d.lines);
	return code < 0 ? JOBQ_EXIT_OK : code;
}

int dispatcher_main(struct child *child)
{
	return run(child, getenv("DUMMY_DISPATCHER"));
}

int worker_main(struct child *child)
{
	return run(child, getenv("DUMMY_WORKER"));
}
