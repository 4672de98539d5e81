/*
 * base/ident.h: names of tables as people write them, schema.name, "Sch""ema"."Name", and any name as it may stand in a statement.
 *
 * Pure. A part without quotes is letters, digits, _ and $ (not first a digit or $), ASCII, and is folded to small letters as
 * PostgreSQL does; in double quotes it is taken as it is, "" standing for one quote. A part has 1 to 63 bytes.
 */
#ifndef JOBQ_BASE_IDENT_H
#define JOBQ_BASE_IDENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define IDENT_RELATION_MAX 264 /* two parts of 63 bytes, every one a quote, and what stands around them */

/* The name of a table or view with its schema, every part quoted, fit to stand in a statement. false: text is no such name. */
bool ident_relation(const char *text, char *dst, size_t size);
/* Appends the name as it is, quoted, whatever stands in it. */
void ident_quote(struct buf *sql, const char *name);
void ident_quoten(struct buf *sql, const char *name, size_t len);

#endif
