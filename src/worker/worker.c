/*
 * worker/worker.c: one process, one event loop, one queue: jobs in, effects out, an outcome for each.
 *
 * The map of the room:
 *   link.c     the connection to the dispatcher            batch.c    a batch from its frame to its last job
 *   admit.c    the door before each effect                 timeout.c  jobs that run too long
 *   outcome.c  outcomes, kept until they are committed     drain.c    the end of the process
 *   service.c  what handlers may ask of the worker         pool.c     their connections to a database
 * Read batch_receive, batch_start, jobq_admit, jobq_end, outcome_flush, outcome_ack in this order, and you have followed a job.
 *
 * Everything that happens in one turn of the loop is settled at its end, in worker_settle: finished batches are freed, the
 * next ones started, outcomes sent together. Handlers are called from there, from the door, and from their own events, never
 * from inside each other. Exit codes: CONFIG when the handler does not like its configuration, SHM when the segment does not
 * know our queue, else 0 after a drain.
 */
#include "config.h"

#include "worker/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "conf/conf.h"
#include "jobq/exit.h"
#include "shm/seg.h"
#include "worker/admit.h"
#include "worker/batch.h"
#include "worker/drain.h"
#include "worker/link.h"
#include "worker/outcome.h"
#include "worker/pool.h"
#include "worker/service.h"
#include "worker/timeout.h"

#define BEAT_NS (500 * NS_PER_MS)

static void worker_beat(struct worker *w)
{
	atomic_store_explicit(&w->slot->beat_mono_ns, clock_mono_ns(), memory_order_relaxed);
}

static void worker_settle(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	batch_sweep(w);
	batch_start(w);
	admit_pump(w);
	drain_turn(w);
	outcome_flush(w);
	worker_beat(w);
}

void worker_turn(struct worker *w)
{
	event_active(w->turn, EV_TIMEOUT, 0);
}

/* Resident memory in bytes, or -1. */
static int64_t worker_rss(void)
{
	struct buf b = {0};
	long long pages, resident = -1;

	if (io_read_file("/proc/self/statm", 256, &b) != 0 || sscanf(buf_str(&b), "%lld %lld", &pages, &resident) != 2)
		resident = -1;
	buf_free(&b);
	return resident < 0 ? -1 : (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void worker_tick(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	int64_t most = w->child->queue->k.max_rss;

	(void)fd;
	(void)what;
	worker_beat(w);
	if (most == 0 || w->drain != DRAIN_NO)
		return;
	int64_t rss = worker_rss();
	if (rss > most) {
		log_info("%lld MB in use, over max_rss; a new worker takes over", (long long)(rss >> 20));
		drain_begin(w, DRAIN_RECYCLE);
	}
}

/* Each worker may keep its share of outcome_memory. */
static size_t worker_share(const struct conf *conf)
{
	int64_t workers = 0;

	for (size_t i = 0; i < conf->nqueues; i++)
		workers += conf->queues[i]->k.workers;
	return (size_t)(conf->jobqd.outcome_memory / (workers > 0 ? workers : 1));
}

static int worker_open(struct worker *w)
{
	struct timeval beat = clock_timeval(BEAT_NS);
	struct event_base *base = w->child->base;

	TAILQ_INIT(&w->queued);
	TAILQ_INIT(&w->running);
	TAILQ_INIT(&w->finished);
	atomic_store(&w->slot->batch_since_ns, 0); /* of the one before us in the slot */
	outcome_open(w);
	service_open(w);
	w->kept_max = worker_share(w->child->conf);
	w->turn = event_new(base, -1, 0, worker_settle, w);
	w->beat = event_new(base, -1, EV_PERSIST, worker_tick, w);
	if (w->turn == NULL || w->beat == NULL || event_add(w->beat, &beat) != 0 || admit_open(w) != 0 || timeout_open(w) != 0
		|| drain_open(w) != 0) {
		log_error("cannot set up the event loop: %s", strerror(errno));
		return JOBQ_EXIT_RUNTIME;
	}
	return JOBQ_EXIT_OK;
}

static int worker_open_handler(struct worker *w)
{
	char err[512] = "";
	const struct conf_queue *q = w->child->queue;
	struct jobq_env env = {.base = w->child->base, .queue = q, .user_agent = PACKAGE_NAME "/" PACKAGE_VERSION,
		.worker = w};

	pool_open(w);
	env.pool = w->connections;

	w->width = SIZE_MAX;
	if (w->handler->open != NULL && w->handler->open(&env, &w->state, err, sizeof err) != 0) {
		log_error("queue %s: %s", q->name, err);
		return JOBQ_EXIT_CONFIG;
	}
	if (w->handler->width != NULL)
		w->width = w->handler->width(w->state);
	return JOBQ_EXIT_OK;
}

static void worker_close(struct worker *w)
{
	link_close(w);
	drain_close(w);
	timeout_close(w);
	admit_close(w);
	batch_close(w);
	outcome_close(w);
	buf_free(&w->news);
	if (w->turn != NULL)
		event_free(w->turn);
	if (w->beat != NULL)
		event_free(w->beat);
}

static int worker_serve(struct worker *w)
{
	int code = worker_open_handler(w);

	if (code != JOBQ_EXIT_OK)
		return code;
	if (link_open(w) != 0)
		return JOBQ_EXIT_RUNTIME;
	worker_beat(w);
	atomic_store(&w->slot->state, PROC_READY);
	if (event_base_dispatch(w->child->base) < 0) {
		log_error("the event loop failed: %s", strerror(errno));
		code = JOBQ_EXIT_RUNTIME;
	}
	if (w->handler->close != NULL && w->njobs == 0)
		w->handler->close(w->state); /* jobs left under way: the process ends with them */
	if (w->njobs == 0)
		pool_close(w);
	return code;
}

int worker_main(struct child *child)
{
	struct worker w = {
		.child = child, .global = child->shm->global, .slot = child->slot,
		.queue = shm_queue_at(child->shm, child->queue_index),
		.handler = jobq_handler_find(child->queue->k.handler),
	};

	if (w.queue == NULL) {
		log_error("shared memory has no queue %u", child->queue_index);
		return JOBQ_EXIT_SHM;
	}
	if (w.handler == NULL) {
		log_error("queue %s: there is no handler \"%s\"", child->queue->name, child->queue->k.handler);
		return JOBQ_EXIT_CONFIG;
	}
	int code = worker_open(&w);
	if (code == JOBQ_EXIT_OK)
		code = worker_serve(&w);
	worker_close(&w);
	return code;
}
