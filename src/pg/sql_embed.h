/* pg/sql_embed.h: the table of statements that src/pg/embed.awk makes, for sql.c alone. */
#ifndef JOBQ_PG_SQL_EMBED_H
#define JOBQ_PG_SQL_EMBED_H

struct sql_text {
	const char *name;
	const char *sql;
};
extern const struct sql_text sql_texts[]; /* ends with a NULL name */

#endif
