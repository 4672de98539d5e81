/*
 * dispatcher/control.c: commands that people send through the master's control socket (docs/protocol.md, "control").
 *
 * Runs in the dispatcher. Lines of JSON come over the socketpair with the master; each gets exactly one answer with its request number.
 * A command is a row of the table below: the keys it takes, and one statement of sql/statements/ that gets the arguments as one jsonb
 * and returns the result as one. The ADMIN link does it, so a slow listing delays no claim. The master gives up
 * after two seconds; an answer that comes later is dropped there. A broken line is logged and skipped.
 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/exceeded.h"
#include "dispatcher/filter.h"
#include "shm/cell.h"

#define LINE_MAX_BYTES (32u << 20)

struct request {
	struct dispatcher *d;
	json_int_t number;
	const struct command *command;
	json_t *args;
};
typedef void command_fn(struct request *request);

struct command {
	const char *verb;
	const char *keys;     /* space separated: any other key is refused */
	const char *stmt;     /* with $1 jsonb */
	command_fn *run;      /* sends the statement, or answers by itself */
	const char *missing;  /* the text when the statement returns NULL */
};

/* ---- answers ---- */

static void put_line(struct dispatcher *d, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	if (text) {
		buf_puts(&d->control_out, text);
		buf_putc(&d->control_out, '\n');
		free(text);
	}
	json_decref(line);
	if (event_add(d->control_writer, NULL) != 0)
		log_error("the master cannot be answered");
}

static void request_free(struct request *request)
{
	json_decref(request->args);
	free(request);
}

static void refuse(struct request *request, const char *code, const char *text)
{
	put_line(request->d, json_pack("{s:I, s:b, s:s, s:s}", "req", request->number, "ok", 0, "code", code, "error", text));
	request_free(request);
}

/* Takes the reference to result. */
static void answer(struct request *request, json_t *result)
{
	put_line(request->d, json_pack("{s:I, s:b, s:o}", "req", request->number, "ok", 1, "result", result));
	request_free(request);
}

static void refuse_database(struct request *request)
{
	char text[SHM_CELL_TEXT + 64], error[SHM_CELL_TEXT];
	const struct shm_global *global = request->d->global;
	snprintf(text, sizeof text, "the database is %s: %s", shm_db_state_name(atomic_load(&global->db_state)),
	         shm_cell_get(&global->db_error, error));
	refuse(request, "database_away", text);
}

/* ---- the statement ---- */

static void statement_answer(void *arg, const struct pg_result *result)
{
	struct request *request = arg;
	if (result->status == PG_LOST || result->status == PG_TRANSIENT) {
		refuse_database(request);
		return;
	}
	if (result->status != PG_OK) {
		refuse(request, "error", result->error);
		return;
	}
	bool nothing = PQntuples(result->res) == 0 || pg_get_isnull(result->res, 0, 0);
	if (nothing && strcmp(request->command->verb, "why") == 0) {
		answer(request, why_unknown(json_object_get(request->args, "id")));
		return;
	}
	if (nothing) {
		refuse(request, "not_found", request->command->missing);
		return;
	}
	size_t len;
	const char *text = pg_get_jsonb(result->res, 0, 0, &len);
	json_t *document = json_loadb(text, len, JSON_DECODE_ANY, NULL);
	if (!document) /* a payload may hold integers beyond 64 bits: then numbers are shown as reals */
		document = json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	bool why = strcmp(request->command->verb, "why") == 0;
	if (!document) {
		refuse(request, "error", "the database's answer is not JSON");
	} else if (why) {
		answer(request, why_job(request->d, document));
		json_decref(document);
	} else {
		answer(request, document);
	}
}

static void send_statement(struct request *request, const struct pg_stmt *stmt)
{
	struct dispatcher *d = request->d;
	char *text = json_dumps(request->args, JSON_COMPACT);
	struct pg_params *p = db_params(d);
	pg_param_text(p, text);
	free(text);
	if (!d->schema_checked || !pg_conn_send(d->link[DB_ADMIN], stmt, p, false, statement_answer, request))
		refuse_database(request);
}

static void run_statement(struct request *request)
{
	send_statement(request, db_stmt(request->command->stmt));
}

/* ---- commands that are more than their statement ---- */

static void run_jobs(struct request *request)
{
	json_t *filter = json_deep_copy(request->args), *args = json_object();
	json_object_set(args, "limit", json_object_get(filter, "limit"));
	json_object_del(filter, "limit");
	filter_globs(filter);
	json_object_set_new(args, "filter", filter);
	json_decref(request->args);
	request->args = args;
	send_statement(request, filter_stmt(request->command->stmt, filter));
}

/* retry and cancel: of ids, or of what a filter finds (first only counted). */
static void run_change(struct request *request)
{
	json_t *filter = json_object_get(request->args, "filter");
	if (!filter) {
		run_statement(request);
		return;
	}
	filter_globs(filter);
	json_object_set_new(request->args, "verb", json_string(request->command->verb));
	send_statement(request, filter_stmt(json_is_true(json_object_get(request->args, "dry_run")) ? "ctl_match" : "ctl_change", filter));
}

static void run_enqueue(struct request *request)
{
	const char *jobs = json_string_value(json_object_get(request->args, "jobs"));
	struct dispatcher *d = request->d;
	if (!jobs) {
		refuse(request, "usage", "enqueue: `jobs` must be a text");
		return;
	}
	struct pg_params *p = db_params(d);
	pg_param_text(p, jobs);
	if (!d->schema_checked || !db_send(d, DB_ADMIN, "ctl_enqueue", statement_answer, request))
		refuse_database(request);
}

/* In force here at once; stored, it is in force everywhere. */
static void pause_stored(void *arg, const struct pg_result *result)
{
	struct request *request = arg;
	struct dispatcher *d = request->d;
	struct queue *queue = dispatcher_queue(d, json_string_value(json_object_get(request->args, "queue")));
	bool stored = result->status == PG_OK;
	if (queue)
		queue->pause_unstored = !stored;
	d->next_tick_ns = 0;
	if (!stored && result->status != PG_LOST && result->status != PG_TRANSIENT)
		refuse(request, "error", result->error);
	else
		answer(request, json_pack("{s:b}", "stored", stored));
}

static void run_pause(struct request *request)
{
	struct dispatcher *d = request->d;
	const char *name = json_string_value(json_object_get(request->args, "queue"));
	const char *tenant = json_string_value(json_object_get(request->args, "tenant"));
	const char *by = json_string_value(json_object_get(request->args, "by"));
	const char *reason = json_string_value(json_object_get(request->args, "reason"));
	double for_s = json_number_value(json_object_get(request->args, "for_s"));
	bool pause = strcmp(request->command->verb, "pause") == 0;
	if (!name) {
		refuse(request, "usage", "a queue is needed");
		return;
	}
	int64_t now = clock_real_us();
	tick_pause(d, name, tenant, pause, by ? by : "", reason ? reason : "", now, for_s > 0 ? now + (int64_t)(for_s * 1e6) : 0);
	dispatcher_pump(d);
	char *text = json_dumps(request->args, JSON_COMPACT);
	pg_param_text(db_params(d), text);
	free(text);
	if (d->schema_checked && db_send(d, DB_ADMIN, request->command->stmt, pause_stored, request))
		return;
	struct queue *queue = dispatcher_queue(d, name);
	if (queue)
		queue->pause_unstored = true;
	answer(request, json_pack("{s:b}", "stored", 0));
}

static void run_why(struct request *request)
{
	const char *name = json_string_value(json_object_get(request->args, "queue"));
	struct queue *queue = name ? dispatcher_queue(request->d, name) : NULL;
	if (!name)
		run_statement(request);
	else if (queue)
		answer(request, why_queue(request->d, queue));
	else
		refuse(request, "not_found", "no such queue is served by this node");
}

/* No database is asked. */
static void run_metrics(struct request *request)
{
	const json_t *tenant = json_object_get(request->args, "tenant");
	if (tenant && !json_is_string(tenant)) {
		refuse(request, "usage", "metrics: `tenant` must be a text");
		return;
	}
	json_t *doc = tenant ? exceeded_workspace(request->d, json_string_value(tenant)) : exceeded_metrics(request->d);
	if (doc)
		answer(request, doc);
	else
		refuse(request, "error", "the metrics cannot be told: out of memory");
}

static void run_reset(struct request *request)
{
	const char *queue = json_string_value(json_object_get(request->args, "queue")), *near = NULL;
	json_t *doc = exceeded_reset(request->d, queue, json_string_value(json_object_get(request->args, "tenant")), &near);
	char text[256];
	if (doc) {
		answer(request, doc);
		return;
	}
	snprintf(text, sizeof text, "no queue \"%.64s\" on this node%s%s%s", queue, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	refuse(request, "not_found", text);
}

#define FILTER_KEYS "queue tenant user status type error since_s"
static const struct command commands[] = {
	{"jobs", FILTER_KEYS " limit", "ctl_jobs", run_jobs, ""},
	{"held", "queue limit", "ctl_held", run_statement, ""},
	{"job", "id payload", "ctl_job", run_statement, "no job has this id (it may have expired)"},
	{"enqueue", "jobs by", "ctl_enqueue", run_enqueue, ""},
	{"retry", "ids filter dry_run limit after_id last_id by", "ctl_retry", run_change, ""},
	{"cancel", "ids filter dry_run limit after_id last_id by", "ctl_cancel", run_change, ""},
	{"resolve", "ids verdict note by", "ctl_resolve", run_statement, ""},
	{"pause", "queue tenant for_s reason by", "ctl_pause", run_pause, ""},
	{"resume", "queue tenant by", "ctl_resume", run_pause, ""},
	{"metrics", "tenant", NULL, run_metrics, ""},
	{"metrics-reset", "queue tenant by", NULL, run_reset, ""},
	{"why", "id queue", "ctl_why", run_why, "no job has this id (it may have expired)"},
};

/* ---- lines ---- */

static bool knows_key(const char *keys, const char *key)
{
	size_t len = strlen(key);
	for (const char *at = keys; (at = strstr(at, key)) != NULL; at += len)
		if ((at == keys || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return len > 0;
	return false;
}

static const struct command *command_find(const char *verb)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(commands[i].verb, verb) == 0)
			return &commands[i];
	return NULL;
}

static void run_request(struct dispatcher *d, json_t *line, const char *verb)
{
	struct request *request = xcalloc(1, sizeof *request);
	const char *key;
	json_t *value, *args = json_object_get(line, "args");
	char text[128];
	request->d = d;
	request->number = json_integer_value(json_object_get(line, "req"));
	request->command = command_find(verb);
	request->args = json_is_object(args) ? json_incref(args) : json_object();
	if (!request->command) {
		refuse(request, "not_in_this_version", "the dispatcher does not know this command");
		return;
	}
	json_object_foreach(request->args, key, value)
		if (!knows_key(request->command->keys, key)) {
			snprintf(text, sizeof text, "%s: no argument \"%.60s\"", verb, key);
			refuse(request, "usage", text);
			return;
		}
	request->command->run(request);
}

static void run_line(struct dispatcher *d, const char *text, size_t len)
{
	json_t *line = json_loadb(text, len, 0, NULL);
	const char *verb = json_string_value(json_object_get(line, "cmd"));
	const char *event = json_string_value(json_object_get(line, "event"));
	if (event && strcmp(event, "drain") == 0) {
		d->draining = true;
		dispatcher_pump(d);
	} else if (verb) {
		run_request(d, line, verb);
	} else {
		log_warn("the master sent a line that is no request");
	}
	json_decref(line);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct dispatcher *d = arg;
	(void)what;
	for (;;) {
		buf_reserve(&d->control_in, 65536);
		ssize_t n = read(fd, d->control_in.data + d->control_in.len, 65536);
		if (n > 0 && d->control_in.len < LINE_MAX_BYTES) {
			d->control_in.len += (size_t)n;
			continue;
		}
		if (n == 0 || n > 0) /* the master is gone (the lifeline says so too), or it sends an endless line */
			(void)event_del(d->control_reader);
		break;
	}
	char *end;
	size_t done = 0;
	while (d->control_in.len > done && (end = memchr(d->control_in.data + done, '\n', d->control_in.len - done)) != NULL) {
		run_line(d, d->control_in.data + done, (size_t)(end - d->control_in.data) - done);
		done = (size_t)(end - d->control_in.data) + 1;
	}
	buf_drop(&d->control_in, done);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct dispatcher *d = arg;
	(void)what;
	while (d->control_out.len > 0) {
		ssize_t n = write(fd, d->control_out.data, d->control_out.len);
		if (n < 0 && errno == EAGAIN && event_add(d->control_writer, NULL) == 0)
			return;
		if (n <= 0) {
			buf_reset(&d->control_out);
			return;
		}
		buf_drop(&d->control_out, (size_t)n);
	}
}

void control_start(struct dispatcher *d)
{
	d->control_reader = event_new(d->base, d->child->control, EV_READ | EV_PERSIST, on_readable, d);
	d->control_writer = event_new(d->base, d->child->control, EV_WRITE, on_writable, d);
	if (!d->control_reader || !d->control_writer || event_add(d->control_reader, NULL) != 0)
		log_error("the master's requests cannot be read");
}
