/*
 * sql.c: the text of an embedded statement, by name.
 *
 * Pure; runs in every process that speaks SQL. The texts are constants of the program (made from sql/statements/ by
 * embed.awk), so a name that is not there is a mistake of the source and aborts at the first use.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "pg/sql.h"
#include "pg/sql_embed.h"

const char *pg_sql(const char *name)
{
	for (const struct sql_text *t = sql_texts; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0)
			return t->sql;
	log_error("there is no statement sql/statements/%s.sql in this build", name);
	abort();
}
