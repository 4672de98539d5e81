/*
 * handlers/import_split.h: a file's bytes into rows, as they come: CSV (RFC 4180, quotes over several lines) or one row a line. Pure.
 *
 * What PostgreSQL's COPY would break off for is found here, with its line, so that one bad row need not end a COPY: rows that are
 * not UTF-8, hold NUL, are too long, or mix line ends; and rows that COPY would make of two by a stray quote. Memory is one row of at most `max_row` bytes and what was fed last.
 */
#ifndef JOBQ_HANDLERS_IMPORT_SPLIT_H
#define JOBQ_HANDLERS_IMPORT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct import_row {
	int64_t line;     /* of the file, where it begins; from 1 */
	const char *text; /* without its line end; lives during the call */
	size_t len;
	size_t fields;    /* CSV */
};

struct import_split_calls {
	void (*row)(void *arg, const struct import_row *row);
	void (*bad)(void *arg, const struct import_row *row, const char *reason); /* a row that cannot be used; its text may be cut */
	void (*broken)(void *arg, int64_t line, const char *reason);              /* what follows cannot be told apart: give up */
};

struct import_split {
	const struct import_split_calls *calls;
	void *arg;
	bool csv;
	char delimiter;
	size_t max_row;
	/* the state */
	struct buf b;
	size_t from, at;      /* where the row begins; scanned so far */
	int64_t line, start;  /* where we are; where the row began */
	size_t fields;
	bool begun, quoted, inner, swallowed, nul, high, lone_cr, cr, too_long, dead;
	unsigned char class_plain[256], class_quoted[256];
};

void import_split_open(struct import_split *s, bool csv, char delimiter, size_t max_row, const struct import_split_calls *calls, void *arg);
void import_split_feed(struct import_split *s, const char *data, size_t len);
void import_split_end(struct import_split *s); /* the last row may have no line end */
void import_split_close(struct import_split *s);

#endif
