/*
 * jobqctl/table.c: fits rows and columns of strangers' text into the width of a terminal.
 *
 * Pure. Owns its cells. Invariant: no rendered line is wider than asked for, whatever the cells hold; colour is put around
 * a cell after it was measured, and only when asked for.
 */
#include "config.h"

#include "jobqctl/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobqctl/width.h"

#define GAP 1u       /* blanks between columns */
#define NOTE_INDENT 2u
#define NOTE_LINES 3u

struct cell {
	char *text, *label; /* label: a note, else NULL */
	enum table_paint paint;
};

struct table {
	const struct table_column *columns;
	size_t ncolumns, ncells, room;
	struct cell *cells; /* notes stand between the rows they belong to */
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *table = xcalloc(1, sizeof *table);

	table->columns = columns;
	table->ncolumns = n;
	return table;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->ncells; i++) {
		free(table->cells[i].text);
		free(table->cells[i].label);
	}
	free(table->cells);
	free(table);
}

static void add(struct table *table, const char *label, const char *text, enum table_paint paint)
{
	struct buf printable = {0};

	if (table->ncells == table->room) {
		table->room = table->room == 0 ? 64 : table->room * 2;
		table->cells = xreallocarray(table->cells, table->room, sizeof *table->cells);
	}
	width_printable(&printable, text);
	table->cells[table->ncells++] = (struct cell){.text = xstrdup(buf_str(&printable)), .label = label != NULL ? xstrdup(label) : NULL,
		.paint = paint};
	buf_free(&printable);
}

void table_cell(struct table *table, const char *text, enum table_paint paint)
{
	add(table, NULL, text, paint);
}

void table_note(struct table *table, const char *label, const char *text, enum table_paint paint)
{
	add(table, label, text, paint);
}

void table_painted(struct buf *out, enum table_paint paint, bool color, bool on)
{
	static const char *const codes[] = {[TABLE_PLAIN] = "", [TABLE_GOOD] = "\033[32m", [TABLE_WARN] = "\033[33m",
		[TABLE_BAD] = "\033[31m", [TABLE_DIM] = "\033[2m", [TABLE_BOLD] = "\033[1m"};

	if (color && paint != TABLE_PLAIN)
		buf_puts(out, on ? codes[paint] : "\033[0m");
}

static void blanks(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_putc(out, ' ');
}

void table_paragraph(struct buf *out, size_t indent, const char *label, const char *text, size_t width, size_t lines, enum table_paint paint,
	bool color)
{
	struct buf whole = {0};
	size_t room = width == 0 ? SIZE_MAX : width > indent ? width - indent : 1;

	width_printable(&whole, label);
	width_printable(&whole, text);
	const char *at = buf_str(&whole);
	for (size_t line = 1; *at != '\0'; line++) {
		const char *rest;
		size_t len = width_line(at, room, &rest);
		char *part = line == lines ? xstrdup(at) : xstrndup(at, len);
		blanks(out, indent);
		table_painted(out, paint, color, true);
		(void)width_add(out, part, room); /* the last line is cut, not wrapped */
		table_painted(out, paint, color, false);
		buf_putc(out, '\n');
		free(part);
		if (line == lines)
			break;
		at = rest;
	}
	buf_free(&whole);
}

/* the natural widths, and their sum with the gaps */
static size_t measure(const struct table *table, size_t *widths)
{
	size_t sum = 0, column = 0;

	for (size_t i = 0; i < table->ncolumns; i++)
		widths[i] = width_of(table->columns[i].title);
	for (size_t i = 0; i < table->ncells; i++) {
		if (table->cells[i].label != NULL)
			continue;
		size_t width = width_of(table->cells[i].text);
		if (width > widths[column])
			widths[column] = width;
		column = (column + 1) % table->ncolumns;
	}
	for (size_t i = 0; i < table->ncolumns; i++)
		sum += widths[i] + (i > 0 ? GAP : 0);
	return sum;
}

/* Makes it fit; returns how many columns are shown. */
static size_t fit(const struct table *table, size_t *widths, size_t sum, size_t width)
{
	size_t shown = table->ncolumns;

	while (width > 0 && sum > width) {
		size_t widest = SIZE_MAX;
		for (size_t i = 0; i < shown; i++)
			if (table->columns[i].elastic > 0 && widths[i] > table->columns[i].elastic && (widest == SIZE_MAX || widths[i] > widths[widest]))
				widest = i;
		if (widest != SIZE_MAX) {
			widths[widest]--;
			sum--;
		} else if (shown > 1) {
			sum -= widths[--shown] + GAP;
		} else {
			widths[0] = width;
			sum = width;
		}
	}
	return shown;
}

static void put(struct buf *out, const struct table_column *column, const char *text, size_t width, enum table_paint paint, bool color, bool last)
{
	struct buf cut = {0};
	size_t columns = width_add(&cut, text, width), pad = width > columns ? width - columns : 0;

	if (column->right)
		blanks(out, pad);
	table_painted(out, paint, color, true);
	buf_puts(out, buf_str(&cut));
	table_painted(out, paint, color, false);
	if (!column->right && !last)
		blanks(out, pad);
	buf_free(&cut);
}

void table_render(const struct table *table, struct buf *out, size_t width, bool color)
{
	size_t *widths = xcalloc(table->ncolumns, sizeof *widths);
	size_t shown = fit(table, widths, measure(table, widths), width);
	size_t column = 0;

	for (size_t i = 0; i < shown; i++) {
		put(out, &table->columns[i], table->columns[i].title, widths[i], TABLE_BOLD, color, i + 1 == shown);
		buf_putc(out, i + 1 == shown ? '\n' : ' ');
	}
	for (size_t i = 0; i < table->ncells; i++) {
		const struct cell *cell = &table->cells[i];
		if (cell->label != NULL) {
			table_paragraph(out, NOTE_INDENT, cell->label, cell->text, width, NOTE_LINES, cell->paint, color);
			continue;
		}
		if (column < shown) {
			put(out, &table->columns[column], cell->text, widths[column], cell->paint, color, column + 1 == shown);
			buf_putc(out, column + 1 == shown ? '\n' : ' ');
		}
		column = (column + 1) % table->ncolumns;
	}
	free(widths);
}
