/*
 * dispatcher/leaf.c: see leaf.h. Owns d->leaves. A leaf that cannot be made is asked for again after a second; rows that
 * wait for it wait as fates, their workers are not told.
 */
#include "config.h"

#include "dispatcher/leaf.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"

#define EPOCH_DAYS 10957 /* 2000-01-01 in days since 1970 */
#define DAY_US (86400 * US_PER_S)
#define MONDAY 2         /* 2000-01-03 */

struct leaf {
	int32_t day; /* its Monday */
	enum { LEAF_UNKNOWN, LEAF_ASKED, LEAF_THERE } state;
	int64_t asked_ns;
	struct dispatcher *d;
	UT_hash_handle hh;
};

int32_t leaf_expiry(int64_t db_now_us, int64_t keep_ns)
{
	int64_t day = (db_now_us + keep_ns / NS_PER_US) / DAY_US - EPOCH_DAYS;
	return (int32_t)day + 1;
}

int32_t leaf_job_expiry(const struct dispatcher *d, const struct job *job)
{
	const struct conf_queue *conf = job->queue ? job->queue->conf : NULL;
	int64_t keep = job->end == END_FAILED ? 90 * 86400 * NS_PER_S : 30 * 86400 * NS_PER_S;
	if (conf)
		keep = job->end == END_FAILED ? conf->k.retain_failed : conf->k.retain_completed;
	return keep == 0 ? 0 : leaf_expiry(dispatcher_db_now_us(d), keep);
}

int32_t leaf_of(int32_t day)
{
	int32_t past = (day - MONDAY) % 7;
	return day - (past < 0 ? past + 7 : past);
}

void leaf_name(int32_t leaf, char dst[32])
{
	time_t seconds = ((time_t)leaf + EPOCH_DAYS) * 86400;
	struct tm tm;
	gmtime_r(&seconds, &tm);
	snprintf(dst, 32, "jobs_h_%04d%02d%02d", (tm.tm_year + 1900) % 10000, (tm.tm_mon + 1) % 100, tm.tm_mday % 100);
}

static struct leaf *leaf_get(const struct dispatcher *d, int32_t day)
{
	struct leaf *leaf;
	HASH_FIND(hh, d->leaves, &day, sizeof day, leaf);
	return leaf;
}

bool leaf_there(const struct dispatcher *d, int32_t day)
{
	const struct leaf *leaf = leaf_get(d, day);
	return leaf && leaf->state == LEAF_THERE;
}

void leaf_forget(struct dispatcher *d, int32_t day)
{
	struct leaf *leaf = leaf_get(d, day);
	if (leaf)
		leaf->state = LEAF_UNKNOWN;
}

static void made(void *arg, const struct pg_result *result)
{
	struct leaf *leaf = arg;
	leaf->state = result->status == PG_OK ? LEAF_THERE : LEAF_UNKNOWN;
	if (result->status != PG_OK && result->status != PG_LOST)
		log_error("a history partition could not be made: %s", result->error);
	if (leaf->state == LEAF_THERE)
		dispatcher_pump(leaf->d);
}

void leaf_make(struct dispatcher *d, int32_t day)
{
	int32_t monday = leaf_of(day);
	struct leaf *leaf = leaf_get(d, monday);
	if (!leaf) {
		leaf = xcalloc(1, sizeof *leaf);
		leaf->day = monday;
		leaf->d = d;
		HASH_ADD(hh, d->leaves, day, sizeof leaf->day, leaf);
	}
	int64_t now = clock_mono_ns();
	if (leaf->state == LEAF_ASKED || leaf->state == LEAF_THERE || (leaf->asked_ns && now - leaf->asked_ns < NS_PER_S))
		return;
	struct pg_params *p = db_params(d);
	pg_param_int4(p, day);
	leaf->asked_ns = now;
	if (db_send(d, DB_ADMIN, "ensure_leaf", made, leaf))
		leaf->state = LEAF_ASKED;
}

const struct pg_stmt *leaf_stmt(int32_t day, const char *name)
{
	char leaf[32];
	leaf_name(day, leaf);
	return db_stmt_with(name, leaf + strlen("jobs_h_"), "%LEAF%", leaf);
}
