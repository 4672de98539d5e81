/*
 * handlers/headers.c: the `headers` of a queue's configuration (see headers.h).
 *
 * Pure; runs in workers. Owns copies of names and values, which may be secrets: they are wiped before they are freed and no message
 * here repeats them.
 */
#include "config.h"

#include "handlers/headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct header {
	char *name, *value;
};
struct headers {
	struct header *list;
	size_t n;
};

static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";

static void headers_wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

void headers_free(struct headers *h)
{
	for (size_t i = 0; h != NULL && i < h->n; i++) {
		free(h->list[i].name);
		headers_wipe(h->list[i].value);
	}
	if (h != NULL)
		free(h->list);
	free(h);
}

static bool headers_take(struct headers *h, const char *line, size_t len)
{
	size_t name = strspn(line, token), value = name + 1;

	if (name == 0 || name >= len || line[name] != ':')
		return false;
	while (value < len && (line[value] == ' ' || line[value] == '\t'))
		value++;
	for (size_t i = value; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	h->list = xreallocarray(h->list, h->n + 1, sizeof *h->list);
	h->list[h->n++] = (struct header){xstrndup(line, name), xstrndup(line + value, len - value)};
	return true;
}

struct headers *headers_parse(const char *text)
{
	struct headers *h = xcalloc(1, sizeof *h);

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		if (len > 0 && !headers_take(h, text, len)) {
			headers_free(h);
			return NULL;
		}
		text += len + (text[len] == '\n');
	}
	return h;
}

bool headers_has(const struct headers *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcasecmp(h->list[i].name, name) == 0)
			return true;
	return false;
}

void headers_add(const struct headers *h, struct http_request *r)
{
	for (size_t i = 0; i < h->n; i++)
		(void)http_header(r, h->list[i].name, h->list[i].value, strlen(h->list[i].value)); /* checked when it was taken */
}
