/*
 * dispatcher/db.c: the dispatcher's connections and the state of the database as the node shows it.
 *
 * Runs in the dispatcher. Owns d->link. Links: CLAIM claims (and listens), ACK completes and renews the lease, ADMIN does what
 * may take a while, GATE holds the advisory lock of wake.c and counts, LISTEN only when listen_database is set. Each comes back by itself;
 * when one is lost the state is `waiting` until all are ready again and the lease is renewed. Nothing here ends the process.
 */
#include "config.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "pg/migrate.h"
#include "pg/sql.h"
#include "shm/cell.h"

#define SCHEMA_RETRY_NS (5 * NS_PER_S)
#define SLOW_NS (60 * NS_PER_S) /* what people ask for may take a while */

static const char *const link_names[DB_LINKS] = {"jobqd claim", "jobqd complete", "jobqd admin", "jobqd gate", "jobqd listen"};

/* jobq_worker's role settings say the same; these hold for any other role too. The statements of the hot links name rows by
 * index only: a plan made while the table was empty must not stay a sequential scan when it has grown. */
#define SETUP_ALL \
	"SET search_path = pg_catalog, pg_temp", "SET jit = off", "SET statement_timeout = 0", "SET idle_session_timeout = 0"
static const char *const setup_hot[] = {
	SETUP_ALL, "SET plan_cache_mode = force_generic_plan",
	"SET enable_seqscan = off", "SET enable_hashjoin = off", "SET enable_mergejoin = off", "SET enable_bitmapscan = off", NULL};
static const char *const setup_admin[] = {SETUP_ALL, "SET enable_seqscan = off", NULL};
static const char *const setup_plain[] = {SETUP_ALL, NULL};
static const char *const setup_gate[] = {SETUP_ALL, "SET lock_timeout = 0", NULL}; /* it waits for its lock as long as it takes */

void db_publish(struct dispatcher *d, uint32_t state, const char *error)
{
	if (atomic_load(&d->global->db_state) != state)
		log_info("database %s%s%s", shm_db_state_name(state), *error ? ": " : "", error);
	shm_cell_set(&d->global->db_error, error);
	atomic_store(&d->global->db_state, state);
}

static bool links_ready(const struct dispatcher *d)
{
	for (int i = 0; i < DB_LINKS; i++)
		if (d->link[i] && !pg_conn_ready(d->link[i]))
			return false;
	return true;
}

bool db_up(const struct dispatcher *d)
{
	return d->schema_checked && links_ready(d);
}

/* ---- statements ---- */

struct named_stmt {
	struct pg_stmt stmt;
	UT_hash_handle hh;
};

const struct pg_stmt *db_stmt(const char *name)
{
	static struct named_stmt *known;
	struct named_stmt *found;
	HASH_FIND_STR(known, name, found);
	if (!found) {
		found = xcalloc(1, sizeof *found);
		found->stmt.name = xstrdup(name);
		found->stmt.sql = pg_sql(name);
		HASH_ADD_KEYPTR(hh, known, found->stmt.name, strlen(found->stmt.name), found);
	}
	return &found->stmt;
}

static char *replaced(const char *sql, const char *mark, const char *text)
{
	struct buf out = {0};
	const char *at;
	while ((at = strstr(sql, mark)) != NULL) {
		buf_add(&out, sql, (size_t)(at - sql));
		buf_puts(&out, text);
		sql = at + strlen(mark);
	}
	buf_puts(&out, sql);
	char *made = xstrdup(buf_str(&out));
	buf_free(&out);
	return made;
}

const struct pg_stmt *db_stmt_with(const char *name, const char *key, const char *mark, const char *text)
{
	static struct named_stmt *known;
	struct named_stmt *found;
	char full[128];
	snprintf(full, sizeof full, "%s_%s", name, key);
	HASH_FIND_STR(known, full, found);
	if (!found) {
		found = xcalloc(1, sizeof *found);
		found->stmt.name = xstrdup(full);
		found->stmt.sql = replaced(pg_sql(name), mark, text);
		HASH_ADD_KEYPTR(hh, known, found->stmt.name, strlen(found->stmt.name), found);
	}
	return &found->stmt;
}

struct pg_params *db_params(struct dispatcher *d)
{
	pg_params_reset(&d->params);
	return &d->params;
}

bool db_send(struct dispatcher *d, enum db_link link, const char *stmt, pg_done *done, void *arg)
{
	return d->link[link] && pg_conn_send(d->link[link], db_stmt(stmt), &d->params, false, done, arg);
}

bool db_send_text(struct dispatcher *d, enum db_link link, const char *stmt, pg_done *done, void *arg)
{
	return d->link[link] && pg_conn_send(d->link[link], db_stmt(stmt), &d->params, true, done, arg);
}

void db_param_refs(struct dispatcher *d, struct job *const *jobs, size_t n)
{
	pg_array_begin(&d->params, PG_INT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int8(&d->params, jobs[i]->id);
	pg_array_end(&d->params);
	pg_array_begin(&d->params, PG_INT8, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int8(&d->params, jobs[i]->token);
	pg_array_end(&d->params);
}

/* ---- the schema ---- */

static void schema_refused(struct dispatcher *d, const char *why)
{
	d->next_schema_ns = clock_mono_ns() + SCHEMA_RETRY_NS;
	db_publish(d, DB_WAITING, why);
}

static void schema_accepted(struct dispatcher *d, int32_t number)
{
	atomic_store(&d->global->schema, (uint32_t)number);
	d->schema_checked = true;
	if (!links_ready(d))
		return;
	if (d->phase == PHASE_CONNECT)
		node_register(d);
	else
		node_renew(d);
}

static void schema_answer(void *arg, const struct pg_result *result)
{
	struct dispatcher *d = arg;
	char why[256];
	d->checking = false;
	if (result->status == PG_LOST)
		return;
	if (result->status != PG_OK) {
		snprintf(why, sizeof why, "the schema jobq is missing or not readable (%s): run `jobqctl migrate`", result->error);
		schema_refused(d, why);
		return;
	}
	int32_t number = pg_get_int4(result->res, 0, 0);
	if (number < MIGRATE_SCHEMA_VERSION)
		snprintf(why, sizeof why, "schema %d is older than this jobqd's %d: run `jobqctl migrate`", number, MIGRATE_SCHEMA_VERSION);
	else if (number > MIGRATE_SCHEMA_VERSION + 1)
		snprintf(why, sizeof why, "schema %d is newer than this jobqd (it knows %d): upgrade jobqd", number, MIGRATE_SCHEMA_VERSION);
	else {
		schema_accepted(d, number);
		return;
	}
	schema_refused(d, why);
}

static bool migrate_embedded(struct dispatcher *d)
{
	char why[512] = "";
	if (!d->child->owner_database)
		return true;
	FILE *null = fopen("/dev/null", "w");
	if (!null)
		return false;
	int code = migrate_apply(d->child->owner_database, MIGRATE_ROLES_EXISTING, null, why, sizeof why);
	if (fclose(null) != 0)
		log_debug("/dev/null could not be closed");
	if (code == 0)
		return true;
	schema_refused(d, why);
	return false;
}

static void schema_check(struct dispatcher *d)
{
	if (d->checking || !pg_conn_ready(d->link[DB_ADMIN]) || !migrate_embedded(d))
		return;
	db_params(d);
	d->checking = db_send(d, DB_ADMIN, "schema_version", schema_answer, d);
}

/* ---- links ---- */

static void listening(void *arg, const struct pg_result *result)
{
	(void)arg;
	if (result->status != PG_OK && result->status != PG_LOST)
		log_error("LISTEN failed, new jobs are found by polling: %s", result->error);
}

static void link_ready(void *arg, struct pg_conn *conn)
{
	struct dispatcher *d = arg;
	enum db_link listen = d->link[DB_LISTEN] ? DB_LISTEN : DB_CLAIM;
	if (conn == d->link[listen] && !d->conf->jobqd.pooler && !pg_conn_exec(conn, "LISTEN jobq_wake", listening, d))
		log_debug("LISTEN could not be sent");
	if (!d->schema_checked) {
		if (conn == d->link[DB_ADMIN])
			schema_check(d);
	}
	if (d->schema_checked && links_ready(d)) {
		d->connected_since_ns = clock_mono_ns();
		if (d->phase == PHASE_CONNECT)
			node_register(d);
		else
			node_renew(d);
	}
}

static void link_down(void *arg, struct pg_conn *conn, const char *error)
{
	struct dispatcher *d = arg;
	d->lease_ok = false;
	if (d->exit_now)
		return;
	if (conn == d->link[DB_GATE])
		wake_lost(d);
	bool never = d->phase == PHASE_CONNECT && atomic_load(&d->global->db_state) == DB_CONNECTING;
	db_publish(d, never ? DB_CONNECTING : DB_WAITING, error);
	if (d->leaving)
		dispatcher_pump(d);
}

static void link_notify(void *arg, struct pg_conn *conn, const char *channel, const char *payload)
{
	(void)conn;
	(void)channel;
	wake_notify(arg, payload);
}

static struct pg_conn *link_new(struct dispatcher *d, enum db_link link, const char *conninfo, bool pooler)
{
	static const struct pg_calls calls = {.ready = link_ready, .down = link_down, .notify = link_notify};
	const char *const *setup = link <= DB_ACK ? setup_hot : link == DB_ADMIN ? setup_admin : link == DB_GATE ? setup_gate : setup_plain;
	const struct pg_opts opts = {
		.name = link_names[link], .conninfo = conninfo, .pooler = pooler, .setup = pooler ? NULL : setup};
	return pg_conn_new(d->base, &opts, &calls, d);
}

void db_start(struct dispatcher *d)
{
	bool pooler = d->conf->jobqd.pooler != 0;
	char target[256];
	pg_target_text(d->child->database, target, sizeof target);
	shm_cell_set(&d->global->db_target, target);
	db_publish(d, DB_CONNECTING, "");
	for (int i = DB_CLAIM; i <= DB_ADMIN; i++)
		d->link[i] = link_new(d, (enum db_link)i, d->child->database, pooler);
	const char *direct = *d->conf->jobqd.listen_database ? d->conf->jobqd.listen_database : NULL;
	if (!pooler || direct)
		d->link[DB_GATE] = link_new(d, DB_GATE, direct ? direct : d->child->database, false);
	if (direct)
		d->link[DB_LISTEN] = link_new(d, DB_LISTEN, direct, false);
}

/* A link that owes answers and gives none: the other end is silent, though TCP may not know it. All links go the same way, so
 * all are made anew; what was under way counts as lost. The GATE may wait for its lock as long as it takes. */
static bool link_is_silent(struct dispatcher *d, enum db_link link, int64_t now)
{
	struct link_watch *watch = &d->watch[link];
	if (!d->link[link] || !pg_conn_ready(d->link[link]))
		return false;
	uint64_t answered = pg_conn_answered(d->link[link]);
	if (answered != watch->answered || pg_conn_pending(d->link[link]) == 0) {
		watch->answered = answered;
		watch->since_ns = now;
	}
	int64_t patience = link == DB_ADMIN ? SLOW_NS : d->conf->jobqd.lease / 2;
	return now - watch->since_ns > patience;
}

static void watch_links(struct dispatcher *d)
{
	int64_t now = clock_mono_ns();
	bool silent = false;
	for (int i = DB_CLAIM; i <= DB_ADMIN; i++)
		silent |= link_is_silent(d, (enum db_link)i, now);
	if (!silent)
		return;
	log_warn("the database does not answer: connecting anew");
	for (int i = 0; i < DB_LINKS; i++) {
		d->watch[i].since_ns = now;
		if (d->link[i])
			pg_conn_reset(d->link[i], "no answer from the database");
	}
}

void db_second(struct dispatcher *d)
{
	watch_links(d);
	if (!d->schema_checked && clock_mono_ns() >= d->next_schema_ns)
		schema_check(d);
}

void db_stop(struct dispatcher *d)
{
	for (int i = 0; i < DB_LINKS; i++)
		if (d->link[i])
			pg_conn_reset(d->link[i], "leaving");
	for (int turn = 0; turn < 3; turn++) /* what is under way is called back as lost, and gives its memory back */
		if (event_base_loop(d->base, EVLOOP_NONBLOCK) < 0)
			break;
	for (int i = 0; i < DB_LINKS; i++)
		if (d->link[i]) {
			pg_conn_free(d->link[i]);
			d->link[i] = NULL;
		}
}
