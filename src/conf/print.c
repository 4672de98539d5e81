/*
 * conf/print.c: the effective configuration, as text for -T and as JSON (see conf.h).
 *
 * Runs in jobqd and jobqctl. Owns nothing. Invariant: no secret leaves here: a reference (file:, env:) is printed as it is
 * written, everything else of a SECRET or the value of a LIST item is masked. The text is a configuration file again (but for
 * what is masked), and both renderings come from one walk.
 */
#include "config.h"

#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/line.h"
#include "conf/print.h"
#include "conf/private.h"
#include "conf/secret.h"

#define MASK "********"

struct entry {
	const struct conf_key *key;
	const char *queue; /* or pool; NULL: a section without a name */
	const char *value; /* masked; a LIST: one item a line; `off` when a number is not set */
	const char *origin;
};

typedef void visit(void *arg, const struct entry *entry);

static void mask_item(struct buf *out, enum conf_type form, const char *item, size_t len)
{
	size_t name = strcspn(item, form == CONF_T_VARS ? "=\n" : ":\n") + 1, skip;
	const char *value;

	if (name > len) {
		buf_puts(out, MASK);
		return;
	}
	skip = name + (form == CONF_T_VARS ? 0 : strspn(item + name, " \t"));
	value = item + (skip < len ? skip : len);
	buf_add(out, item, name);
	if (form == CONF_T_LIST)
		buf_putc(out, ' ');
	if (form == CONF_T_LIST && conf_secret_is_reference(value))
		buf_add(out, value, len - (size_t)(value - item));
	else
		buf_puts(out, MASK);
}

/* What may be shown of a value, into out. */
static const char *shown(struct buf *out, const struct conf_key *key, const char *text)
{
	bool number = key->type != CONF_T_STRING && key->type != CONF_T_PATH && key->type != CONF_T_SECRET &&
		      !conf_table_several(key);

	buf_reset(out);
	if (*text == '\0') {
		buf_puts(out, number && conf_table_optional(key) ? "off" : "");
	} else if (key->type == CONF_T_SECRET) {
		buf_puts(out, strcmp(text, key->def) == 0 || conf_secret_is_reference(text) ? text : MASK);
	} else if (!conf_table_several(key)) {
		buf_puts(out, text);
	} else {
		for (const char *item = text; *item != '\0'; item += strspn(item, "\n")) {
			size_t len = strcspn(item, "\n");

			if (out->len > 0)
				buf_putc(out, '\n');
			mask_item(out, key->type, item, len);
			item += len;
		}
	}
	return buf_str(out);
}

static void walk_set(const struct conf_set *set, const char *queue, visit *visitor, void *arg)
{
	struct buf text = {0};

	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_value *v = &set->v[i];
		struct entry entry = {.key = &conf_table[i], .queue = queue, .origin = v->origin};

		if (v->text == NULL)
			continue;
		entry.value = shown(&text, entry.key, v->text);
		visitor(arg, &entry);
	}
	buf_free(&text);
}

static void walk(const struct conf *conf, visit *visitor, void *arg)
{
	walk_set(&conf->private->plain, NULL, visitor, arg);
	for (size_t i = 0; i < conf->nqueues; i++)
		walk_set(&conf->private->queues[i], conf->queues[i]->name, visitor, arg);
	for (size_t i = 0; i < conf->npools; i++)
		walk_set(&conf->private->pools[i], conf->pools[i]->name, visitor, arg);
}

struct printing {
	struct buf text;
	const char *queue;
	enum conf_section section;
	bool begun;
};

static void print_line(struct buf *out, const struct entry *entry, const char *value)
{
	buf_printf(out, "%s = ", entry->key->name);
	conf_line_quote(out, value);
	buf_printf(out, "  # %s\n", entry->origin);
}

static void print_entry(void *arg, const struct entry *entry)
{
	struct printing *p = arg;
	char *items, *item, *rest;

	if (!p->begun || p->queue != entry->queue || p->section != entry->key->section)
		buf_printf(&p->text, "%s[%s%s%s]\n", p->begun ? "\n" : "", conf_sections[entry->key->section].name, entry->queue ? " " : "",
			entry->queue ? entry->queue : "");
	p->begun = true;
	p->queue = entry->queue;
	p->section = entry->key->section;
	if (!conf_table_several(entry->key) || *entry->value == '\0') {
		print_line(&p->text, entry, entry->value);
		return;
	}
	items = xstrdup(entry->value);
	for (item = strtok_r(items, "\n", &rest); item != NULL; item = strtok_r(NULL, "\n", &rest))
		print_line(&p->text, entry, item);
	free(items);
}

void conf_print_effective(const struct conf *conf, FILE *out)
{
	struct printing p = {0};

	buf_printf(&p.text, "# the effective configuration of %s\n", conf->path);
	walk(conf, print_entry, &p);
	conf_print_buf(&p.text, out);
}

void conf_print_buf(struct buf *buf, FILE *out)
{
	if (fwrite(buf->data, 1, buf->len, out) == buf->len)
		fflush(out);
	buf_free(buf);
}

struct asking {
	json_t *found;
	const char *key;
	bool failed;
};

/* True if `asked` names this value, its section, or nothing in particular. */
static bool is_asked(const char *asked, const char *section, const char *name, const struct entry *entry)
{
	return asked == NULL || strcmp(asked, name) == 0 || strcmp(asked, section) == 0 ||
	       (entry->key->section == CONF_IN_JOBQD && strcmp(asked, entry->key->name) == 0);
}

static void add_entry(void *arg, const struct entry *entry)
{
	struct asking *asking = arg;
	char *section = xasprintf("%s%s%s", conf_sections[entry->key->section].name, entry->queue ? "." : "", entry->queue ? entry->queue : "");
	char *name = xasprintf("%s.%s", section, entry->key->name);
	char *origin = text_clean_dup(entry->origin, strlen(entry->origin), TEXT_ERROR_MAX); /* holds a path, which may be any bytes */

	if (is_asked(asking->key, section, name, entry) &&
	    json_array_append_new(asking->found, json_pack("{s:s, s:s, s:s}", "key", name, "value", entry->value, "origin", origin)) != 0)
		asking->failed = true;
	free(origin);
	free(name);
	free(section);
}

json_t *conf_json(const struct conf *conf, const char *key)
{
	struct asking asking = {.found = json_array(), .key = key};

	walk(conf, add_entry, &asking);
	if (json_array_size(asking.found) > 0 && !asking.failed)
		return asking.found;
	json_decref(asking.found);
	return NULL;
}
