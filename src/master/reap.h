/* master/reap.h: buries dead children. */
#ifndef JOBQ_MASTER_REAP_H
#define JOBQ_MASTER_REAP_H

#include <stdint.h>

struct master;
struct obituary;

void master_reap(struct master *m); /* all that have died */
/* The dispatcher's word that the death of this generation, past or to come, counts for nothing. */
void master_reap_uncounted(struct master *m, uint32_t slot, uint32_t generation);
void master_reap_fill(struct obituary *o, int status, const char *doing); /* from a wait status */
/* "exit code 70 (internal error)" or "signal SIGSEGV", into dst of at least 64 bytes */
const char *master_reap_cause(const struct obituary *o, char *dst);

#endif
