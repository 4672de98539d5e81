/*
 * conf/near.c: the nearest right word that an error message names beside a wrong one.
 *
 * Pure; runs where a configuration is read. Owns nothing. Invariant: only what this version has is proposed. Cannot fail: a
 * text that does not fit is cut.
 */
#include "config.h"

#include "conf/near.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NAMES_MAX 32 /* choices of a key, handlers */

const char *conf_near_of(const char *word, const char *const *names, size_t n, char *dst, size_t size)
{
	int at = text_nearest(word, names, n);

	if (at < 0 || snprintf(dst, size, "; did you mean \"%s\"?", names[at]) < 0)
		dst[0] = '\0';
	return dst;
}

const char *conf_near_key(enum conf_section section, const char *word, char *dst, size_t size)
{
	const char *names[CONF_KEYS];
	size_t n = 0;

	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_table[i].section == section && conf_table[i].now)
			names[n++] = conf_table[i].name;
	return conf_near_of(word, names, n, dst, size);
}

const char *conf_near_section(const char *word, char *dst, size_t size)
{
	const char *names[CONF_SECTION_COUNT];
	size_t n = 0;

	for (size_t i = 0; i < CONF_SECTION_COUNT; i++)
		if (conf_sections[i].now)
			names[n++] = conf_sections[i].name;
	return conf_near_of(word, names, n, dst, size);
}

const char *conf_near_choice(const char *key, const char *word, char *dst, size_t size)
{
	const char *names[NAMES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < conf_nchoices && n < NAMES_MAX; i++)
		if (conf_choices[i].now && strcmp(conf_choices[i].key, key) == 0)
			names[n++] = conf_choices[i].text;
	return conf_near_of(word, names, n, dst, size);
}

const char *conf_near_handler(const char *word, char *dst, size_t size)
{
	const char *names[NAMES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < conf_nhandlers && n < NAMES_MAX; i++)
		if (conf_handlers[i].now)
			names[n++] = conf_handlers[i].name;
	return conf_near_of(word, names, n, dst, size);
}
