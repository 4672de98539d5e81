/*
 * handlers/webhook.c: the handler `http`: jobs are posted to a web hook, a batch or one at a time. (http.c is the client.)
 *
 * Runs in a worker. Owns one `struct post` a request, from its first admitted job to the end of its last, and the HTTP client. Jobs of
 * a batch that are admitted in one turn of the loop, or while all connections are busy, go in one request; what a rate limit lets
 * begin later follows in another. Requests are signed as Standard Webhooks say; webhook_answer.c judges what comes back.
 *
 * Invariant: a begun job is in exactly one post and job->data is that. `webhook-id` names the set of jobs, so it is the same when the same
 * set is sent again, and each job has its idempotency key. Whatever is not answered is sent again: receivers see a job at least once.
 * Neither URL, headers, secrets nor payloads reach a log or an error.
 */
#include "config.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/headers.h"
#include "handlers/http.h"
#include "handlers/registry.h"
#include "handlers/url.h"
#include "handlers/webhook_answer.h"
#include "handlers/webhook_sign.h"

#define ANSWER_BASE (1u << 20)     /* bytes of an answer: this, and a result for each job */
#define ANSWER_EACH (256u << 10)
#define ANSWER_MAX (32u << 20)

struct post {
	struct webhook *hook;
	struct http_call *call; /* NULL: still open */
	uint64_t batch_id;
	struct jobq_job **jobs;
	size_t n;
	TAILQ_ENTRY(post) link; /* in open or sent */
};
TAILQ_HEAD(posts, post);

struct webhook {
	const struct conf_queue *queue;
	struct http *http;
	struct headers *headers;
	struct webhook_keys keys;
	struct event *flush;
	struct posts open, sent;
	size_t under_way;
};

static void webhook_close(void *state)
{
	struct webhook *h = state;

	headers_free(h->headers);
	webhook_keys_wipe(&h->keys);
	if (h->flush != NULL)
		event_free(h->flush);
	if (h->http != NULL)
		http_free(h->http);
	free(h);
}

static void webhook_flush(evutil_socket_t fd, short what, void *arg);

static int webhook_open(const struct jobq_env *env, void **state, char *err, size_t errlen)
{
	struct webhook *h = xcalloc(1, sizeof *h);
	const struct conf_queue *q = env->queue;
	const char *wrong;
	int n = 0;

	h->queue = q;
	TAILQ_INIT(&h->open);
	TAILQ_INIT(&h->sent);
	h->flush = event_new(env->base, -1, 0, webhook_flush, h);
	if (h->flush == NULL)
		mem_exhausted(0);
	if ((wrong = url_wrong(q->k.url, URL_PRIVATE)) != NULL) /* addresses are judged when they are called */
		n = snprintf(err, errlen, "url: it %s", wrong);
	else if ((wrong = webhook_keys_read(&h->keys, q->k.secret)) != NULL)
		n = snprintf(err, errlen, "secret: it %s", wrong);
	else if ((h->headers = headers_parse(q->k.headers)) == NULL)
		n = snprintf(err, errlen, "headers: each must be \"Name: value\"");
	else if ((h->http = http_new(env->base, (size_t)q->k.max_connections, env->user_agent, err, errlen)) != NULL) {
		*state = h;
		return 0;
	}
	if (n < 0)
		err[0] = '\0';
	webhook_close(h);
	return -1;
}

static bool webhook_single(const struct webhook *h)
{
	return h->queue->k.mode == CONF_MODE_SINGLE;
}

static size_t webhook_width(void *state)
{
	const struct webhook *h = state;
	size_t each = webhook_single(h) ? 1 : (size_t)h->queue->k.batch_max;

	return each * (size_t)h->queue->k.max_connections;
}

static void webhook_free_post(struct post *post)
{
	struct webhook *h = post->hook;

	TAILQ_REMOVE(post->call == NULL ? &h->open : &h->sent, post, link);
	if (post->call != NULL)
		h->under_way--;
	free(post->jobs);
	free(post);
	if (!TAILQ_EMPTY(&h->open))
		event_active(h->flush, EV_TIMEOUT, 0);
}

/* Ends every job of the post. Each tells the cause: what an outage did to its neighbours is not their fault either. */
static void webhook_end_all(struct post *post, struct jobq_outcome o)
{
	for (size_t i = 0; i < post->n; i++)
		jobq_end(post->jobs[i], &o);
	webhook_free_post(post);
}

static void webhook_end_each(struct post *post, const struct webhook_answer *a)
{
	const json_t **said = xcalloc(post->n, sizeof *said);
	int64_t *ids = xcalloc(post->n, sizeof *ids);
	struct dialect_outcome d;

	for (size_t i = 0; i < post->n; i++)
		ids[i] = post->jobs[i]->id;
	webhook_answer_find(a, ids, post->n, said);
	for (size_t i = 0; i < post->n; i++) {
		const char *wrong = webhook_answer_of(said[i], &d);
		if (wrong != NULL)
			jobq_end_error(post->jobs[i], OUTCOME_RETRY, -1, "the web hook's answer %s", wrong);
		else
			jobq_end(post->jobs[i], &d.o);
		free(d.result);
	}
	free(said);
	free(ids);
	webhook_free_post(post);
}

static void webhook_done(void *arg, const struct http_reply *reply)
{
	struct post *post = arg;
	struct webhook_answer a;

	webhook_answer_read(&a, reply);
	if (a.gate) {
		jobq_gate(post->jobs[0], a.all.after_ns, buf_str(&a.why));
		a.all.after_ns = 0; /* they wait for the gate alone */
	}
	if (a.document != NULL) {
		webhook_end_each(post, &a);
	} else {
		a.all.cause = a.cause;
		a.all.error = a.why.len > 0 ? buf_str(&a.why) : NULL;
		a.all.error_len = a.why.len;
		webhook_end_all(post, a.all);
	}
	webhook_answer_free(&a);
}

static void webhook_body(const struct post *post, struct buf *body)
{
	const char *queue = post->hook->queue->name;

	buf_printf(body, "{\"v\":1,\"batch_id\":\"%llu\",\"queue\":\"%s\",\"jobs\":[", (unsigned long long)post->batch_id, queue);
	for (size_t i = 0; i < post->n; i++) {
		if (i > 0)
			buf_putc(body, ',');
		dialect_put_job(body, post->jobs[i], queue);
	}
	buf_puts(body, "]}");
}

/* The same for the same set of jobs, on every attempt. */
static void webhook_id(const struct post *post, struct buf *id)
{
	struct buf keys = {0};

	if (webhook_single(post->hook)) {
		buf_puts(id, jobq_idempotency_key(post->jobs[0]));
		return;
	}
	for (size_t i = 0; i < post->n; i++)
		buf_printf(&keys, "%s ", jobq_idempotency_key(post->jobs[i]));
	buf_puts(id, "msg_");
	webhook_digest(keys.data, keys.len, id);
	buf_free(&keys);
}

static void webhook_headers(const struct post *post, struct http_request *r)
{
	const struct webhook *h = post->hook;
	struct buf id = {0}, signature = {0};
	char now[24];

	webhook_id(post, &id);
	if (snprintf(now, sizeof now, "%lld", (long long)(clock_real_us() / US_PER_S)) < 0)
		now[0] = '\0';
	headers_add(h->headers, r);
	if (!headers_has(h->headers, "Content-Type"))
		(void)http_header(r, "Content-Type", "application/json", strlen("application/json"));
	(void)http_header(r, "webhook-id", buf_str(&id), id.len); /* our own texts: no control characters */
	(void)http_header(r, "webhook-timestamp", now, strlen(now));
	if (h->keys.n > 0) {
		webhook_sign(&h->keys, buf_str(&id), now, r->body, r->body_len, &signature);
		(void)http_header(r, "webhook-signature", buf_str(&signature), signature.len);
	}
	if (webhook_single(h))
		(void)http_header(r, "Idempotency-Key", buf_str(&id), id.len);
	buf_free(&id);
	buf_free(&signature);
}

static void webhook_send(struct post *post)
{
	struct webhook *h = post->hook;
	struct buf body = {0};
	char err[256] = "";
	size_t answer = ANSWER_BASE + post->n * ANSWER_EACH;
	struct http_request r = {.url = h->queue->k.url, .public_only = !h->queue->k.allow_private, .done = webhook_done, .arg = post,
		.body_max = answer < ANSWER_MAX ? answer : ANSWER_MAX};

	webhook_body(post, &body);
	r.body = buf_str(&body);
	r.body_len = body.len;
	webhook_headers(post, &r);
	post->call = http_send(h->http, &r, err, sizeof err);
	buf_free(&body);
	if (post->call != NULL) {
		TAILQ_REMOVE(&h->open, post, link);
		TAILQ_INSERT_TAIL(&h->sent, post, link);
		h->under_way++;
		return;
	}
	webhook_end_all(post, (struct jobq_outcome){.kind = OUTCOME_FAIL, .after_ns = -1, .error = err, .error_len = strlen(err)});
}

static void webhook_flush(evutil_socket_t fd, short what, void *arg)
{
	struct webhook *h = arg;
	struct post *post;

	(void)fd;
	(void)what;
	while (h->under_way < (size_t)h->queue->k.max_connections && (post = TAILQ_FIRST(&h->open)) != NULL)
		webhook_send(post);
}

/* The open request that takes jobs of this batch, or a new one. */
static struct post *webhook_post(struct webhook *h, const struct jobq_batch *batch)
{
	struct post *post;

	if (!webhook_single(h))
		TAILQ_FOREACH(post, &h->open, link)
			if (post->batch_id == batch->id)
				return post;
	post = xcalloc(1, sizeof *post);
	post->hook = h;
	post->batch_id = batch->id;
	TAILQ_INSERT_TAIL(&h->open, post, link);
	return post;
}

static void webhook_go(void *state, struct jobq_job *job)
{
	struct webhook *h = state;
	struct post *post = webhook_post(h, job->batch);

	post->jobs = xreallocarray(post->jobs, post->n + 1, sizeof(struct jobq_job *));
	post->jobs[post->n++] = job;
	job->data = post;
	event_active(h->flush, EV_TIMEOUT, 0);
}

static void webhook_run(void *state, struct jobq_batch *batch)
{
	(void)state;
	for (size_t i = 0; i < batch->count; i++)
		jobq_admit(batch->jobs[i], webhook_go);
}

/* Takes the job out of its post, and ends both when it was the last. */
static void webhook_take_out(struct post *post, struct jobq_job *job, struct jobq_outcome o)
{
	size_t i = 0;

	while (post->jobs[i] != job)
		i++;
	memmove(&post->jobs[i], &post->jobs[i + 1], (post->n - i - 1) * sizeof(struct jobq_job *));
	post->n--;
	jobq_end(job, &o);
	if (post->n > 0)
		return;
	if (post->call != NULL)
		(void)http_stop(post->call);
	webhook_free_post(post);
}

static void webhook_stop(void *state, struct jobq_job *job, enum jobq_stop why)
{
	static const char late[] = "stopped before the web hook answered";
	struct post *post = job->data;
	bool gone = post->call != NULL && (post->n > 1 || !http_unsent(post->call)); /* in a request that leaves whatever we do */

	(void)state;
	if (why == JOBQ_STOP_TIMEOUT)
		webhook_take_out(post, job, (struct jobq_outcome){.kind = OUTCOME_RETRY, .cause = JOBQ_CAUSE_DOWN, .after_ns = -1, .error = late,
			.error_len = sizeof late - 1});
	else if (!gone)
		webhook_take_out(post, job, (struct jobq_outcome){.kind = OUTCOME_CANCELLED, .after_ns = -1});
}

const struct jobq_handler handler_webhook = {
	.name = "http", .flags = JOBQ_HANDLER_OVERLAP,
	.open = webhook_open, .run = webhook_run, .stop = webhook_stop, .close = webhook_close, .width = webhook_width,
};
