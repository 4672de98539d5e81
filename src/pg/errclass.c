/*
 * errclass.c: what an SQLSTATE means for the one who sent the request: lost, try again, the schema, or the values.
 *
 * Pure; used by pg/conn.c in any process and by blocking users of libpq. The table is read top down, the first matching
 * prefix wins; a state that stands in no row is the request's own fault (PG_DATA), so that a request that always fails is
 * taken apart by its sender and not repeated for ever. Whatever PostgreSQL rolled back for reasons of its own, also its
 * internal errors (XX000: a leaf dropped under a running statement), may be tried again.
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "pg/conn.h"

static const struct {
	const char *prefix;
	enum pg_status status;
} classes[] = {
	{ "08P01", PG_DATA },   /* protocol violation: a statement and its parameters do not fit */
	{ "08", PG_LOST },      /* connection exception */
	{ "40003", PG_LOST },   /* statement completion unknown */
	{ "0A000", PG_DATA },   /* feature not supported: an argument of a later version */
	{ "25", PG_TRANSIENT }, /* invalid transaction state; 25006 = read only: a demoted primary */
	{ "26000", PG_TRANSIENT }, /* prepared statement is not there: it is prepared again */
	{ "28", PG_SCHEMA },    /* invalid authorization */
	{ "3D", PG_SCHEMA },    /* no such database */
	{ "3F", PG_SCHEMA },    /* no such schema */
	{ "40", PG_TRANSIENT }, /* serialization failure, deadlock */
	{ "42P05", PG_TRANSIENT }, /* duplicate prepared statement: a pooler shared one */
	{ "42", PG_SCHEMA },    /* no such table, column, function; no permission; syntax */
	{ "53", PG_TRANSIENT }, /* disk full, out of memory, too many connections */
	{ "55", PG_TRANSIENT }, /* lock timeout, object in use */
	{ "57", PG_TRANSIENT }, /* statement timeout, shutdown, crash of a neighbour */
	{ "58", PG_TRANSIENT }, /* input/output error */
	{ "72000", PG_TRANSIENT }, /* snapshot too old */
	{ "F0", PG_TRANSIENT }, /* configuration file error */
	{ "XX", PG_TRANSIENT }, /* internal error */
};

enum pg_status pg_error_class(const char *sqlstate)
{
	if (sqlstate == NULL || sqlstate[0] == '\0')
		return PG_LOST;
	if (strcmp(sqlstate, "00000") == 0)
		return PG_OK;
	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
		if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
			return classes[i].status;
	return PG_DATA;
}
