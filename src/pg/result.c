/*
 * result.c: values out of a binary result, checked.
 *
 * Pure; runs wherever results are read. Nothing here trusts the length that came over the wire: a NULL, or a length that
 * is not the type's, reads as 0, "" or false. Texts point into the PGresult and end with it; libpq puts a NUL behind
 * every value.
 */
#include "config.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "pg/conn.h"

#define US_2000 INT64_C(946684800000000) /* 2000-01-01, PostgreSQL's epoch, in us since 1970 */

/* The value's bytes when it has exactly `want` of them, else NULL. */
static const char *exactly(const PGresult *res, int row, int col, int want)
{
	if (PQgetisnull(res, row, col) || PQgetlength(res, row, col) != want)
		return NULL;
	return PQgetvalue(res, row, col);
}

int16_t pg_get_int2(const PGresult *res, int row, int col)
{
	const char *p = exactly(res, row, col, 2);
	uint16_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof v);
	return (int16_t)be16toh(v);
}

int32_t pg_get_int4(const PGresult *res, int row, int col)
{
	const char *p = exactly(res, row, col, 4);
	uint32_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof v);
	return (int32_t)be32toh(v);
}

int64_t pg_get_int8(const PGresult *res, int row, int col)
{
	const char *p = exactly(res, row, col, 8);
	uint64_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof v);
	return (int64_t)be64toh(v);
}

bool pg_get_bool(const PGresult *res, int row, int col)
{
	const char *p = exactly(res, row, col, 1);

	return p != NULL && *p != 0;
}

double pg_get_float8(const PGresult *res, int row, int col)
{
	uint64_t bits = (uint64_t)pg_get_int8(res, row, col);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

const char *pg_get_text(const PGresult *res, int row, int col, size_t *len)
{
	const char *p = "";
	size_t n = 0;

	if (!PQgetisnull(res, row, col)) {
		p = PQgetvalue(res, row, col);
		n = (size_t)PQgetlength(res, row, col);
	}
	if (len != NULL)
		*len = n;
	return p;
}

const char *pg_get_jsonb(const PGresult *res, int row, int col, size_t *len)
{
	size_t n;
	const char *p = pg_get_text(res, row, col, &n);

	if (n > 0 && p[0] == 1) {
		p++;
		n--;
	} else {
		p = "";
		n = 0;
	}
	if (len != NULL)
		*len = n;
	return p;
}

int64_t pg_get_timestamp_us(const PGresult *res, int row, int col)
{
	int64_t v = pg_get_int8(res, row, col);

	if (exactly(res, row, col, 8) == NULL)
		return 0;
	if (v > INT64_MAX - US_2000)
		return INT64_MAX; /* infinity is INT64_MAX on the wire */
	return v == INT64_MIN ? INT64_MIN : v + US_2000;
}

int64_t pg_get_tid(const PGresult *res, int row, int col)
{
	const char *p = exactly(res, row, col, 6);
	uint32_t block;
	uint16_t line;

	if (p == NULL)
		return PG_NO_TID;
	memcpy(&block, p, sizeof block);
	memcpy(&line, p + sizeof block, sizeof line);
	return (int64_t)be32toh(block) << 16 | be16toh(line);
}

bool pg_get_isnull(const PGresult *res, int row, int col)
{
	return PQgetisnull(res, row, col) != 0;
}
