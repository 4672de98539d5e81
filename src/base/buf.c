/*
 * base/buf.c: a growing byte buffer, and a checked reader (see buf.h).
 *
 * Runs in every process and knows no format. A buf owns its memory; growth doubles, so appending costs a constant
 * time a byte, and a buffer that is reset and filled again allocates nothing. Invariant: len <= cap, and data is NULL
 * only if cap is 0. Fails as mem.h does: out of memory ends the process.
 */
#include "config.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define BUF_FIRST 256u

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_grow(struct buf *b, size_t more)
{
	size_t need = b->len + more, cap = b->cap ? b->cap : BUF_FIRST;

	if (need < more)
		mem_exhausted(SIZE_MAX);
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	b->data = xreallocarray(b->data, cap, 1);
	b->cap = cap;
}

void buf_drop(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
}

void buf_puts(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vprintf(b, format, ap);
	va_end(ap);
}

void buf_vprintf(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	buf_reserve(b, 64);
	n = vsnprintf(b->data + b->len, b->cap - b->len, format, ap);
	if (n > 0 && (size_t)n >= b->cap - b->len) {
		buf_reserve(b, (size_t)n + 1);
		n = vsnprintf(b->data + b->len, b->cap - b->len, format, again);
	}
	va_end(again);
	if (n > 0)
		b->len += (size_t)n;
}

const char *buf_str(struct buf *b)
{
	buf_reserve(b, 1);
	b->data[b->len] = '\0';
	return b->data;
}

void buf_bytes(struct buf *b, const void *data, size_t len)
{
	if (len > UINT32_MAX)
		mem_exhausted(len); /* no frame and no parameter is that long */
	buf_reserve(b, sizeof(uint32_t) + len);
	buf_u32(b, (uint32_t)len);
	buf_add(b, data, len);
}

void buf_set_u32(struct buf *b, size_t at, uint32_t v)
{
	if (at <= b->len && b->len - at >= sizeof v)
		memcpy(b->data + at, &v, sizeof v);
}

struct rd rd_of(const void *data, size_t len)
{
	static const unsigned char nothing[1];
	const unsigned char *p = len ? data : nothing;

	return (struct rd){.p = p, .end = p + len};
}

const char *rd_bytes(struct rd *r, size_t *len)
{
	size_t n = rd_u32(r);
	const char *at = (const char *)r->p;

	if (r->bad || rd_left(r) < n) {
		r->bad = true;
		r->p = r->end;
		*len = 0;
		return "";
	}
	r->p += n;
	*len = n;
	return at;
}
