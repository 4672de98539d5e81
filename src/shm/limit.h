/* shm/limit.h: one atomic word a rate limit (GCRA, ITU-T I.371), taken at the moment of sending by any worker of the node. */
#ifndef JOBQ_SHM_LIMIT_H
#define JOBQ_SHM_LIMIT_H

#include "jobq/shm.h"
#include "base/units.h"

/* dispatcher (or a test). burst = units that may go at once after a rest, >= 1; count 0 = no limit */
void shm_limit_set(struct shm_limit *limit, struct rate rate, int64_t burst);
/* Takes `cost` units now: returns 0, or takes nothing and returns the ns to wait before trying again (> 0). Never blocks. */
int64_t shm_limit_take(struct shm_limit *limit, int64_t cost, int64_t now_mono_ns);
/* ns until one unit would be free, 0 = now. Takes nothing. */
int64_t shm_limit_wait(const struct shm_limit *limit, int64_t now_mono_ns);

#endif
