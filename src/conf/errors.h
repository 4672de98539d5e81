/* conf/errors.h: all problems of a configuration, one a line, as many as fit; the rest are counted. Private to conf. */
#ifndef JOBQ_CONF_ERRORS_H
#define JOBQ_CONF_ERRORS_H

#include <stddef.h>

struct conf_errors {
	char *text; /* the caller's, always NUL terminated */
	size_t size, len;
	size_t count, dropped;
};

struct conf_errors conf_errors_into(char *text, size_t size); /* size >= 64 */
/* where: "file:line", "environment JOBQ_X"; control characters in either are escaped */
void conf_errors_add(struct conf_errors *errors, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
