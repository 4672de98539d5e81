/*
 * master/forward.c: requests of the control socket that the dispatcher answers.
 *
 * Runs in the master and never waits: a request gets an id, goes over the socketpair, and its client hears the answer, or
 * after 2 s that the database is away. While no dispatcher lives (it is being restarted or rolled) requests wait for the next
 * one within the same 2 s; those that were sent to one that died are answered at once: whether they took effect is not
 * known, and repeating an enqueue unasked would be wrong. An answer that comes too late is dropped.
 */
#include "config.h"

#include "master/forward.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "master/control.h"
#include "master/link.h"
#include "master/master.h"
#include "shm/cell.h"
#include "shm/seg.h"

#define TIMEOUT_NS (2 * NS_PER_S)

struct forward {
	TAILQ_ENTRY(forward) link;
	uint64_t id;
	int64_t deadline_ns;
	json_t *message; /* NULL: it was sent */
};
TAILQ_HEAD(forward_list, forward);

/* in order of their deadlines; this process has one list */
static struct forward_list forwards = TAILQ_HEAD_INITIALIZER(forwards);
static uint64_t last_id;

static void forward_free(struct forward *f)
{
	TAILQ_REMOVE(&forwards, f, link);
	json_decref(f->message);
	free(f);
}

static bool forward_send(struct master *m, struct forward *f)
{
	if (!master_link_send(m, f->message))
		return false;
	json_decref(f->message);
	f->message = NULL;
	return true;
}

void master_forward(struct master *m, struct control_client *c, const char *verb, json_t *args)
{
	const struct master_peer *peer = master_control_peer(c);
	json_t *message = json_pack("{s:I, s:s, s:O, s:{s:I, s:s}}", "req", (json_int_t)(last_id + 1), "cmd", verb, "args", args,
	                            "peer", "uid", (json_int_t)peer->uid, "user", peer->name);

	if (message == NULL) {
		master_control_error(c, "error", "the request cannot be passed on");
		return;
	}
	struct forward *f = xcalloc(1, sizeof *f);
	f->id = ++last_id;
	f->deadline_ns = clock_mono_ns() + TIMEOUT_NS;
	f->message = message;
	TAILQ_INSERT_TAIL(&forwards, f, link);
	master_control_later(c, f->id);
	(void)forward_send(m, f); /* else it waits for the next dispatcher, or its deadline */
}

void master_forward_reply(struct master *m, json_t *reply)
{
	const json_t *req = json_object_get(reply, "req");
	uint64_t id = json_is_integer(req) && json_integer_value(req) > 0 ? (uint64_t)json_integer_value(req) : 0;
	struct forward *f;

	TAILQ_FOREACH(f, &forwards, link)
		if (f->id == id)
			break;
	if (f == NULL) {
		log_debug("an answer of the dispatcher to request %llu came too late", (unsigned long long)id);
		return;
	}
	forward_free(f);
	struct control_client *c = master_control_waiting(m, id);
	(void)json_object_del(reply, "req");
	if (c != NULL)
		master_control_reply(c, reply);
}

static void away(struct master *m, uint64_t id, bool sent)
{
	char error[SHM_CELL_TEXT];
	struct shm_global *g = m->shm->global;
	struct control_client *c = master_control_waiting(m, id);
	bool alive = m->dispatcher != NULL && m->dispatcher->proc != NULL;

	if (c == NULL)
		return;
	(void)shm_cell_get(&g->db_error, error);
	master_control_error(c, "database_away", "%s; database: %s%s%s%s", !alive ? "the dispatcher is being restarted" : "no answer within 2 s",
	                     shm_db_state_name(atomic_load(&g->db_state)), *error != '\0' ? ", " : "", error,
	                     sent ? "; whether the command took effect is not known: look before you repeat it" : "; nothing was done");
}

void master_forward_lost(struct master *m)
{
	struct forward *f, *after;
	size_t n = 0, max = 0;
	uint64_t *ids;

	TAILQ_FOREACH(f, &forwards, link)
		max++;
	ids = xcalloc(max + 1, sizeof *ids);
	for (f = TAILQ_FIRST(&forwards); f != NULL; f = after) {
		after = TAILQ_NEXT(f, link);
		if (f->message != NULL)
			continue;
		ids[n++] = f->id;
		forward_free(f);
	}
	for (size_t i = 0; i < n; i++) /* now: an answered client may send its next request at once */
		away(m, ids[i], true);
	free(ids);
}

void master_forward_pending(struct master *m)
{
	struct forward *f;

	TAILQ_FOREACH(f, &forwards, link)
		if (f->message != NULL && !forward_send(m, f))
			return;
}

void master_forward_tick(struct master *m, int64_t now_ns)
{
	struct forward *f;

	while ((f = TAILQ_FIRST(&forwards)) != NULL && f->deadline_ns <= now_ns) {
		uint64_t id = f->id;
		bool sent = f->message == NULL;

		forward_free(f);
		away(m, id, sent);
	}
}

int64_t master_forward_next_ns(const struct master *m)
{
	(void)m;
	return TAILQ_EMPTY(&forwards) ? INT64_MAX : TAILQ_FIRST(&forwards)->deadline_ns;
}

void master_forward_free(struct master *m)
{
	(void)m;
	while (!TAILQ_EMPTY(&forwards))
		forward_free(TAILQ_FIRST(&forwards));
}
