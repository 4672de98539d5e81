/*
 * conf/check_import.c: values of a queue whose handler writes files' rows into tables (see check.h).
 *
 * Pure; runs where a configuration is read. Writes nothing but errors. Invariant: an import finds what it cannot do without, and
 * its names are names.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/ident.h"
#include "conf/check.h"

/* One name of a list, as written; a name alone is in the schema public. */
static bool is_table(const char *text, size_t len)
{
	char name[IDENT_RELATION_MAX + 8], quoted[IDENT_RELATION_MAX];

	if (len == 0 || len > IDENT_RELATION_MAX - 8)
		return false;
	(void)snprintf(name, sizeof name, "%.*s", (int)len, text);
	if (ident_relation(name, quoted, sizeof quoted))
		return true;
	(void)snprintf(name, sizeof name, "public.%.*s", (int)len, text);
	return ident_relation(name, quoted, sizeof quoted);
}

/* The first item that is no table's name, or NULL. Commas inside double quotes are part of a name. */
static const char *bad_table(const char *list, size_t *len)
{
	while (*list != '\0') {
		bool quoted = false;
		size_t n = 0;

		list += strspn(list, " \t");
		for (; list[n] != '\0' && (quoted || list[n] != ','); n++)
			quoted ^= list[n] == '"';
		for (*len = n; *len > 0 && (list[*len - 1] == ' ' || list[*len - 1] == '\t'); (*len)--)
			;
		if (!is_table(list, *len))
			return list;
		list += n + (list[n] == ',');
	}
	return NULL;
}

void conf_check_import(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors)
{
	const struct conf_queue_keys *k = &queue->k;
	const char *bad;
	size_t len;

	if (*k->tables == '\0')
		conf_errors_add(errors, set->where, "queue \"%s\" needs tables, the tables that it may write", queue->name);
	else if ((bad = bad_table(k->tables, &len)) != NULL)
		conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_tables), "tables: \"%.*s\" is not a table's name, as name or schema.name",
			len > 60 ? 60 : (int)len, bad);
	if (strlen(k->tenant_column) > 63)
		conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_tenant_column), "tenant_column: a column's name has at most 63 bytes");
	if (*k->import_dir == '\0' && !k->allow_url)
		conf_errors_add(errors, set->where, "queue \"%s\" needs import_dir, the directory that files come from, or allow_url", queue->name);
}
