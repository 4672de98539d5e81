/*
 * conf/env.c: the environment as the last layer of the configuration (see env.h).
 *
 * Runs where a configuration is read. Owns the table of names that belong to other programs of jobq. Invariant: a variable is
 * used exactly once or reported; its value obeys the rules of a line in a file. Values are never part of a message here, as
 * they may be secrets.
 */
#include "config.h"

#include "conf/env.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/line.h"
#include "conf/near.h"

/* read by jobqctl, the fault points and the test run, or set for the commands that jobq runs; a key of that name goes first */
static const char *const reserved[] = {
	"JOBQ_SOCKET", "JOBQ_FAULT", "JOBQ_FAULT_ONCE", "JOBQ_ALERT", "JOBQ_STATE", "JOBQ_QUEUE", "JOBQ_TENANT", "JOBQ_VALUE",
	"JOBQ_THRESHOLD", "JOBQ_SINCE", "JOBQ_BUILD", "JOBQ_PLAIN", "JOBQ_SEED", "JOBQ_TEST_DIR", "JOBQ_HARNESS_DAEMON",
};

struct candidate {
	const struct conf_key *key;
	const char *queue; /* or pool; NULL: of neither */
};

struct names { /* every variable that means something here */
	struct candidate *of;
	char **text;
	size_t n, room;
};

static void add_name(struct names *names, const struct conf_key *key, const char *queue)
{
	const char *section = key->section == CONF_IN_JOBQD ? "" : conf_sections[key->section].name;
	char *text = xasprintf("JOBQ_%s%s%s%s%s", section, *section ? "_" : "", queue ? queue : "", queue ? "_" : "", key->name);

	for (char *p = text; *p != '\0'; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	if (names->n == names->room) {
		names->room = names->room ? 2 * names->room : 256;
		names->of = xreallocarray(names->of, names->room, sizeof *names->of);
		names->text = xreallocarray(names->text, names->room, sizeof *names->text);
	}
	names->of[names->n] = (struct candidate){.key = key, .queue = queue};
	names->text[names->n++] = text;
}

static void all_names(struct names *names, const struct conf_raw *raw)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *key = &conf_table[i];

		if (!conf_sections[key->section].named)
			add_name(names, key, NULL);
		else if (key->section == CONF_IN_QUEUE)
			for (size_t q = 0; q < raw->nqueues; q++)
				add_name(names, key, raw->queues[q].name);
		else if (key->section == CONF_IN_POOL)
			for (size_t p = 0; p < raw->npools; p++)
				add_name(names, key, raw->pools[p].name);
	}
}

static bool is_reserved(const char *name)
{
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(reserved[i], name) == 0)
			return true;
	return false;
}

static void unknown(struct conf_raw *raw, const struct names *names, const char *name, const char *where)
{
	const char **ours = xreallocarray(NULL, names->n, sizeof *ours);
	char near[CONF_NEAR_MAX];
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++)
		if (names->of[i].key->now)
			ours[n++] = names->text[i];
	conf_near_of(name, ours, n, near, sizeof near);
	conf_errors_add(raw->errors, where, "fits no key%s", near[0] ? near :
		" (JOBQ_KEY for [jobqd], JOBQ_QUEUE_NAME_KEY for a queue that has a section)");
	free(ours);
}

static void ambiguous(struct conf_raw *raw, const struct candidate *a, const struct candidate *b, const char *where)
{
	conf_errors_add(raw->errors, where, "fits two keys: %s of [%s%s%s] and %s of [%s%s%s]; set them in the file",
		a->key->name, conf_sections[a->key->section].name, a->queue ? " " : "", a->queue ? a->queue : "",
		b->key->name, conf_sections[b->key->section].name, b->queue ? " " : "", b->queue ? b->queue : "");
}

static void add(struct conf_raw *raw, const struct candidate *c, const char *text, size_t len, const char *where)
{
	const char *problem = conf_line_problem(text, len);

	if (problem != NULL)
		conf_errors_add(raw->errors, where, "the value %s", problem);
	else
		conf_raw_add(raw, c->key, CONF_LAYER_ENVIRONMENT, c->queue, conf_keep_text(raw->keep, text, len), where);
}

/* A list is one item a line. */
static void add_all(struct conf_raw *raw, const struct candidate *c, const char *text, const char *where)
{
	size_t len;

	for (; conf_table_several(c->key) && text[len = strcspn(text, "\n")] == '\n'; text += len + 1)
		add(raw, c, text, len, where);
	add(raw, c, text, strlen(text), where);
}

static void read_one(struct conf_raw *raw, const struct names *names, const char *entry, size_t len)
{
	const char *where = conf_keep_printf(raw->keep, "environment %.*s", (int)len, entry);
	const char *name = strchr(where, ' ') + 1;
	const struct candidate *found = NULL;

	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->text[i], name) != 0)
			continue;
		if (found != NULL) {
			ambiguous(raw, found, &names->of[i], where);
			return;
		}
		found = &names->of[i];
	}
	if (found != NULL && found->key->now)
		add_all(raw, found, entry + len + 1, where);
	else if (found != NULL)
		conf_errors_add(raw->errors, where, "key \"%s\" is not in this version", found->key->name);
	else if (!is_reserved(name))
		unknown(raw, names, name, where);
}

void conf_env_read(struct conf_raw *raw)
{
	struct names names = {0};

	for (char *const *e = raw->environment; e != NULL && *e != NULL; e++) {
		const char *equals = strchr(*e, '=');

		if (equals == NULL || strncmp(*e, "JOBQ_", 5) != 0)
			continue;
		if (names.n == 0)
			all_names(&names, raw);
		read_one(raw, &names, *e, (size_t)(equals - *e));
	}
	for (size_t i = 0; i < names.n; i++)
		free(names.text[i]);
	free(names.text);
	free(names.of);
}
