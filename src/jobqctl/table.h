/*
 * jobqctl/table.h: rows and columns of text, fitted into a width.
 *
 * Cells are made printable as they come in. When the rows are too wide, the columns marked as elastic give way first, the
 * widest before the others; then columns are left out from the right. Rendered lines never exceed the width.
 */
#ifndef JOBQ_JOBQCTL_TABLE_H
#define JOBQ_JOBQCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum table_paint { TABLE_PLAIN, TABLE_GOOD, TABLE_WARN, TABLE_BAD, TABLE_DIM, TABLE_BOLD };

struct table_column {
	const char *title;
	bool right;     /* numbers */
	size_t elastic; /* 0 = as wide as its cells; else it may be cut down to this many columns */
};

struct table;
struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *table);
void table_cell(struct table *table, const char *text, enum table_paint paint); /* the next cell, row by row */
void table_note(struct table *table, const char *label, const char *text, enum table_paint paint); /* after a whole row: a line of its own, wrapped */
void table_render(const struct table *table, struct buf *out, size_t width, bool color); /* width 0 = unlimited */

/* "label text text text" over at most `lines` lines, indented; the label on the first. */
void table_paragraph(struct buf *out, size_t indent, const char *label, const char *text, size_t width, size_t lines, enum table_paint paint,
	bool color);
void table_painted(struct buf *out, enum table_paint paint, bool color, bool on); /* the escape that begins or ends it */

#endif
