/*
 * worker/timeout.c: job_timeout, from each job's own begin mark.
 *
 * Runs in a worker. Owns one timer. All jobs of a queue have the same timeout and `begun` is in the order of beginning, so
 * its first job that was not stopped is the next to be due; the timer is set for it and, when it fires early because that
 * job has ended, set again. A handler without stop(), or one that hangs in a call, cannot be helped here: the dispatcher
 * sees the begin mark grow old and has the master kill the process.
 */
#include "config.h"

#include "worker/timeout.h"

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"

static struct job *timeout_next(const struct worker *w)
{
	struct job *job;

	TAILQ_FOREACH(job, &w->begun, link)
		if (!job->stopped)
			return job;
	return NULL;
}

static void timeout_arm(struct worker *w, int64_t now_ns)
{
	const struct job *job = timeout_next(w);

	if (job == NULL)
		return;
	struct timeval tv = clock_timeval(job->begun_ns + w->child->queue->k.job_timeout - now_ns + NS_PER_US);
	if (event_add(w->timeout, &tv) != 0)
		mem_exhausted(0);
}

static void timeout_stop(struct worker *w, struct job *job)
{
	job->stopped = true; /* jobq_end follows inside stop(); then the job is gone */
	if (w->handler->stop != NULL)
		w->handler->stop(w->state, &job->pub, JOBQ_STOP_TIMEOUT);
}

static void timeout_due(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct job *job;
	int64_t limit = w->child->queue->k.job_timeout, now = clock_mono_ns();

	(void)fd;
	(void)what;
	while ((job = timeout_next(w)) != NULL && now - job->begun_ns >= limit) {
		log_warn("job %lld has run for %.1f s, over job_timeout; it is stopped", (long long)job->pub.id,
			(double)(now - job->begun_ns) / (double)NS_PER_S);
		timeout_stop(w, job);
	}
	timeout_arm(w, now);
}

int timeout_open(struct worker *w)
{
	w->timeout = event_new(w->child->base, -1, 0, timeout_due, w);
	return w->timeout == NULL ? -1 : 0;
}

void timeout_close(struct worker *w)
{
	if (w->timeout != NULL)
		event_free(w->timeout);
}

void timeout_watch(struct worker *w)
{
	if (!event_pending(w->timeout, EV_TIMEOUT, NULL))
		timeout_arm(w, clock_mono_ns());
}

void timeout_stop_all(struct worker *w)
{
	struct job *job;

	while ((job = timeout_next(w)) != NULL)
		timeout_stop(w, job);
}
