/*
 * master/answer.c: hello, ping, version, status, report, reload, stop, config.
 *
 * Runs in the master; needs no database and no living child. Unknown argument keys are refused. A reload is answered after
 * the check and the swap, not after the rolling that follows; a stop when it is noted.
 */
#include "config.h"

#include "master/answer.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "master/control.h"
#include "master/master.h"
#include "master/reload.h"
#include "pg/migrate.h"
#include "shm/report.h"
#include "shm/seg.h"
#include "shm/status.h"

typedef void answer(struct master *m, struct control_client *c, json_t *args);

static bool no_args(struct control_client *c, json_t *args)
{
	if (json_object_size(args) == 0)
		return true;
	master_control_error(c, "usage", "no argument \"%s\" is known here", json_object_iter_key(json_object_iter(args)));
	return false;
}

static void hello(struct master *m, struct control_client *c, json_t *args)
{
	(void)m;
	if (no_args(c, args))
		master_control_ok(c, json_pack("{s:i, s:s}", "protocol", 1, "version", PACKAGE_VERSION));
}

static void ping(struct master *m, struct control_client *c, json_t *args)
{
	if (no_args(c, args))
		master_control_ok(c, json_pack("{s:i, s:s, s:f}", "pid", (int)getpid(), "node", m->node, "uptime_s",
		                               (double)(clock_mono_ns() - m->started_ns) / (double)NS_PER_S));
}

static void version(struct master *m, struct control_client *c, json_t *args)
{
	char pq[32];
	uint32_t schema = atomic_load(&m->shm->global->schema);

	if (!no_args(c, args))
		return;
	(void)snprintf(pq, sizeof pq, "%d.%d", PQlibVersion() / 10000, PQlibVersion() % 10000);
	master_control_ok(c, json_pack("{s:s, s:o, s:i, s:{s:s, s:s, s:s, s:s}}", "version", PACKAGE_VERSION,
	                               "schema", schema != 0 ? json_integer((json_int_t)schema) : json_null(),
	                               "schema_wanted", MIGRATE_SCHEMA_VERSION, "libraries", "libpq", pq, "libevent", event_get_version(),
	                               "jansson", jansson_version_str(), "libcurl", curl_version_info(CURLVERSION_NOW)->version));
}

static void status(struct master *m, struct control_client *c, json_t *args)
{
	if (no_args(c, args))
		master_control_ok(c, shm_status_json(m->shm));
}

static void report(struct master *m, struct control_client *c, json_t *args)
{
	if (no_args(c, args))
		master_control_ok(c, shm_report_json(m->shm));
}

static void reload(struct master *m, struct control_client *c, json_t *args)
{
	char err[CONF_ERROR_MAX];
	bool changed;

	if (!no_args(c, args))
		return;
	if (!master_reload(m, &changed, err))
		master_control_error(c, "error", "%s", err);
	else
		master_control_ok(c, json_pack("{s:I, s:b}", "generation", (json_int_t)m->config_generation, "changed", changed ? 1 : 0));
}

static void stop(struct master *m, struct control_client *c, json_t *args)
{
	json_error_t error;
	int now = 0;

	if (json_unpack_ex(args, &error, 0, "{s?b !}", "now", &now) != 0) {
		master_control_error(c, "usage", "stop: %s", error.text);
		return;
	}
	m->marks.stop = true;
	if (now)
		m->marks.stop_now = true;
	master_control_ok(c, json_pack("{s:i}", "pid", (int)getpid()));
}

static void config(struct master *m, struct control_client *c, json_t *args)
{
	json_error_t error;
	const char *key = NULL;

	if (json_unpack_ex(args, &error, 0, "{s?s !}", "key", &key) != 0) {
		master_control_error(c, "usage", "config: %s", error.text);
		return;
	}
	json_t *list = conf_json(m->conf, key);
	if (list == NULL)
		master_control_error(c, "not_found", "no key \"%s\"; jobqctl config lists them", key != NULL ? key : "");
	else
		master_control_ok(c, list);
}

static const struct {
	const char *verb;
	answer *function;
} answers[] = {
	{"hello", hello}, {"ping", ping}, {"version", version}, {"status", status}, {"report", report},
	{"reload", reload}, {"stop", stop}, {"config", config},
};

static answer *find(const char *verb)
{
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		if (strcmp(answers[i].verb, verb) == 0)
			return answers[i].function;
	return NULL;
}

bool master_answer_has(const char *verb)
{
	return find(verb) != NULL;
}

void master_answer(struct master *m, struct control_client *c, const char *verb, json_t *args)
{
	answer *function = find(verb);

	if (function != NULL)
		function(m, c, args);
	else
		master_control_error(c, "not_in_this_version", "%s is not in this version", verb);
}
