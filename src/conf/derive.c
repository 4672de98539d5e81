/*
 * conf/derive.c: defaults that depend on other values (see derive.h).
 *
 * Runs where a configuration is read. Writes conf. Invariant: only what nobody set is changed, so neither a default nor a
 * preset contradicts what was written: their bounds of a batch give way to the batch_size that was asked for. Cannot fail.
 */
#include "config.h"

#include "conf/derive.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "conf/layer.h"
#include "conf/smtp_url.h"
#include "jobq/shm.h"

#define BURST_SECONDS 0.1
#define BURST_MAX 1000000.0 /* as in the table */

static void number(struct conf *conf, struct conf_set *set, void *base, enum conf_index index, int64_t value)
{
	conf_layer_built_in(set, base, index, conf_keep_printf(&conf->private->keep, "%" PRId64, value));
}

static void derive_node(struct conf *conf, struct conf_set *set)
{
	char host[SHM_NAME_MAX];

	if (*conf->jobqd.node != '\0')
		return;
	if (gethostname(host, sizeof host) != 0 || host[0] == '\0')
		memcpy(host, "localhost", sizeof "localhost");
	host[sizeof host - 1] = '\0';
	conf_layer_built_in(set, &conf->jobqd, CONF_K_JOBQD_node, conf_keep_text(&conf->private->keep, host, strlen(host)));
}

static void at_least(struct conf *conf, struct conf_set *set, void *base, enum conf_index index, int64_t value, int64_t least)
{
	if (!conf_layer_is_set(set, index) && value < least)
		number(conf, set, base, index, least);
}

static void at_most(struct conf *conf, struct conf_set *set, void *base, enum conf_index index, int64_t value, int64_t most)
{
	if (!conf_layer_is_set(set, index) && value > most)
		number(conf, set, base, index, most);
}

static void derive_batch(struct conf *conf, struct conf_set *set, struct conf_queue_keys *k)
{
	int64_t held = SHM_HELD / k->concurrency; /* jobs of one batch that a worker has room for */

	at_most(conf, set, k, CONF_K_QUEUE_batch_min, k->batch_min, k->batch_size);
	if (k->batch_adaptive)
		at_most(conf, set, k, CONF_K_QUEUE_batch_max, k->batch_max, held > k->batch_size ? held : k->batch_size);
	at_least(conf, set, k, CONF_K_QUEUE_batch_max, k->batch_max, k->batch_size);
	at_least(conf, set, k, CONF_K_QUEUE_buffer_max, k->buffer_max, k->batch_max);
}

static void duration(struct conf *conf, struct conf_set *set, void *base, enum conf_index index, int64_t ns)
{
	char text[64];

	conf_layer_built_in(set, base, index, conf_keep_printf(&conf->private->keep, "%s", units_print_duration(text, sizeof text, ns)));
}

/* urgent <= high <= normal: what was not set is worked out, or gives way to what was. A preset's three fit each other, so they stay
 * as long as nothing that was written is below them. */
static void derive_timeouts(struct conf *conf, struct conf_set *set, struct conf_queue_keys *k)
{
	bool preset = k->preset != CONF_PRESET_NONE;
	bool high = conf_layer_is_set(set, CONF_K_QUEUE_batch_timeout_high), urgent = conf_layer_is_set(set, CONF_K_QUEUE_batch_timeout_urgent);

	if (!high && (!preset || k->batch_timeout_high > k->batch_timeout))
		duration(conf, set, k, CONF_K_QUEUE_batch_timeout_high, k->batch_timeout / 5 * 2);
	if (!high && urgent && k->batch_timeout_high < k->batch_timeout_urgent)
		duration(conf, set, k, CONF_K_QUEUE_batch_timeout_high,
			k->batch_timeout_urgent < k->batch_timeout ? k->batch_timeout_urgent : k->batch_timeout);
	if (!urgent && (!preset || k->batch_timeout_urgent > k->batch_timeout_high))
		duration(conf, set, k, CONF_K_QUEUE_batch_timeout_urgent,
			k->batch_timeout / 5 < k->batch_timeout_high ? k->batch_timeout / 5 : k->batch_timeout_high);
	if (!conf_layer_is_set(set, CONF_K_QUEUE_buffer_max_age) && k->buffer_max_age < k->batch_timeout)
		duration(conf, set, k, CONF_K_QUEUE_buffer_max_age, k->batch_timeout);
}

static void derive_burst(struct conf *conf, struct conf_set *set, struct conf_queue_keys *k)
{
	double burst = units_per_second(k->rate_limit) * BURST_SECONDS;

	if (k->rate_limit.count == 0 || k->rate_burst != 0)
		return;
	burst = burst < 1 ? 1 : burst > BURST_MAX ? BURST_MAX : burst;
	number(conf, set, k, CONF_K_QUEUE_rate_burst, (int64_t)burst);
}

static void derive_pools(struct conf *conf)
{
	struct conf_private *private = conf->private;

	for (size_t i = 0; i < conf->nqueues; i++) {
		const struct conf_pool *pool = private->queues[i].bad ? NULL : conf_pool_of(conf, conf->queues[i]);

		for (size_t p = 0; p < conf->npools; p++)
			if (conf->pools[p] == pool && !private->pools[p].bad)
				at_least(conf, &private->pools[p], &conf->pools[p]->k, CONF_K_POOL_max, pool->k.max, conf->queues[i]->k.workers);
	}
	for (size_t p = 0; p < conf->npools; p++)
		if (!private->pools[p].bad)
			at_most(conf, &private->pools[p], &conf->pools[p]->k, CONF_K_POOL_min, conf->pools[p]->k.min, conf->pools[p]->k.max);
}

static void derive_tls(struct conf_set *set, struct conf_queue_keys *k)
{
	if (strcmp(k->handler, "email") == 0 && !conf_layer_is_set(set, CONF_K_QUEUE_smtp_tls))
		conf_layer_built_in(set, k, CONF_K_QUEUE_smtp_tls, smtp_url_loopback(k->smtp_url) ? "off" : "require");
}

void conf_derive_all(struct conf *conf)
{
	struct conf_private *private = conf->private;
	struct conf_jobqd *jobqd = &conf->jobqd;

	derive_node(conf, &private->plain);
	if (*jobqd->pid_file == '\0')
		conf_layer_built_in(&private->plain, jobqd, CONF_K_JOBQD_pid_file,
			conf_keep_printf(&private->keep, "%s/jobqd.pid", jobqd->run_dir));
	for (size_t i = 0; i < conf->nqueues; i++) {
		if (private->queues[i].bad)
			continue;
		derive_batch(conf, &private->queues[i], &conf->queues[i]->k);
		derive_timeouts(conf, &private->queues[i], &conf->queues[i]->k);
		derive_burst(conf, &private->queues[i], &conf->queues[i]->k);
		derive_tls(&private->queues[i], &conf->queues[i]->k);
	}
	derive_pools(conf);
}
