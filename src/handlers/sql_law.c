/*
 * handlers/sql_law.c: the statement of the handler `sql`, and SQLSTATEs as it must take them (see sql_law.h).
 *
 * Pure; runs in workers. pg_error_class says what a state means for whoever sent the request; here the request runs a stranger's
 * function, so a table that is missing inside it is the function's affair, and the same state without a context is the
 * configuration's. What stands in no row may be different the next time: it is tried again, as often as the job may be.
 */
#include "config.h"

#include "handlers/sql_law.h"

#include <stddef.h>
#include <string.h>

#include "base/ident.h"

#define NAME_MAX_BYTES 63 /* of an identifier */

static const struct {
	const char *prefix;
	enum sql_verdict verdict;
} states[] = {
	{"08P01", SQL_RETRY},   /* protocol violation: the function gave what no client can read */
	{"08", SQL_LOST},       /* connection exception */
	{"40003", SQL_LOST},    /* statement completion unknown */
	{"40", SQL_AGAIN},      /* serialization failure, deadlock */
	{"26000", SQL_AGAIN},   /* its prepared statement is not there */
	{"0A000", SQL_AGAIN},   /* a plan that the function's change has made stale */
	{"57014", SQL_RETRY},   /* cancelled: statement_timeout */
	{"57", SQL_AWAY},       /* shutting down, starting, crashed */
	{"53200", SQL_RETRY},   /* out of memory */
	{"53400", SQL_RETRY},   /* beyond a limit that is set, such as temp_file_limit */
	{"53", SQL_AWAY},       /* disk full, too many connections */
	{"58P01", SQL_RETRY},   /* a file that is not there */
	{"58P02", SQL_RETRY},   /* or is there */
	{"58", SQL_AWAY},       /* input/output error */
	{"25006", SQL_AWAY},    /* read only: a standby, or demoted */
	{"21", SQL_FAIL},       /* more rows than one */
	{"22", SQL_FAIL},       /* data exception */
	{"23", SQL_FAIL},       /* integrity constraint violation */
	{"44", SQL_FAIL},       /* with check option violation */
};

static bool sql_identifier(const char *text, size_t len, struct buf *out)
{
	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	ident_quoten(out, text, len);
	return true;
}

bool sql_statement(const char *function, struct buf *out)
{
	const char *dot = strchr(function, '.');
	struct buf name = {0};
	bool good = dot != NULL && strchr(dot + 1, '.') == NULL && sql_identifier(function, (size_t)(dot - function), &name);

	if (good) {
		buf_putc(&name, '.');
		good = sql_identifier(dot + 1, strlen(dot + 1), &name);
	}
	if (good)
		buf_printf(out, "SELECT o.id::pg_catalog.int8, o.outcome::pg_catalog.text, o.result::pg_catalog.jsonb, o.error::pg_catalog.text,"
			" (pg_catalog.date_part('epoch', o.after::pg_catalog.interval) * 1000)::pg_catalog.int8 FROM %s($1::pg_catalog.jsonb) AS o", buf_str(&name));
	buf_free(&name);
	return good;
}

enum sql_verdict sql_verdict(const char *sqlstate, bool inside)
{
	if (sqlstate == NULL || sqlstate[0] == '\0')
		return SQL_LOST;
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strncmp(sqlstate, states[i].prefix, strlen(states[i].prefix)) == 0)
			return states[i].verdict;
	if (!inside && (strncmp(sqlstate, "42", 2) == 0 || strncmp(sqlstate, "3F", 2) == 0 || strncmp(sqlstate, "3D", 2) == 0
		|| strncmp(sqlstate, "28", 2) == 0))
		return SQL_REFUSED;
	return SQL_RETRY;
}
