/* conf/keep.h: texts that live as long as a configuration. Private to conf. */
#ifndef JOBQ_CONF_KEEP_H
#define JOBQ_CONF_KEEP_H

#include <stddef.h>
#include <sys/queue.h>

SLIST_HEAD(conf_keep, conf_kept);

/* All return text that conf_keep_free frees. */
const char *conf_keep_text(struct conf_keep *keep, const char *text, size_t len);
const char *conf_keep_printf(struct conf_keep *keep, const char *format, ...) __attribute__((format(printf, 2, 3)));
void conf_keep_free(struct conf_keep *keep); /* overwrites them first: some are secrets */

#endif
