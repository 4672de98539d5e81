/* shm/hist.h: log-linear histograms of microseconds (HDR's idea: SHM_HIST_SUB sub-buckets a power of two). One writer. */
#ifndef JOBQ_SHM_HIST_H
#define JOBQ_SHM_HIST_H

#include "jobq/shm.h"

void shm_hist_add(struct shm_hist *hist, int64_t us);            /* negative counts as 0 */
uint32_t shm_hist_bucket(int64_t us);                            /* always < SHM_HIST_BUCKETS */
int64_t shm_hist_upper(uint32_t bucket);                         /* the largest value of that bucket, us */
int64_t shm_hist_quantile(const struct shm_hist *hist, double q); /* us, upper edge of its bucket; 0 when empty */
double shm_hist_mean(const struct shm_hist *hist);               /* us */

#endif
