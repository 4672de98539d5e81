/*
 * handlers/import_spec.h: what an import is to do, from its payload and its queue's keys. Pure.
 *
 * Every name is quoted here, once, as it will stand in a statement; nothing of a payload reaches SQL another way but as a value.
 */
#ifndef JOBQ_HANDLERS_IMPORT_SPEC_H
#define JOBQ_HANDLERS_IMPORT_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ident.h"

#define IMPORT_COLUMNS_MAX 500
#define IMPORT_NAME_MAX 63      /* bytes of a column's name in the table */

enum import_conflict { IMPORT_UPDATE, IMPORT_IGNORE, IMPORT_REFUSE };

struct import_column {
	char *file;  /* its name in the file; NULL in a file without header */
	char *table; /* the column of the table; NULL: passed over */
};

struct import_spec {
	char *source;
	bool url;                            /* source is one */
	bool jsonl;                          /* else CSV */
	bool header;                         /* CSV: the first row names the columns */
	bool collect;                        /* bad rows are set aside */
	char delimiter;
	enum import_conflict conflict;
	char table[IDENT_RELATION_MAX];      /* schema and name, quoted */
	char table_name[IDENT_RELATION_MAX]; /* as it was asked for */
	struct import_column *columns;       /* what `columns` says; n 0: as the file says */
	size_t n;
	char **key;                          /* columns of the table */
	size_t nkey;
};

/* `tables` is the queue's key: names separated by commas. NULL with what is wrong in err. */
struct import_spec *import_spec_read(const char *payload, size_t len, const char *tables, const char *tenant_column, char *err, size_t errlen);
void import_spec_free(struct import_spec *spec);
/* schema.name of a table as people write it, quoted; one without a schema is in `public`. */
bool import_spec_table(const char *text, size_t len, char dst[IDENT_RELATION_MAX]);
/* The fields of a CSV row (quotes undone), at most `max`; a NULL-terminated list that the caller frees as one block. */
char **import_spec_fields(const char *row, size_t len, char delimiter, size_t max, size_t *n);

#endif
