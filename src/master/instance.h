/* master/instance.h: who we are over restarts: whose claims in the database are ours. */
#ifndef JOBQ_MASTER_INSTANCE_H
#define JOBQ_MASTER_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>

/* "<hostname>:<hex>"; the hex is made once and kept in STATE_DIR/instance. NULL with the reason. The caller frees. */
char *master_instance_open(const char *state_dir, char *err, size_t errlen);
bool master_instance_valid(const char *text, size_t len); /* 32 hex digits, perhaps a newline */

#endif
