/*
 * base/buf.h: a growing byte buffer, and a checked reader over bytes that somebody else wrote.
 *
 * Used for frames, SQL parameters and rendered text. Integers are stored in host order by the plain
 * functions (frames: both ends are one build on one machine) and in network order by the _be ones
 * (PostgreSQL's binary formats). A reader never reads past its end: the first short read sets `bad`, and
 * from then on every read returns zeros, so a decoder checks once, at its end. What runs for every job is inline.
 */
#ifndef JOBQ_BASE_BUF_H
#define JOBQ_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BUF_BE (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

struct buf {
	char *data; /* owned; NULL while empty */
	size_t len;
	size_t cap;
};

void buf_free(struct buf *b);                    /* frees and zeroes: the buf can be used again */
void buf_grow(struct buf *b, size_t more);       /* the slow half of buf_reserve */
void buf_drop(struct buf *b, size_t n);          /* removes the first n bytes (n <= len) */
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));
const char *buf_str(struct buf *b);              /* NUL terminated view; valid until the next change */
void buf_bytes(struct buf *b, const void *data, size_t len);   /* u32 length, then the bytes; len < 4 GiB */
void buf_set_u32(struct buf *b, size_t at, uint32_t v);        /* overwrites 4 bytes already there */

/* len = 0, memory is kept */
static inline void buf_reset(struct buf *b)
{
	b->len = 0;
}

/* room for `more` bytes beyond len; growth doubles */
static inline void buf_reserve(struct buf *b, size_t more)
{
	if (b->cap - b->len < more)
		buf_grow(b, more);
}

static inline void buf_add(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	buf_reserve(b, len);
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static inline void buf_putc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

static inline void buf_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, sizeof v);
}

static inline void buf_u16(struct buf *b, uint16_t v)
{
	buf_add(b, &v, sizeof v);
}

static inline void buf_u32(struct buf *b, uint32_t v)
{
	buf_add(b, &v, sizeof v);
}

static inline void buf_u64(struct buf *b, uint64_t v)
{
	buf_add(b, &v, sizeof v);
}

static inline void buf_i64(struct buf *b, int64_t v)
{
	buf_add(b, &v, sizeof v);
}

static inline void buf_u16_be(struct buf *b, uint16_t v)
{
	buf_u16(b, (uint16_t)(BUF_BE ? v : __builtin_bswap16(v)));
}

static inline void buf_u32_be(struct buf *b, uint32_t v)
{
	buf_u32(b, BUF_BE ? v : __builtin_bswap32(v));
}

static inline void buf_u64_be(struct buf *b, uint64_t v)
{
	buf_u64(b, BUF_BE ? v : __builtin_bswap64(v));
}

struct rd {
	const unsigned char *p;
	const unsigned char *end;
	bool bad; /* something was shorter than it said */
};

struct rd rd_of(const void *data, size_t len);
const char *rd_bytes(struct rd *r, size_t *len); /* as buf_bytes wrote; points into the input, not NUL terminated; "" on bad */

static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

/* len bytes to dst, or zeros and bad */
static inline void rd_take(struct rd *r, void *dst, size_t len)
{
	if (rd_left(r) < len) {
		r->bad = true;
		r->p = r->end;
		memset(dst, 0, len);
		return;
	}
	memcpy(dst, r->p, len);
	r->p += len;
}

static inline uint8_t rd_u8(struct rd *r)
{
	uint8_t v;
	rd_take(r, &v, sizeof v);
	return v;
}

static inline uint16_t rd_u16(struct rd *r)
{
	uint16_t v;
	rd_take(r, &v, sizeof v);
	return v;
}

static inline uint32_t rd_u32(struct rd *r)
{
	uint32_t v;
	rd_take(r, &v, sizeof v);
	return v;
}

static inline uint64_t rd_u64(struct rd *r)
{
	uint64_t v;
	rd_take(r, &v, sizeof v);
	return v;
}

static inline int64_t rd_i64(struct rd *r)
{
	int64_t v;
	rd_take(r, &v, sizeof v);
	return v;
}

#endif
