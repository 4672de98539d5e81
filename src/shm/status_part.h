/* shm/status_part.h: private to status*.c: the pieces that the document is made of. */
#ifndef JOBQ_SHM_STATUS_PART_H
#define JOBQ_SHM_STATUS_PART_H

#include <jansson.h>
#include <stdint.h>

#include "shm/seg.h"

struct shm_status_now {
	int64_t mono_ns, real_us; /* one moment for the whole document */
};

json_t *shm_status_text(const struct shm_cell *cell);      /* null when empty; always valid UTF-8 */
json_t *shm_status_name(const struct shm_cell *cell);      /* "" when empty */
json_t *shm_status_count(const shm_u64 *word);
json_t *shm_status_time(int64_t real_us);                  /* null when 0 */
double shm_status_age_s(int64_t now, int64_t then, int64_t per_s); /* never negative; 0 when then is 0 */

json_t *shm_status_workers(const struct shm *shm, uint32_t index); /* of a queue: {want, ready} */
json_t *shm_status_rate(int64_t interval_ns);              /* units a second, in seven digits; null when there is no limit */
json_t *shm_status_queues(const struct shm *shm, const struct shm_status_now *now); /* status_queue.c: worst first */
json_t *shm_status_pools(const struct shm *shm); /* status_pool.c: in the order of the configuration */

#endif
