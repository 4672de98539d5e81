/*
 * handlers/template.c: texts of the configuration with {name} for a job's values (see template.h).
 *
 * Pure; runs in workers. A template is cut up once, into pieces that are either literal or a name. Invariant: what a tenant
 * wrote can end up inside a JSON string, never outside of it; header values are checked by http_header.
 */
#include "config.h"

#include "handlers/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

struct piece {
	const char *text; /* into the template's copy; a name is NUL terminated */
	size_t len;
	bool name;
};

struct template {
	char *copy;
	struct piece *pieces;
	size_t n;
};

static void template_add(struct template *t, const char *text, size_t len, bool name)
{
	if (len == 0)
		return;
	t->pieces = xreallocarray(t->pieces, t->n + 1, sizeof *t->pieces);
	t->pieces[t->n++] = (struct piece){text, len, name};
}

/* Length of the name that begins at `text` and is followed by }, or 0. */
static size_t template_name(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

	return text[n] == '}' ? n : 0;
}

struct template *template_parse(const char *text)
{
	struct template *t = xcalloc(1, sizeof *t);
	size_t n;

	t->copy = xstrdup(text);
	char *literal = t->copy, *at = literal;
	while ((at = strchr(at, '{')) != NULL) {
		if ((n = template_name(at + 1)) == 0) {
			at++;
			continue;
		}
		template_add(t, literal, (size_t)(at - literal), false);
		template_add(t, at + 1, n, true);
		at[1 + n] = '\0';
		at += n + 2;
		literal = at;
	}
	template_add(t, literal, strlen(literal), false);
	return t;
}

void template_free(struct template *t)
{
	if (t == NULL)
		return;
	free(t->pieces);
	free(t->copy);
	free(t);
}

static void template_put(struct buf *out, enum template_form form, const json_t *v)
{
	if (json_is_string(v) && form == TEMPLATE_PLAIN) {
		buf_add(out, json_string_value(v), json_string_length(v));
		return;
	}
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	if (text == NULL)
		mem_exhausted(0);
	size_t len = strlen(text);
	if (json_is_string(v))
		buf_add(out, text + 1, len - 2); /* without its quotes: the template has them */
	else
		buf_add(out, text, len);
	free(text);
}

bool template_render(const struct template *t, enum template_form form, template_value *value, void *arg, struct buf *out,
	char *missing, size_t size)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct piece *p = &t->pieces[i];
		const json_t *v = NULL;
		if (!p->name) {
			buf_add(out, p->text, p->len);
		} else if ((v = value(arg, p->text)) != NULL) {
			template_put(out, form, v);
		} else {
			(void)text_copy(missing, size, p->text);
			return false;
		}
	}
	return true;
}
