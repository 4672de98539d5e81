/*
 * conf/conf.h: the configuration: one table (include/tbl/config.def), one immutable struct a load.
 *
 * Pure but for reading files. The structs below are made from the table: a key of [jobqd] is a field of struct conf_jobqd, a
 * key of [queue NAME] one of struct conf_queue, one of [pool NAME] one of struct conf_pool, one of [tenants] one of struct
 * conf_tenants, one of [report] one of struct conf_report; the name is the key. Field types: DURATION int64_t ns; SIZE int64_t bytes;
 * INT int64_t; BOOL bool; RATE struct rate (count 0 = none); BACKOFF struct backoff; ENUM int (constants CONF_<KEY>_<CHOICE>);
 * STRING const char * (never NULL; "" = not set); SECRET const char * (resolved from file: or env:, masked when printed);
 * LIST of name: value lines (headers), VARS of NAME=value lines (env): const char *, one per line.
 * A DURATION, SIZE or INT without default is 0. Every value knows its origin ("built in", "preset standard", "jobqd.conf:12",
 * "[queue *] …", "environment JOBQ_…").
 */
#ifndef JOBQ_CONF_CONF_H
#define JOBQ_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "base/units.h"
#include "conf/fields.h" /* struct conf_jobqd, struct conf_queue_keys, enums; expanded from the table */

struct conf_queue {
	const char *name;
	struct conf_queue_keys k; /* q->k.batch_size, q->k.gateway_url, … ; job_timeout etc. already resolved for its handler */
};

#define CONF_POOL_DEFAULT "default" /* of queues that name none: jobqd's own database, unless [pool default] says otherwise */

struct conf_pool {
	const char *name;
	struct conf_pool_keys k; /* database "" = jobqd's own */
};

struct conf {
	const char *path;             /* absolute */
	struct conf_jobqd jobqd;
	struct conf_tenants tenants;
	struct conf_report report;
	struct conf_queue **queues;   /* in the order of the file */
	size_t nqueues;
	struct conf_pool **pools;     /* in the order of the file; `default` is here when a queue uses it */
	size_t npools;
	struct conf_private *private; /* values as text, origins, memory */
};

#define CONF_QUEUES_MAX 64   /* queues of one configuration */
#define CONF_POOLS_MAX 16    /* pools of one configuration, with the default one */
#define CONF_WORKERS_MAX 256 /* workers of all queues together */
#define CONF_ERROR_MAX 1024
/* Reads, checks, resolves. NULL with all problems in err (each "file:line: what; what to do", one a line, as many as fit). */
struct conf *conf_load(const char *path, char *const *environment, char err[CONF_ERROR_MAX]);
/* The same for those who need no secret (jobqctl looking for the socket): file: and env: are not followed, such
 * values stay as they are written. */
struct conf *conf_load_public(const char *path, char *const *environment, char err[CONF_ERROR_MAX]);
void conf_free(struct conf *conf);
const struct conf_queue *conf_queue_find(const struct conf *conf, const char *name);
const struct conf_pool *conf_pool_find(const struct conf *conf, const char *name);
/* The pool of that queue; NULL: its handler uses none. */
const struct conf_pool *conf_pool_of(const struct conf *conf, const struct conf_queue *queue);

void conf_print_effective(const struct conf *conf, FILE *out);      /* -T: `key = value  # origin`; secrets masked */
void conf_print_sample(FILE *out);                                  /* etc/jobqd.conf */
json_t *conf_json(const struct conf *conf, const char *key);        /* [{"key": "queue.sms.rate_limit", "value", "origin"}]; NULL key = all; NULL if unknown */

/* What a reload changes. Keys are marked in the table: live, dispatcher, workers of that queue, all, or restart of jobqd. */
struct conf_diff {
	char restart_key[128];   /* not "" = refuse: this key needs a restart */
	bool anything;
	bool dispatcher;         /* roll the dispatcher */
	bool all;                /* roll everything that is forked */
	/* for each queue of the new file, in its order: */
	enum conf_change { CONF_SAME, CONF_ADDED, CONF_CHANGED } *queues; /* freed by conf_diff_free */
};
void conf_diff_make(const struct conf *old_conf, const struct conf *new_conf, struct conf_diff *diff);
void conf_diff_free(struct conf_diff *diff);

#endif
