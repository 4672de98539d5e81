/*
 * conf/table.c: tbl/config.def as arrays, and every look-up by name.
 *
 * Pure and constant; runs in every process that reads a configuration. Owns the arrays. Invariant: the row of a key stands at
 * its CONF_K_ index, and a key that is a field knows its offset, so nothing else in the tree lists keys. Cannot fail: what is
 * not there is NULL, and texts are cut to the room given.
 */
#include "config.h"

#include "conf/table.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"

#define N(array) (sizeof(array) / sizeof(array)[0])

enum { IS_LATER, IS_NOW };
#define VERSION_NOW IS_NOW
#define VERSION_LATER IS_LATER

#define CONF_SECTION_X(ID, text, is_named, version, words) \
	[CONF_IN_##ID] = {.name = (text), .help = (words), .named = (is_named), .now = VERSION_##version == IS_NOW},
const struct conf_section_row conf_sections[CONF_SECTION_COUNT] = {
#include "tbl/config.def"
};

#define CONF_AT_JOBQD(key) offsetof(struct conf_jobqd, key)
#define CONF_AT_QUEUE(key) offsetof(struct conf_queue_keys, key)
#define CONF_AT_TENANTS(key) offsetof(struct conf_tenants, key)
#define CONF_AT_POOL(key) offsetof(struct conf_pool_keys, key)
#define CONF_AT_REPORT(key) offsetof(struct conf_report, key)
#define CONF_OFFSET_NOW(section, key) CONF_AT_##section(key)
#define CONF_OFFSET_LATER(section, key) SIZE_MAX
#define CONF_X(in, version, is, key, deflt, least, most, units, on_reload, whose, words) \
	[CONF_K_##in##_##key] = {.section = CONF_IN_##in, .type = CONF_T_##is, .reload = CONF_R_##on_reload, \
		.now = VERSION_##version == IS_NOW, .name = #key, .def = (deflt), .min = (least), .max = (most), .unit = (units), \
		.handlers = (whose), .help = (words), .offset = CONF_OFFSET_##version(in, key)},
const struct conf_key conf_table[CONF_KEYS] = {
#include "tbl/config.def"
};

#define CONF_CHOICE_X(of, KEY, CHOICE, number, word, version) \
	{.key = #of, .text = (word), .value = (number), .now = VERSION_##version == IS_NOW},
const struct conf_choice conf_choices[] = {
#include "tbl/config.def"
};
const size_t conf_nchoices = N(conf_choices);

#define CONF_HANDLER_X(word, version, words) {.name = #word, .help = (words), .now = VERSION_##version == IS_NOW},
const struct conf_handler conf_handlers[] = {
#include "tbl/config.def"
};
const size_t conf_nhandlers = N(conf_handlers);

#define CONF_PRESET_X(CHOICE, is, value) {.preset = CONF_PRESET_##CHOICE, .key = CONF_K_QUEUE_##is, .text = (value)},
const struct conf_preset conf_presets[] = {
#include "tbl/config.def"
};
const size_t conf_npresets = N(conf_presets);

#define CONF_OLD_ENV_X(NAME, in, version, is, how, true_word, false_word) \
	{.name = #NAME, .key = CONF_K_##in##_##is, .form = CONF_OLD_##how, .now = VERSION_##version == IS_NOW, .yes = (true_word), \
		.no = (false_word)},
const struct conf_old_env conf_old_env[] = {
#include "tbl/config.def"
};
const size_t conf_nold_env = N(conf_old_env);

#define CONF_DEFAULT_X(of, is, deflt) {.handler = #of, .key = #is, .def = (deflt)},
static const struct {
	const char *handler, *key, *def;
} special[] = {
#include "tbl/config.def"
};

const struct conf_key *conf_table_key(enum conf_section section, const char *name)
{
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_table[i].section == section && strcmp(conf_table[i].name, name) == 0)
			return &conf_table[i];
	return NULL;
}

int conf_table_index(const struct conf_key *key)
{
	return (int)(key - conf_table);
}

bool conf_table_applies(const struct conf_key *key, const char *handler)
{
	const char *list = key->handlers;
	size_t len = strlen(handler);

	if (*list == '\0')
		return true;
	while (*list != '\0') {
		size_t word = strcspn(list, " ");

		if (word == len && memcmp(list, handler, len) == 0)
			return true;
		list += word;
		list += strspn(list, " ");
	}
	return false;
}

bool conf_table_several(const struct conf_key *key)
{
	return key->type == CONF_T_LIST || key->type == CONF_T_VARS;
}

bool conf_table_optional(const struct conf_key *key)
{
	return key->def[0] == '\0' || key->def[0] == '=';
}

const char *conf_table_default(const struct conf_key *key, const char *handler)
{
	for (size_t i = 0; key->section == CONF_IN_QUEUE && i < N(special); i++)
		if (strcmp(special[i].key, key->name) == 0 && strcmp(special[i].handler, handler) == 0)
			return special[i].def;
	return key->def;
}

const char *conf_table_expand(const char *def, const char *localstatedir, const char *runstatedir, char *dst, size_t size)
{
	static const char local[] = "$LOCALSTATEDIR", run[] = "$RUNSTATEDIR";
	const char *dir = "";

	if (*def == '=') {
		def = "";
	} else if (strncmp(def, local, sizeof local - 1) == 0) {
		dir = localstatedir;
		def += sizeof local - 1;
	} else if (strncmp(def, run, sizeof run - 1) == 0) {
		dir = runstatedir;
		def += sizeof run - 1;
	}
	if (snprintf(dst, size, "%s%s", dir, def) < 0)
		dst[0] = '\0';
	return dst;
}

const struct conf_choice *conf_table_choice(const char *key, const char *text)
{
	for (size_t i = 0; i < conf_nchoices; i++)
		if (strcmp(conf_choices[i].key, key) == 0 && strcmp(conf_choices[i].text, text) == 0)
			return &conf_choices[i];
	return NULL;
}

const char *conf_table_choice_text(const char *key, int value)
{
	for (size_t i = 0; i < conf_nchoices; i++)
		if (strcmp(conf_choices[i].key, key) == 0 && conf_choices[i].value == value)
			return conf_choices[i].text;
	return NULL;
}

const struct conf_handler *conf_table_handler(const char *name)
{
	for (size_t i = 0; i < conf_nhandlers; i++)
		if (strcmp(conf_handlers[i].name, name) == 0)
			return &conf_handlers[i];
	return NULL;
}

static void list_add(char *dst, size_t size, const char *word)
{
	size_t len = strlen(dst);
	int n = snprintf(dst + len, size - len, "%s%s", len ? ", " : "", word);

	if (n < 0)
		dst[len] = '\0';
}

const char *conf_table_choices(const char *key, char *dst, size_t size)
{
	dst[0] = '\0';
	for (size_t i = 0; i < conf_nchoices; i++)
		if (conf_choices[i].now && strcmp(conf_choices[i].key, key) == 0)
			list_add(dst, size, conf_choices[i].text);
	return dst;
}

const char *conf_table_owners(const struct conf_key *key, char *dst, size_t size)
{
	dst[0] = '\0';
	for (size_t i = 0; i < conf_nhandlers; i++)
		if (conf_handlers[i].now && conf_table_applies(key, conf_handlers[i].name))
			list_add(dst, size, conf_handlers[i].name);
	return dst;
}

const char *conf_table_handlers(char *dst, size_t size)
{
	dst[0] = '\0';
	for (size_t i = 0; i < conf_nhandlers; i++)
		if (conf_handlers[i].now)
			list_add(dst, size, conf_handlers[i].name);
	return dst;
}
