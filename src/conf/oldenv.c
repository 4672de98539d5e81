/*
 * conf/oldenv.c: variables of the systems that jobq takes over from, as the lowest layer of the configuration (see oldenv.h).
 *
 * Runs where a configuration is read. Owns nothing; the names are in the table. Their values are bare: a count, seconds,
 * milliseconds, true or false; each becomes the text that the key would have in a file. Invariant: an empty variable and one
 * whose key is of a later version change nothing, so that an environment that served the old system never stops jobqd; a
 * value that cannot be meant is reported with the variable's name.
 */
#include "config.h"

#include "conf/oldenv.h"

#include <inttypes.h>
#include <string.h>

#include "base/units.h"

static const struct conf_old_env *find(const char *name, size_t len)
{
	for (size_t i = 0; i < conf_nold_env; i++)
		if (strlen(conf_old_env[i].name) == len && memcmp(conf_old_env[i].name, name, len) == 0)
			return &conf_old_env[i];
	return NULL;
}

/* The text as in a file; "" = nothing; NULL: *problem says why not. */
static const char *translate(struct conf_raw *raw, const struct conf_old_env *old, const char *value, const char **problem)
{
	static const char *const suffix[] = {[CONF_OLD_COUNT] = "", [CONF_OLD_SECONDS] = "s", [CONF_OLD_MS] = "ms"};
	static const char *const what[] = {[CONF_OLD_COUNT] = "is not a whole number", [CONF_OLD_SECONDS] = "is not a whole number of seconds",
		[CONF_OLD_MS] = "is not a whole number of milliseconds", [CONF_OLD_FLAG] = "is not true or false"};
	int64_t number;
	bool flag;

	*problem = what[old->form];
	if (old->form == CONF_OLD_FLAG)
		return units_bool(value, &flag) ? flag ? old->yes : old->no : NULL;
	if (!units_int(value, 0, INT64_MAX, &number))
		return NULL;
	return conf_keep_printf(raw->keep, "%" PRId64 "%s", number, suffix[old->form]);
}

static void add(struct conf_raw *raw, const struct conf_old_env *old, const char *value)
{
	const char *where = conf_keep_printf(raw->keep, "environment %s", old->name), *problem;
	const char *text = translate(raw, old, value, &problem);

	if (text == NULL)
		conf_errors_add(raw->errors, where, "\"%.60s\" %s", value, problem);
	else if (*text != '\0')
		conf_raw_add(raw, &conf_table[old->key], CONF_LAYER_OLD_ENV, NULL, text, where);
}

void conf_oldenv_read(struct conf_raw *raw)
{
	for (char *const *e = raw->environment; e != NULL && *e != NULL; e++) {
		const char *equals = strchr(*e, '=');
		const struct conf_old_env *old = equals != NULL ? find(*e, (size_t)(equals - *e)) : NULL;

		if (old != NULL && old->now && equals[1] != '\0')
			add(raw, old, equals + 1);
	}
}
