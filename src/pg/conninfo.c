/*
 * conninfo.c: what the user wrote about the database, checked, completed, and told to people without its secrets.
 *
 * Pure but for libpq's parser; runs in every process that connects or prints a target. It never quotes the text it was
 * given: a password with a forgotten %40 ends up in the host name, and libpq's own messages would print it. So a host
 * with '@' in it and the like are refused, parse errors are told in general words, and messages from a connection are masked.
 */
#include "config.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "pg/conn.h"
#include "pg/conninfo.h"

#define TIMEOUT_DEFAULT_S 10
#define TIMEOUT_MIN_S 2

static const struct {
	const char *key, *value;
} defaults[] = {
	{ "target_session_attrs", "read-write" },
	{ "keepalives", "1" },
	{ "keepalives_idle", "10" },
	{ "keepalives_interval", "5" },
	{ "keepalives_count", "3" },
	{ "tcp_user_timeout", "10000" },
	{ "client_encoding", "UTF8" },
};

static char *own(struct conninfo *ci, char *text)
{
	ci->owned[ci->n_owned++] = text;
	return text;
}

static void add(struct conninfo *ci, const char *key, const char *value)
{
	if (ci->n >= CONNINFO_MAX)
		return; /* libpq knows some forty keywords */
	ci->keys[ci->n] = key;
	ci->values[ci->n++] = value;
}

static const char *get(const struct conninfo *ci, const char *key)
{
	for (size_t i = 0; i < ci->n; i++)
		if (strcmp(ci->keys[i], key) == 0)
			return ci->values[i];
	return NULL;
}

static size_t list_len(const char *list)
{
	size_t n = 1;

	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* "a,b,c" turned by 1 is "b,c,a"; a single element stays as it is. */
static char *rotated(const char *list, unsigned turn)
{
	size_t n = list_len(list);
	const char *tail = list;

	for (size_t i = turn % n; i > 0; i--)
		tail = strchr(tail, ',') + 1;
	if (tail == list)
		return xstrdup(list);
	return xasprintf("%s,%.*s", tail, (int)(tail - list - 1), list);
}

/* Why a value looks like a piece of a misplaced password, or NULL. */
static const char *suspicious(const PQconninfoOption *o, bool uri)
{
	bool at = strchr(o->val, '@') != NULL;

	if (strcmp(o->keyword, "host") == 0 && at && o->val[0] != '@') /* @name is an abstract socket */
		return "its host holds an '@' (write %40 for an '@' in a user or password)";
	if (strcmp(o->keyword, "port") == 0 && o->val[strspn(o->val, "0123456789,")] != '\0')
		return "its port is not a number (write %2F for a '/', %3A for a ':' in a user or password)";
	if (strcmp(o->keyword, "dbname") == 0 && at && uri)
		return "its database holds an '@' (write %2F for a '/' in a user or password, %40 for an '@')";
	return NULL;
}

/* Copies what the user said, hosts rotated. Returns the reason for refusing it, or NULL. */
static const char *copy_options(struct conninfo *ci, const PQconninfoOption *opts, unsigned turn, bool uri)
{
	for (const PQconninfoOption *o = opts; o->keyword != NULL && ci->n < CONNINFO_MAX; o++) {
		bool list = strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "hostaddr") == 0 || strcmp(o->keyword, "port") == 0;

		if (o->val == NULL)
			continue;
		const char *reason = suspicious(o, uri);
		if (reason != NULL)
			return reason;
		const char *key = own(ci, xstrdup(o->keyword));
		add(ci, key, own(ci, list ? rotated(o->val, turn) : xstrdup(o->val)));
	}
	return NULL;
}

bool conninfo_parse(struct conninfo *ci, const char *text, const char *app_name, unsigned turn, char *err, size_t errlen)
{
	PQconninfoOption *opts = PQconninfoParse(text, NULL);
	const char *reason = opts == NULL ? "it cannot be parsed (not quoted here, it may hold a password)" : NULL;
	const char *timeout;
	int64_t seconds = TIMEOUT_DEFAULT_S;

	memset(ci, 0, sizeof *ci);
	if (opts != NULL)
		reason = copy_options(ci, opts, turn, strstr(text, "://") != NULL);
	PQconninfoFree(opts);
	if (reason != NULL) {
		snprintf(err, errlen, "bad connection string: %s", reason);
		conninfo_free(ci);
		return false;
	}
	timeout = get(ci, "connect_timeout");
	if (timeout != NULL && units_int(timeout, 1, 3600, &seconds) && seconds < TIMEOUT_MIN_S)
		seconds = TIMEOUT_MIN_S;
	ci->timeout_ns = seconds * NS_PER_S;
	ci->password = get(ci, "password");
	for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
		if (get(ci, defaults[i].key) == NULL)
			add(ci, defaults[i].key, defaults[i].value);
	if (get(ci, "connect_timeout") == NULL) /* for blocking users; an asynchronous attempt is timed by its owner */
		add(ci, "connect_timeout", "10");
	if (get(ci, "application_name") == NULL)
		add(ci, "application_name", own(ci, xstrdup(app_name)));
	return true;
}

void conninfo_free(struct conninfo *ci)
{
	for (size_t i = 0; i < ci->n_owned; i++)
		free(ci->owned[i]);
	memset(ci, 0, sizeof *ci);
}

void conninfo_mask(const struct conninfo *ci, char *text)
{
	size_t len = ci->password == NULL ? 0 : strlen(ci->password);
	char *at;

	if (len < 3) /* a password of two letters occurs in every text */
		return;
	while ((at = strstr(text, ci->password)) != NULL) {
		memmove(at + 3, at + len, strlen(at + len) + 1);
		memcpy(at, "***", 3);
		text = at + 3;
	}
}

void pg_target_text(const char *conninfo, char *dst, size_t size)
{
	struct conninfo ci;
	char err[160], target[512];

	if (!conninfo_parse(&ci, conninfo, "jobq", 0, err, sizeof err)) {
		text_copy(dst, size, "(bad connection string)");
		return;
	}
	const char *host = get(&ci, "host");
	const char *dbname = get(&ci, "dbname");
	const char *service = get(&ci, "service");

	if (host == NULL)
		host = get(&ci, "hostaddr");
	if (host == NULL)
		host = service != NULL ? service : "local";
	if (dbname == NULL)
		dbname = get(&ci, "user");
	snprintf(target, sizeof target, "%s/%s", host, dbname == NULL ? "" : dbname);
	conninfo_mask(&ci, target);
	text_printable(dst, size, target, strlen(target));
	conninfo_free(&ci);
}
