/*
 * dispatcher/job.c: the job objects of this incarnation and the claims they belong to.
 *
 * Runs in the dispatcher. Owns d->jobs (by id) and d->claims (by token). Invariant: a claim's `outstanding` is the number of
 * its job objects; when it reaches zero the token goes to d->dead_claims, and the next completion deletes its row.
 *
 * A row can be claimed again before we have seen how it ended: a handler's own transaction put it back (it was replaced meanwhile), or
 * the answer that says so is still on its way. Then the new claim's object stands in the hash and has the earlier one behind it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/limit.h"

static struct claim *claim_get(struct dispatcher *d, int64_t token)
{
	struct claim *claim;
	HASH_FIND(hh, d->claims, &token, sizeof token, claim);
	if (claim)
		return claim;
	claim = xcalloc(1, sizeof *claim);
	claim->token = token;
	HASH_ADD(hh, d->claims, token, sizeof claim->token, claim);
	return claim;
}

static void claim_release(struct dispatcher *d, struct claim *claim)
{
	if (--claim->outstanding > 0)
		return;
	buf_i64(&d->dead_claims, claim->token);
	HASH_DEL(d->claims, claim);
	free(claim);
}

static const char *keep(char **at, const char *text, size_t len, uint32_t *out_len)
{
	char *start = *at;
	if (len > 0)
		memcpy(start, text, len);
	start[len] = '\0';
	*at += len + 1;
	*out_len = (uint32_t)len;
	return start;
}

/* A time of the database on this machine's monotonic clock; one too far away to say is as good as 30 years away. */
static int64_t mono_of(const struct dispatcher *d, int64_t db_us)
{
	const int64_t far = INT64_C(30) * 365 * 86400 * US_PER_S;
	int64_t zero_us = d->db_offset_us + d->real_minus_mono_us; /* the database's time when our clock was at zero */
	return (db_us > zero_us + far ? far : db_us < zero_us - far ? -far : db_us - zero_us) * NS_PER_US;
}

static void copy_numbers(const struct dispatcher *d, struct job *job, const struct job_row *row)
{
	const struct conf_queue *conf = job->queue ? job->queue->conf : NULL;
	job->id = row->id;
	job->token = row->token;
	job->place = row->place;
	job->run_at_us = row->run_at_us;
	job->due_us = row->run_at_us > row->created_at_us ? row->run_at_us : row->created_at_us;
	job->deadline_us = row->deadline_us;
	job->created_us = row->created_at_us;
	job->retry_count = row->retry_count;
	job->max_retries = row->max_retries >= 0 || !conf ? row->max_retries : (int)conf->k.max_retries;
	job->crashes = row->crashes;
	job->tied = row->tied;
	job->run = row->run;
	job->item.priority = (uint8_t)(row->priority < 0 || row->priority > 255 ? 255 : row->priority);
	job->item.suspect = row->crashes > 0;
	job->item.due_ns = mono_of(d, job->due_us);
	job->item.deadline_ns = job->deadline_us ? mono_of(d, job->deadline_us) : 0;
	job->item.bytes = (uint32_t)(sizeof *job + row->payload_len + row->prior_len);
}

struct job *job_new(struct dispatcher *d, struct queue *queue, const struct job_row *row)
{
	size_t texts = row->tenant_len + row->type_len + row->user_id_len + row->payload_len + row->prior_len + 5;
	struct job *job = xmalloc(sizeof *job + texts);
	memset(job, 0, sizeof *job);
	job->queue = queue;
	copy_numbers(d, job, row);
	char *at = (char *)(job + 1);
	job->tenant = keep(&at, row->tenant, row->tenant_len, &job->tenant_len);
	job->type = keep(&at, row->type, row->type_len, &job->type_len);
	job->user_id = keep(&at, row->user_id, row->user_id_len, &job->user_id_len);
	job->payload = keep(&at, row->payload, row->payload_len, &job->payload_len);
	job->prior = keep(&at, row->prior, row->prior_len, &job->prior_len);
	job->claim = claim_get(d, row->token);
	job->claim->outstanding++;
	HASH_FIND(hh, d->jobs, &job->id, sizeof job->id, job->before);
	if (job->before)
		HASH_DEL(d->jobs, job->before);
	HASH_ADD(hh, d->jobs, id, sizeof job->id, job);
	if (queue)
		queue->in_flight++;
	return job;
}

/* Out of the hash, or of the line behind the one that is in it. */
static void forget(struct dispatcher *d, struct job *job)
{
	struct job *at;
	HASH_FIND(hh, d->jobs, &job->id, sizeof job->id, at);
	if (at == job) {
		HASH_DEL(d->jobs, job);
		if (job->before)
			HASH_ADD(hh, d->jobs, id, sizeof job->id, job->before);
		return;
	}
	while (at && at->before != job)
		at = at->before;
	if (at)
		at->before = job->before;
}

void job_free(struct dispatcher *d, struct job *job)
{
	forget(d, job);
	limit_ended(job);
	if (job->queue)
		job->queue->in_flight--;
	claim_release(d, job->claim);
	free(job->error);
	free(job->result);
	free(job->progress_note);
	free(job);
}

struct job *job_find(struct dispatcher *d, int64_t id, int64_t token)
{
	struct job *job;
	HASH_FIND(hh, d->jobs, &id, sizeof id, job);
	while (job && job->token != token)
		job = job->before;
	return job;
}

void job_unassign(struct dispatcher *d, struct job *job)
{
	struct worker *worker = job->worker;
	if (worker) {
		TAILQ_REMOVE(&worker->jobs, job, link);
		worker->assigned--;
		if (job->alone)
			worker->alone = false;
	} else {
		TAILQ_REMOVE(&d->adopted, job, link);
	}
	if (job->queue && job->queue->assigned > 0)
		job->queue->assigned--;
}

int job_by_id(const void *a, const void *b)
{
	const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
	return (x->id > y->id) - (x->id < y->id);
}
