/*
 * dispatcher/tick.c: what people asked for (cancels, pauses) is read, what jobs report (progress, running) is written; deadlines pass.
 *
 * Runs in the dispatcher. Cancels and pauses are rows; they are read once a second while jobs are in flight, else every poll_max, and within
 * a second of a "!" notification (many cancels in a row are one question). Progress of many jobs goes out in one statement a second. A job that outlives a heartbeat
 * (a third of the lease) is marked `running`. Waiting jobs whose deadline has passed are ended by the database, some at a time.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "shm/cell.h"

#define PROGRESS_MAX 500
#define EXPIRE_MAX 1000 /* waiting jobs ended in one statement */

/* ---- cancels and pauses ---- */

/* false: the job is not ours. */
static bool cancel_job(struct dispatcher *d, int64_t id)
{
	struct job *job;
	HASH_FIND(hh, d->jobs, &id, sizeof id, job);
	if (!job)
		return false;
	if (job->cancel)
		return true;
	job->cancel = true;
	if (job->state == JOB_BUFFERED) {
		buffer_remove(&job->queue->buffer, &job->item, clock_mono_ns());
		outcome_cancelled(d, job);
	} else if (job->state == JOB_ASSIGNED) {
		workers_cancel(d, job);
	}
	return true;
}

static void settled(void *arg, const struct pg_result *result)
{
	(void)arg;
	if (result->status != PG_OK && result->status != PG_LOST)
		log_warn("cancel requests of waiting jobs are tried again: %s", result->error);
}

/* Whom status shows: the queue's own pause, or else the first of a tenant. */
static void show_pause(struct shm_queue *shm, const char *tenant, const char *by, const char *reason, int64_t since_us, int64_t until_us)
{
	atomic_store(&shm->pause_since_real_us, since_us);
	atomic_store(&shm->pause_until_real_us, until_us);
	shm_cell_set(&shm->pause_by, by);
	shm_cell_set(&shm->pause_reason, reason);
	shm_cell_set(&shm->pause_tenant, tenant ? tenant : "");
}

/* Resumed: gone from status at once if it was shown; the next answer counts again. */
static void count_paused(struct queue *queue, const char *tenant, bool paused)
{
	char shown[SHM_CELL_TEXT];
	uint32_t n = atomic_load(&queue->shm->paused_tenants);
	if (paused || (n > 0 && strcmp(shm_cell_get(&queue->shm->pause_tenant, shown), tenant) == 0))
		atomic_store(&queue->shm->paused_tenants, paused ? n + 1 : 0);
}

void tick_pause(struct dispatcher *d, const char *name, const char *tenant, bool paused, const char *by, const char *reason,
	int64_t since_us, int64_t until_us)
{
	struct queue *queue = dispatcher_queue(d, name);
	if (!queue || !queue->shm)
		return;
	if (tenant) {
		backlog_bar(&queue->backlog, tenant, BAR_PAUSED, paused, dispatcher_db_now_us(d));
		if (paused)
			outcome_release_buffered(d, queue, tenant);
		if (paused && !queue->paused && atomic_load(&queue->shm->paused_tenants) == 0)
			show_pause(queue->shm, tenant, by, reason, since_us, until_us);
		count_paused(queue, tenant, paused);
		return;
	}
	if (paused)
		outcome_release_buffered(d, queue, NULL);
	queue->paused = paused;
	show_pause(queue->shm, NULL, by, reason, since_us, until_us);
	atomic_store(&queue->shm->paused, paused);
}

/* Pauses are few; each answer is the whole truth: what is not in it is not paused, except what was not stored yet. */
static void apply_pauses(struct dispatcher *d, const PGresult *res)
{
	for (size_t i = 0; i < d->nqueues; i++) {
		struct queue *queue = &d->queues[i];
		struct lane_tenant *tenant, *next;
		if (queue->paused && !queue->pause_unstored)
			tick_pause(d, queue->name, NULL, false, "", "", 0, 0);
		if (queue->shm && !queue->pause_unstored)
			atomic_store(&queue->shm->paused_tenants, 0);
		HASH_ITER(hh, queue->backlog.tenants, tenant, next)
			if ((tenant->barred & BAR_PAUSED) && !queue->pause_unstored)
				backlog_bar(&queue->backlog, tenant->name, BAR_PAUSED, false, dispatcher_db_now_us(d));
	}
	for (int row = 0; row < PQntuples(res); row++) {
		if (*pg_get_text(res, row, 0, NULL) != 'p')
			continue;
		bool whole = pg_get_isnull(res, row, 3);
		int64_t until = pg_get_isnull(res, row, 7) ? 0 : pg_get_timestamp_us(res, row, 7) - d->db_offset_us;
		tick_pause(d, pg_get_text(res, row, 2, NULL), whole ? NULL : pg_get_text(res, row, 3, NULL), true,
		           pg_get_text(res, row, 4, NULL), pg_get_text(res, row, 5, NULL),
		           pg_get_timestamp_us(res, row, 6) - d->db_offset_us, until);
	}
}

/* ---- deadlines ---- */

static void expired(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	int64_t all = 0;
	d->expiring = false;
	if (result->status != PG_OK) {
		if (result->status != PG_LOST)
			log_warn("jobs whose deadline has passed are ended later: %s", result->error);
		return;
	}
	for (int row = 0; row < PQntuples(result->res); row++) {
		struct queue *queue = dispatcher_queue(d, pg_get_text(result->res, row, 0, NULL));
		int64_t n = pg_get_int8(result->res, row, 1);
		all += n;
		for (int64_t i = 0; queue && i < n; i++)
			counts_ended(queue, COUNTER_failed, clock_mono_ns());
		if (queue)
			counter_add(queue, COUNTER_errors, (uint64_t)n);
		if (queue)
			queue->counted_pending -= n;
	}
	if (all >= EXPIRE_MAX) /* there may be more */
		d->next_tick_ns = 0;
}

static void expire(struct dispatcher *d)
{
	pg_param_int4(db_params(d), EXPIRE_MAX);
	d->expiring = d->expiring || db_send(d, DB_ADMIN, "expire", expired, d);
}

static void tick_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	d->ticking = false;
	if (result->status != PG_OK) {
		if (result->status != PG_LOST)
			log_error("cancels and pauses cannot be read: %s", result->error);
		return;
	}
	bool others = false, late = false;
	for (int row = 0; row < PQntuples(result->res); row++)
		if (*pg_get_text(result->res, row, 0, NULL) == 'c' && !cancel_job(d, pg_get_int8(result->res, row, 1)))
			others = true;
		else if (*pg_get_text(result->res, row, 0, NULL) == 'd')
			late = true;
	db_params(d);
	if (others && !db_send(d, DB_ADMIN, "cancels_settle", settled, d))
		log_debug("cancel requests of waiting jobs are settled later");
	if (late)
		expire(d);
	apply_pauses(d, result->res);
	d->pauses_read = true;
	dispatcher_pump(d);
}

static void read_requests(struct dispatcher *d)
{
	int64_t now = clock_mono_ns();
	if (d->ticking || now < d->next_tick_ns)
		return;
	d->next_tick_ns = now + (d->jobs ? NS_PER_S : d->conf->jobqd.poll_max);
	db_params(d);
	d->ticking = db_send(d, DB_CLAIM, "tick", tick_answer, d);
}

/* ---- progress ---- */

static void progress_answer(void *arg, const struct pg_result *result)
{
	(void)arg;
	if (result->status != PG_OK && result->status != PG_LOST)
		log_warn("progress could not be written: %s", result->error);
}

static bool wants_running(const struct dispatcher *d, const struct job *job, int64_t now)
{
	return job->state == JOB_ASSIGNED && !job->running && now - job->assigned_mono_ns > d->conf->jobqd.lease / 3;
}

static size_t gather_progress(struct dispatcher *d, struct job *jobs[PROGRESS_MAX])
{
	size_t n = 0;
	int64_t now = clock_mono_ns();
	for (struct job *job = d->jobs; job && n < PROGRESS_MAX; job = job->hh.next)
		if (job->progress_new || wants_running(d, job, now))
			jobs[n++] = job;
	return n;
}

static void write_progress(struct dispatcher *d)
{
	struct job *jobs[PROGRESS_MAX];
	size_t n = gather_progress(d, jobs);
	if (n == 0 || !pg_conn_ready(d->link[DB_ACK]))
		return;
	qsort(jobs, n, sizeof *jobs, job_by_id);
	struct pg_params *p = db_params(d);
	db_param_refs(d, jobs, n);
	pg_array_begin(p, PG_FLOAT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_float8(p, jobs[i]->progress_new ? (double)jobs[i]->progress : -1.0);
	pg_array_end(p);
	pg_array_begin(p, PG_TEXT, n);
	for (size_t i = 0; i < n; i++)
		pg_array_text(p, jobs[i]->progress_note, jobs[i]->progress_note ? strlen(jobs[i]->progress_note) : 0);
	pg_array_end(p);
	if (!db_send(d, DB_ACK, "progress", progress_answer, d))
		return;
	for (size_t i = 0; i < n; i++) {
		jobs[i]->running = true;
		jobs[i]->progress_new = false;
	}
}

void tick_second(struct dispatcher *d)
{
	if (d->phase != PHASE_RUN || !d->lease_ok)
		return;
	read_requests(d);
	write_progress(d);
}
