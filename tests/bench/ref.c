/*
 * bench/ref.c: see ref.h. Runs in the reference programs only; a failure of any call ends the program with exit code 1 and
 * the reason on stderr, for a measurement that went on after an error would be no measurement.
 */
#include "config.h"

#include "ref.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t ref_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static _Noreturn void ref_die(PGconn *conn, const char *what)
{
	fprintf(stderr, "%s: %s", what, PQerrorMessage(conn));
	exit(1);
}

PGconn *ref_connect(const char *conninfo)
{
	PGconn *conn = PQconnectdb(conninfo);
	if (PQstatus(conn) != CONNECTION_OK)
		ref_die(conn, "connect");
	return conn;
}

PGresult *ref_take(PGconn *conn, PGresult *result, const char *what)
{
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		ref_die(conn, what);
	return result;
}

void ref_do(PGconn *conn, const char *sql)
{
	PQclear(ref_take(conn, PQexec(conn, sql), sql));
}

char *ref_text(PGconn *conn, const char *sql)
{
	PGresult *result = ref_take(conn, PQexec(conn, sql), sql);
	char *text = NULL;
	if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		text = strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return text;
}

int64_t ref_number(const char *text, const char *what, int64_t min, int64_t max)
{
	char *end = NULL;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
		fprintf(stderr, "%s must be a number from %lld to %lld, not \"%s\"\n", what, (long long)min, (long long)max, text);
		exit(2);
	}
	return value;
}

static void put_u32(char *at, uint32_t value)
{
	uint32_t wire = htonl(value);
	memcpy(at, &wire, sizeof wire);
}

void ref_ids_reset(struct ref_ids *ids)
{
	ids->n = 0;
	ids->len = 20;
}

void ref_ids_add(struct ref_ids *ids, const char *int8_wire)
{
	if (ids->n >= REF_IDS)
		return;
	put_u32(ids->wire + ids->len, 8);
	memcpy(ids->wire + ids->len + 4, int8_wire, 8);
	ids->len += 12;
	ids->n++;
}

void ref_ids_close(struct ref_ids *ids)
{
	put_u32(ids->wire, 1);                    /* dimensions */
	put_u32(ids->wire + 4, 0);                /* no NULLs */
	put_u32(ids->wire + 8, 20);               /* int8 */
	put_u32(ids->wire + 12, (uint32_t)ids->n);
	put_u32(ids->wire + 16, 1);               /* lower bound */
}
