/* shm/limit.h: one atomic word a rate limit (GCRA, ITU-T I.371), taken at the moment of sending by any worker of the node. */
#ifndef JOBQ_SHM_LIMIT_H
#define JOBQ_SHM_LIMIT_H

#include <stddef.h>

#include "jobq/shm.h"
#include "base/units.h"

#define SHM_LIMITS 3 /* of one job: its queue's, its tier's, its tenant's */

/* dispatcher (or a test). burst = units that may go at once after a rest, >= 1; count 0 = no limit */
void shm_limit_set(struct shm_limit *limit, struct rate rate, int64_t burst);
/* The same in ns a unit (0 = no limit) and ns of burst, until until_ns (mono; 0 = no end): from then on nothing is taken before it is
 * set again. A new law frees no units: as many may go at once as before it, but no more than its burst. */
void shm_limit_set_until(struct shm_limit *limit, int64_t interval_ns, int64_t burst_ns, int64_t until_ns);
/* Of what may go at once no more than `units` stay. dispatcher, while the limit is closed (until_ns in the past). */
void shm_limit_drain(struct shm_limit *limit, double units);
/* Takes `cost` units now: returns 0, or takes nothing and returns the ns to wait before trying again (> 0). Never blocks. */
int64_t shm_limit_take(struct shm_limit *limit, int64_t cost, int64_t now_mono_ns);
/* The same of n <= SHM_LIMITS of them: of all or of none. */
int64_t shm_limit_take_all(struct shm_limit *const limits[], size_t n, int64_t cost, int64_t now_mono_ns);
/* ns until `cost` units would be free, 0 = now. Takes nothing. */
int64_t shm_limit_wait_for(const struct shm_limit *limit, int64_t cost, int64_t now_mono_ns);
int64_t shm_limit_wait(const struct shm_limit *limit, int64_t now_mono_ns); /* for one unit */

#endif
