/* jobqctl/doc.c: values of a document by path. Pure; what is missing or of another type has a value that shows it. */
#include "config.h"

#include "jobqctl/doc.h"

#include <stddef.h>
#include <string.h>

const json_t *doc_at(const json_t *doc, const char *path)
{
	while (doc != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");
		doc = json_object_getn(doc, path, len);
		path += len + (path[len] == '.');
	}
	return doc;
}

const char *doc_text(const json_t *doc, const char *path)
{
	const char *text = json_string_value(doc_at(doc, path));

	return text != NULL ? text : "";
}

double doc_number(const json_t *doc, const char *path)
{
	const json_t *value = doc_at(doc, path);

	return json_is_number(value) ? json_number_value(value) : -1.0;
}

json_int_t doc_int(const json_t *doc, const char *path)
{
	const json_t *value = doc_at(doc, path);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

bool doc_true(const json_t *doc, const char *path)
{
	return json_is_true(doc_at(doc, path));
}

bool doc_null(const json_t *doc, const char *path)
{
	const json_t *value = doc_at(doc, path);

	return value == NULL || json_is_null(value);
}
