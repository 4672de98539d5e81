/*
 * conf/line.h: one line of a configuration file. Private to conf.
 *
 *   [section]   [kind name]   key = value   %include GLOB   # comment   ; comment
 *
 * A value runs to the end of the line or to white space followed by # or ;. What stands between a pair of double quotes is
 * never a comment. A value that begins with a double quote is quoted as a whole: \" and \\ stand for " and \.
 */
#ifndef JOBQ_CONF_LINE_H
#define JOBQ_CONF_LINE_H

#include <stddef.h>

#include "base/buf.h"

#define CONF_LINE_MAX 8192u /* bytes of one line, and of one value in the environment */

enum conf_line_kind { CONF_LINE_EMPTY, CONF_LINE_SECTION, CONF_LINE_KEY, CONF_LINE_INCLUDE, CONF_LINE_BAD };

struct conf_line { /* points into the text given */
	#define CONF_LINE_MAX 8192u /* bytes of one line, and of one value in the environment */

enum conf_line_kind kind;
	const char *name;  /* section or key */
	const char *arg;   /* section's name ("" = none), value, glob; of BAD: what is wrong */
};

struct conf_line conf_line_parse(char *text);                /* cuts and unquotes in place */
const char *conf_line_problem(const char *text, size_t len); /* too long, not UTF-8, or a control character: why; NULL = fine */
void conf_line_quote(struct buf *out, const char *value);    /* as it must be written to be read back the same */

#endif
