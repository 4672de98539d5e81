/*
 * base/argv.c: a command as an administrator writes it, as the words of an argument vector (see argv.h).
 *
 * Pure; runs where a configuration is checked and in workers that start programs. Invariant: the text is never longer when it
 * is cut, so words and pointers fit into one allocation that is sized by the text's length.
 */
#include "config.h"

#include "base/argv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool argv_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The inside of a pair of quotes, from behind the first, to *out. Behind the last, or NULL: there is none. */
static const char *argv_quoted(const char *p, char quote, char **out)
{
	for (; *p != '\0' && *p != quote; p++) {
		if (quote == '"' && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		*(*out)++ = *p;
	}
	return *p == quote ? p + 1 : NULL;
}

/* One word, from its first character, to *out with its NUL. Behind it, or NULL with the reason. */
static const char *argv_word(const char *p, char **out, const char **why)
{
	while (*p != '\0' && !argv_blank(*p)) {
		if (*p == '\'' || *p == '"') {
			char quote = *p;
			p = argv_quoted(p + 1, quote, out);
			*why = quote == '"' ? "a double quote is not closed" : "a single quote is not closed";
		} else if (*p == '\\') {
			*why = "it ends with a backslash";
			p = p[1] == '\0' ? NULL : p + 2;
			if (p != NULL)
				*(*out)++ = p[-1];
		} else {
			*(*out)++ = *p++;
		}
		if (p == NULL)
			return NULL;
	}
	*(*out)++ = '\0';
	return p;
}

char **argv_split(const char *text, const char **why)
{
	size_t len = strlen(text), most = len / 2 + 2; /* a word and its blank are two characters; and NULL */
	char **words = xcalloc(1, most * sizeof *words + len + 2);
	char *out = (char *)(words + most);
	size_t n = 0;

	for (const char *p = text + strspn(text, " \t"); *p != '\0'; p += strspn(p, " \t")) {
		words[n++] = out;
		p = argv_word(p, &out, why);
		if (p == NULL) {
			free(words);
			return NULL;
		}
	}
	if (n > 0)
		return words;
	free(words);
	*why = "it is empty";
	return NULL;
}
