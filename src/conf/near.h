/* conf/near.h: "; did you mean \"x\"?" for a misspelt word, or "" when nothing is near. Private to conf. */
#ifndef JOBQ_CONF_NEAR_H
#define JOBQ_CONF_NEAR_H

#include "conf/table.h"

#define CONF_NEAR_MAX 96 /* room for it */

/* All write into dst, and return it. */
const char *conf_near_of(const char *word, const char *const *names, size_t n, char *dst, size_t size);
const char *conf_near_key(enum conf_section section, const char *word, char *dst, size_t size);
const char *conf_near_section(const char *word, char *dst, size_t size);
const char *conf_near_choice(const char *key, const char *word, char *dst, size_t size);
const char *conf_near_handler(const char *word, char *dst, size_t size);

#endif
