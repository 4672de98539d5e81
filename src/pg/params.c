/*
 * params.c: the values of one request, in PostgreSQL's binary formats, in memory that is used again.
 *
 * Pure; runs wherever a request is built. A value is one stretch of `data`; positions are kept as offsets, since the
 * buffer may move while it grows. Values in text format (any type) carry a NUL behind them, because libpq measures those
 * with strlen. An array's header is completed at its end from what was really added, so a wrong `n` costs memory, never
 * a wrong message. More than PG_PARAMS_MAX values is a programming error and aborts.
 */
#include "config.h"

#include <endian.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "pg/conn.h"

#define ARRAY_HEAD 20 /* ndim, has-null, element type, length, lower bound */

/* Offset of the value that begins here; aborts when there is no room for one more. */
static void begin(struct pg_params *p, int format)
{
	if (p->n >= PG_PARAMS_MAX) {
		log_error("more than %d parameters in one statement", PG_PARAMS_MAX);
		abort();
	}
	p->at[p->n] = p->data.len;
	p->format[p->n] = format;
}

static void end(struct pg_params *p)
{
	size_t len = p->data.len - p->at[p->n];

	if (len > INT_MAX) {
		log_error("parameter $%d is over 2 GiB", p->n + 1);
		abort();
	}
	p->len[p->n++] = (int)len;
}

void pg_params_reset(struct pg_params *p)
{
	p->n = 0;
	buf_reset(&p->data);
}

void pg_params_free(struct pg_params *p)
{
	p->n = 0;
	buf_free(&p->data);
}

void pg_param_null(struct pg_params *p)
{
	begin(p, 0);
	p->len[p->n++] = -1;
}

void pg_param_int4(struct pg_params *p, int32_t v)
{
	begin(p, 1);
	buf_u32_be(&p->data, (uint32_t)v);
	end(p);
}

void pg_param_int8(struct pg_params *p, int64_t v)
{
	begin(p, 1);
	buf_u64_be(&p->data, (uint64_t)v);
	end(p);
}

void pg_param_bool(struct pg_params *p, bool v)
{
	begin(p, 1);
	buf_u8(&p->data, v ? 1 : 0);
	end(p);
}

void pg_param_text(struct pg_params *p, const char *text)
{
	if (text == NULL)
		pg_param_null(p);
	else
		pg_param_textn(p, text, strlen(text));
}

void pg_param_textn(struct pg_params *p, const char *text, size_t len)
{
	begin(p, 0);
	buf_add(&p->data, text, len);
	end(p);
	buf_putc(&p->data, '\0');
}

void pg_array_begin(struct pg_params *p, enum pg_elem elem, size_t n)
{
	begin(p, 1);
	buf_reserve(&p->data, ARRAY_HEAD + n * 12);
	buf_u32_be(&p->data, 1);
	buf_u32_be(&p->data, 0);
	buf_u32_be(&p->data, (uint32_t)elem);
	buf_u32_be(&p->data, 0);
	buf_u32_be(&p->data, 1);
	p->elems = 0;
	p->nulls = false;
}

/* Length word of the next element. */
static void elem(struct pg_params *p, size_t len)
{
	if (len > INT_MAX) {
		log_error("an array element of parameter $%d is over 2 GiB", p->n + 1);
		abort();
	}
	buf_u32_be(&p->data, (uint32_t)len);
	p->elems++;
}

static void elem_null(struct pg_params *p)
{
	buf_u32_be(&p->data, UINT32_MAX);
	p->elems++;
	p->nulls = true;
}

void pg_array_int2(struct pg_params *p, int16_t v)
{
	elem(p, 2);
	buf_u16_be(&p->data, (uint16_t)v);
}

void pg_array_int4(struct pg_params *p, int32_t v)
{
	elem(p, 4);
	buf_u32_be(&p->data, (uint32_t)v);
}

void pg_array_int8(struct pg_params *p, int64_t v)
{
	elem(p, 8);
	buf_u64_be(&p->data, (uint64_t)v);
}

#define PG_EPOCH_US INT64_C(946684800000000) /* 2000-01-01, PostgreSQL's zero, in microseconds since 1970 */

void pg_array_timestamp_us(struct pg_params *p, int64_t us)
{
	pg_array_int8(p, us == INT64_MIN || us == INT64_MAX ? us : us - PG_EPOCH_US);
}

void pg_array_tid(struct pg_params *p, int64_t tid)
{
	if (tid == PG_NO_TID) {
		elem_null(p);
		return;
	}
	elem(p, 6);
	buf_u32_be(&p->data, (uint32_t)(tid >> 16));
	buf_u16_be(&p->data, (uint16_t)tid);
}

void pg_array_float8(struct pg_params *p, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	elem(p, 8);
	buf_u64_be(&p->data, bits);
}

void pg_array_text(struct pg_params *p, const char *text, size_t len)
{
	if (text == NULL) {
		elem_null(p);
		return;
	}
	elem(p, len);
	buf_add(&p->data, text, len);
}

void pg_array_jsonb(struct pg_params *p, const char *text, size_t len)
{
	if (text == NULL) {
		elem_null(p);
		return;
	}
	elem(p, len + 1);
	buf_u8(&p->data, 1); /* version of jsonb's binary format */
	buf_add(&p->data, text, len);
}

void pg_array_end(struct pg_params *p)
{
	size_t at = p->at[p->n];

	if (p->elems == 0) { /* an empty array has no dimensions: its header ends after the element type */
		buf_set_u32(&p->data, at, htobe32(0));
		p->data.len = at + 12;
	} else {
		buf_set_u32(&p->data, at + 4, htobe32(p->nulls ? 1 : 0));
		buf_set_u32(&p->data, at + 12, htobe32(p->elems));
	}
	end(p);
}
