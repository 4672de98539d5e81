/* conf/value.h: one value, from text to its field in a struct and back. Private to conf. */
#ifndef JOBQ_CONF_VALUE_H
#define JOBQ_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/table.h"

#define CONF_WHY_MAX 256
#define CONF_RANGE_MAX 256

/* Puts text into the field of key in base (struct conf_jobqd or struct conf_queue_keys), which keeps the pointer when it is a
 * text; base NULL = check only. False with the reason in why, which never holds a secret. */
bool conf_value_set(const struct conf_key *key, const char *text, void *base, char why[CONF_WHY_MAX]);
bool conf_value_same(const struct conf_key *key, const void *a, const void *b); /* the fields of two structs */
/* "one of a, b", "1 to 64 processes", "2s to 10min", "" */
const char *conf_value_range(const struct conf_key *key, char dst[CONF_RANGE_MAX]);

#endif
