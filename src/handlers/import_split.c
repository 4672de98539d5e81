/*
 * import_split.c: finds the rows in a stream of bytes (see import_split.h).
 *
 * Pure; runs in a worker. Owns the bytes of the row that is being read. A byte is looked at once, through a table of 256
 * classes, so that plain text is passed over quickly. Quotes toggle as in PostgreSQL's COPY: a quote anywhere opens, "" inside
 * is two toggles. But one that opens behind text (5" pipe) and takes the line's end with it makes a bad row. Invariant: every row is called back once, as good or as bad, in order; blank lines are none.
 */
#include "config.h"

#include "handlers/import_split.h"

#include <string.h>

#include "base/text.h"

enum byte_class { BYTE_PLAIN, BYTE_QUOTE, BYTE_DELIMITER, BYTE_CR, BYTE_LF, BYTE_NUL };

#define CUT 1000 /* bytes of a row that is too long which are kept for people */

static void fill(unsigned char *table)
{
	memset(table, BYTE_PLAIN, 256);
	table[0] = BYTE_NUL;
	table['\n'] = BYTE_LF;
}

void import_split_open(struct import_split *s, bool csv, char delimiter, size_t max_row, const struct import_split_calls *calls, void *arg)
{
	*s = (struct import_split){.calls = calls, .arg = arg, .csv = csv, .delimiter = delimiter, .max_row = max_row, .line = 1, .start = 1,
		.fields = 1};
	fill(s->class_plain);
	fill(s->class_quoted);
	if (!csv)
		return;
	s->class_plain['"'] = s->class_quoted['"'] = BYTE_QUOTE;
	s->class_plain['\r'] = BYTE_CR;
	s->class_plain[(unsigned char)delimiter] = BYTE_DELIMITER;
}

void import_split_close(struct import_split *s)
{
	buf_free(&s->b);
}

static void next_row(struct import_split *s)
{
	s->from = s->at;
	s->fields = 1;
	s->start = s->line;
	s->quoted = s->inner = s->swallowed = s->nul = s->high = s->lone_cr = s->cr = s->too_long = false;
}

static const char *problem(const struct import_split *s, const char *text, size_t len)
{
	if (s->too_long)
		return "longer than max_row_bytes";
	if (s->nul)
		return "holds a NUL byte";
	if (s->high && !text_is_utf8(text, len))
		return "is not UTF-8";
	if (s->lone_cr)
		return "holds a carriage return outside quotes that ends no line";
	if (s->swallowed)
		return "goes over a line's end in a quote that opens in the middle of a field";
	return NULL;
}

static bool blank(const char *text, size_t len)
{
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return len == 0;
}

/* The bytes up to `at` are a row, line end and all. */
static void row(struct import_split *s)
{
	struct import_row r = {.line = s->start, .text = s->b.data + s->from, .len = s->at - s->from, .fields = s->fields};

	if (r.len > 0 && r.text[r.len - 1] == '\n')
		r.len--;
	if (r.len > 0 && r.text[r.len - 1] == '\r')
		r.len--;
	if (r.len > s->max_row)
		s->too_long = true;
	const char *reason = problem(s, r.text, r.len);
	if (reason != NULL && r.len > CUT)
		r.len = CUT;
	if (reason != NULL)
		s->calls->bad(s->arg, &r, reason);
	else if (s->csv ? r.len > 0 : !blank(r.text, r.len))
		s->calls->row(s->arg, &r);
}

/* The row has grown beyond its bound: its beginning is kept for people, the rest is only passed over. */
static void shorten(struct import_split *s)
{
	if (s->quoted && s->line > s->start) {
		s->dead = true;
		s->calls->broken(s->arg, s->start, "longer than max_row_bytes, over several lines: a quote that is never closed?");
		return;
	}
	s->too_long = true;
	memmove(s->b.data + s->from + CUT, s->b.data + s->at, s->b.len - s->at);
	s->b.len -= s->at - s->from - CUT;
	s->at = s->from + CUT;
}

/* Does the quote before `at`, which opens, stand behind text of its field? (Behind a quote it goes on with what that one closed.) */
static bool opens_inside(const struct import_split *s)
{
	const char *from = s->b.data + s->from, *p = s->b.data + s->at - 1;

	if (p > from && p[-1] == '"')
		return s->inner;
	while (p > from && p[-1] == ' ' && s->delimiter != ' ')
		p--;
	return p > from && p[-1] != s->delimiter;
}

static void special(struct import_split *s, enum byte_class class)
{
	if (s->cr && class != BYTE_LF)
		s->lone_cr = true;
	s->cr = false;
	switch (class) {
	case BYTE_QUOTE:
		s->inner = s->quoted ? s->inner : opens_inside(s);
		s->quoted = !s->quoted;
		break;
	case BYTE_DELIMITER:
		s->fields++;
		break;
	case BYTE_CR:
		s->cr = true;
		break;
	case BYTE_LF:
		s->swallowed |= s->quoted && s->inner;
		s->line++;
		break;
	case BYTE_NUL:
		s->nul = true;
		break;
	case BYTE_PLAIN:
		break;
	}
}

/* Passes over plain bytes. */
static void plain(struct import_split *s)
{
	const unsigned char *class = s->quoted ? s->class_quoted : s->class_plain;
	const unsigned char *p = (const unsigned char *)s->b.data + s->at, *end = (const unsigned char *)s->b.data + s->b.len;
	const unsigned char *begin = p;
	unsigned char all = 0;

	for (; p < end && class[*p] == BYTE_PLAIN; p++)
		all |= *p;
	s->high |= (all & 0x80) != 0;
	if (s->cr && p > begin) {
		s->lone_cr = true;
		s->cr = false;
	}
	s->at += (size_t)(p - begin);
}

static void scan(struct import_split *s)
{
	while (s->at < s->b.len && !s->dead) {
		plain(s);
		if (s->at < s->b.len) {
			const unsigned char *class = s->quoted ? s->class_quoted : s->class_plain;
			enum byte_class c = class[(unsigned char)s->b.data[s->at++]];

			special(s, c);
			if (c == BYTE_LF && !s->quoted) {
				row(s);
				next_row(s);
			}
		}
		if (s->at - s->from > s->max_row + 2 && s->at - s->from > CUT && !s->dead)
			shorten(s);
	}
}

void import_split_feed(struct import_split *s, const char *data, size_t len)
{
	if (s->dead)
		return;
	buf_drop(&s->b, s->from);
	s->at -= s->from;
	s->from = 0;
	buf_add(&s->b, data, len);
	if (!s->begun) {
		if (s->b.len < 3)
			return; /* it may be the beginning of a byte-order mark */
		s->begun = true;
		if (memcmp(s->b.data, "\xef\xbb\xbf", 3) == 0)
			s->from = s->at = 3;
	}
	scan(s);
}

void import_split_end(struct import_split *s)
{
	s->begun = true;
	scan(s);
	if (s->dead || s->at == s->from)
		return;
	if (s->quoted) {
		s->dead = true;
		s->calls->broken(s->arg, s->start, "a quote is opened and never closed");
		return;
	}
	row(s);
	next_row(s);
}
