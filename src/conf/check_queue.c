/*
 * conf/check_queue.c: values of one queue that must fit each other (see check.h).
 *
 * Pure; runs where a configuration is read. Writes nothing but errors. Invariant: a worker's table of jobs holds what its
 * concurrency asks for, and a handler finds what it cannot do without.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "conf/layer.h"
#include "conf/secret.h"
#include "jobq/shm.h"

struct subject {
	const struct conf_queue *queue;
	const struct conf_set *set;
	struct conf_errors *errors;
};

/* a must not be above b; told at the one that somebody set */
static void at_most(const struct subject *s, enum conf_index a, int64_t av, enum conf_index b, int64_t bv)
{
	const struct conf_set *set = s->set;
	const char *where = conf_check_where(set, set->v[a].where != NULL ? a : b);

	if (av > bv)
		conf_errors_add(s->errors, where, "%s %s (%s) is above %s %s (%s)", conf_table[a].name, set->v[a].text, set->v[a].origin,
			conf_table[b].name, set->v[b].text, set->v[b].origin);
}

static void check_batch(const struct subject *s)
{
	const struct conf_queue_keys *k = &s->queue->k;

	at_most(s, CONF_K_QUEUE_batch_min, k->batch_min, CONF_K_QUEUE_batch_size, k->batch_size);
	at_most(s, CONF_K_QUEUE_batch_size, k->batch_size, CONF_K_QUEUE_batch_max, k->batch_max);
	at_most(s, CONF_K_QUEUE_batch_max, k->batch_max, CONF_K_QUEUE_buffer_max, k->buffer_max);
	if (k->concurrency * k->batch_size <= SHM_HELD && k->batch_adaptive && k->concurrency * k->batch_max > SHM_HELD)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_batch_max),
			"batch_max: %" PRId64 " batches of up to %" PRId64 " are more than the %u jobs that a worker can hold", k->concurrency,
			k->batch_max, SHM_HELD);
	if (k->concurrency * k->batch_size > SHM_HELD)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_concurrency),
			"concurrency: %" PRId64 " batches of %" PRId64 " are more than the %u jobs that a worker can hold", k->concurrency,
			k->batch_size, SHM_HELD);
}

static void check_timeouts(const struct subject *s)
{
	const struct conf_queue_keys *k = &s->queue->k;

	at_most(s, CONF_K_QUEUE_batch_timeout_high, k->batch_timeout_high, CONF_K_QUEUE_batch_timeout, k->batch_timeout);
	at_most(s, CONF_K_QUEUE_batch_timeout_urgent, k->batch_timeout_urgent, CONF_K_QUEUE_batch_timeout_high, k->batch_timeout_high);
	at_most(s, CONF_K_QUEUE_batch_timeout, k->batch_timeout, CONF_K_QUEUE_buffer_max_age, k->buffer_max_age);
}

/* A queue's own rate_unit must be something that its jobs have; of [queue *] it counts where it can. */
static void check_unit(const struct subject *s)
{
	static const char *const counts[] = {[CONF_RATE_UNIT_SEGMENTS] = "sms", [CONF_RATE_UNIT_RECIPIENTS] = "email"};
	const struct conf_queue_keys *k = &s->queue->k;
	const struct conf_value *unit = &s->set->v[CONF_K_QUEUE_rate_unit];

	if (k->rate_unit == CONF_RATE_UNIT_JOBS || strcmp(k->handler, counts[k->rate_unit]) == 0 || strncmp(unit->origin, "[queue *]", 9) == 0)
		return;
	conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_rate_unit),
		"rate_unit: the jobs of handler \"%s\" have no %s; those of %s have", k->handler, unit->text, counts[k->rate_unit]);
}

static void check_rate(const struct subject *s)
{
	const struct conf_value *burst = &s->set->v[CONF_K_QUEUE_rate_burst];

	if (s->queue->k.rate_burst > 0 && s->queue->k.rate_limit.count == 0 && strncmp(burst->origin, "[queue *]", 9) != 0)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_rate_burst),
			"rate_burst: queue \"%s\" has no rate_limit; set that too", s->queue->name);
}

/* NULL: a URL that can be used */
static const char *url_problem(const char *url)
{
	const char *host = strchr(url, ':');
	size_t authority;

	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return "is not an http:// or https:// URL";
	host += 3;
	authority = strcspn(host, "/?#");
	if (authority == 0 || *host == ':')
		return "names no host";
	if (memchr(host, '@', authority) != NULL)
		return "holds a user or password; they have keys of their own";
	if (strpbrk(url, " \t\"<>\\^`{|}") != NULL)
		return "holds a character that must be percent-encoded";
	return NULL;
}

static void check_sms(const struct subject *s)
{
	const struct conf_queue_keys *k = &s->queue->k;
	const char *name = s->queue->name, *problem;

	if (*k->gateway_url == '\0') {
		conf_errors_add(s->errors, s->set->where, "queue \"%s\" needs gateway_url, the URL of its SMS gateway", name);
	} else if ((problem = url_problem(k->gateway_url)) != NULL) {
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_gateway_url), "gateway_url %s", problem);
	}
	if (k->driver == CONF_DRIVER_KANNEL && *k->gateway_user == '\0')
		conf_errors_add(s->errors, s->set->where, "queue \"%s\" needs gateway_user, as its driver is kannel", name);
	if (k->driver == CONF_DRIVER_JSON && *k->body == '\0')
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_driver),
			"queue \"%s\" needs body, the template of what its driver json posts", name);
}

/* NULL: base64 of 24 to 64 bytes, one or two of it. What is not resolved is not looked at. */
static const char *secret_problem(const char *text)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", prefix[] = "whsec_";
	size_t words = 0;

	if (conf_secret_is_reference(text))
		return NULL;
	for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
		if (strncmp(text, prefix, sizeof prefix - 1) == 0)
			text += sizeof prefix - 1;
		size_t len = strspn(text, base64), pad = strspn(text + len, "=");
		if (len < 32 || len > 86 || len % 4 == 1 || pad > 2 || strchr(" \t", text[len + pad]) == NULL)
			return "is not base64 of 24 to 64 bytes; make one: echo whsec_$(openssl rand -base64 32)";
		if (++words > 2)
			return "holds more than two secrets";
		text += len + pad;
	}
	return NULL;
}

/* A header that the handler itself sets; NULL: none is. */
static const char *header_problem(const char *lines)
{
	static const char *const own[] = {"webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key", "content-length",
		"transfer-encoding", "connection"};

	for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n')
		for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
			if (strncasecmp(lines, own[i], strlen(own[i])) == 0 && lines[strlen(own[i])] == ':')
				return own[i];
	return NULL;
}

/* schema.name, each an identifier of PostgreSQL */
static void check_sql(const struct subject *s)
{
	const char *function = s->queue->k.function;
	size_t schema = strcspn(function, "."), name = function[schema] == '.' ? strlen(function + schema + 1) : 0;

	if (*function == '\0')
		conf_errors_add(s->errors, s->set->where, "queue \"%s\" needs function, the function that gets its jobs, as schema.name", s->queue->name);
	else if (schema == 0 || schema > 63 || name == 0 || name > 63 || strchr(function + schema + 1, '.') != NULL)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_function), "function \"%.140s\" is not of the form schema.name", function);
}

static void check_http(const struct subject *s)
{
	const struct conf_queue_keys *k = &s->queue->k;
	const char *problem;

	if (*k->url == '\0')
		conf_errors_add(s->errors, s->set->where, "queue \"%s\" needs url, the URL of its web hook", s->queue->name);
	else if ((problem = url_problem(k->url)) != NULL)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_url), "url %s", problem);
	if (k->mode != CONF_MODE_BATCH && k->mode != CONF_MODE_SINGLE)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_mode), "mode: of the handler http it is batch or single");
	if ((problem = secret_problem(k->secret)) != NULL)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_secret), "secret %s", problem);
	if ((problem = header_problem(k->headers)) != NULL)
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_headers), "headers: the handler http sets %s itself", problem);
}

static void check_sync(const struct subject *s)
{
	const struct conf_queue_keys *k = &s->queue->k;

	if (*k->tables == '\0')
		conf_errors_add(s->errors, s->set->where, "queue \"%s\" needs tables, those that its jobs may sync", s->queue->name);
	if (*k->tenant_column == '\0')
		conf_errors_add(s->errors, s->set->where, "queue \"%s\" needs tenant_column, which says whose a row is", s->queue->name);
	if (*k->headers != '\0' && *k->allow_hosts == '\0')
		conf_errors_add(s->errors, conf_check_where(s->set, CONF_K_QUEUE_headers),
			"headers: queue \"%s\" needs allow_hosts too, or any host that a tenant names would see them", s->queue->name);
}

void conf_check_queue(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors)
{
	const struct subject s = {.queue = queue, .set = set, .errors = errors};

	check_batch(&s);
	check_timeouts(&s);
	check_rate(&s);
	check_unit(&s);
	if (strcmp(queue->k.handler, "sms") == 0)
		check_sms(&s);
	else if (strcmp(queue->k.handler, "http") == 0)
		check_http(&s);
	else if (strcmp(queue->k.handler, "sync") == 0)
		check_sync(&s);
	else if (strcmp(queue->k.handler, "import") == 0)
		conf_check_import(queue, set, errors);
	else if (strcmp(queue->k.handler, "sql") == 0)
		check_sql(&s);
	else if (strcmp(queue->k.handler, "exec") == 0)
		conf_check_exec(queue, set, errors);
	else if (strcmp(queue->k.handler, "email") == 0)
		conf_check_email(queue, set, errors);
}
