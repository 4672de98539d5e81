/*
 * handlers/template.h: texts of the configuration with {name} for a job's values. Pure.
 *
 * A placeholder is { and } around a name of letters, digits, _, - and . ; every other brace stands for itself, so a JSON body
 * needs no escaping. A value that contains braces is not looked at again.
 */
#ifndef JOBQ_HANDLERS_TEMPLATE_H
#define JOBQ_HANDLERS_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct template;

enum template_form {
	TEMPLATE_JSON, /* texts are escaped for the inside of a JSON string; numbers, lists, objects become JSON */
	TEMPLATE_PLAIN /* texts as they are */
};

/* The value of a name, borrowed, or NULL. */
typedef const json_t *template_value(void *arg, const char *name);

struct template *template_parse(const char *text);
void template_free(struct template *t);
/* Appends to out. False: `missing` (a name of at most its size) has no value. */
bool template_render(const struct template *t, enum template_form form, template_value *value, void *arg, struct buf *out,
	char *missing, size_t size);

#endif
