/*
 * shm/hist.c: log-linear histograms of microseconds in shared memory.
 *
 * Values below SHM_HIST_SUB have a bucket each; above, every power of two is cut into SHM_HIST_SUB equal parts, so the
 * upper edge of a bucket is less than 1/8 above any value in it. 40 rows reach 2^42 us (50 days); what is larger counts in the last
 * bucket. One writer a histogram (the dispatcher), so adding is load and store, no read-modify-write.
 *
 * Readers work from one pass over the buckets and never mix `count` with them: a quantile read while the writer adds is
 * that of a moment shortly before or after.
 */
#include "config.h"

#include "shm/hist.h"

#define SUB_BITS 3

_Static_assert(SHM_HIST_SUB == 1u << SUB_BITS, "sub-buckets are a power of two");
_Static_assert(SHM_HIST_BUCKETS % SHM_HIST_SUB == 0, "whole rows");

uint32_t shm_hist_bucket(int64_t us)
{
	if (us < (int64_t)SHM_HIST_SUB)
		return us < 0 ? 0 : (uint32_t)us;

	uint32_t exponent = 63u - (uint32_t)__builtin_clzll((unsigned long long)us); /* >= SUB_BITS */
	uint32_t shift = exponent - SUB_BITS;
	uint32_t sub = (uint32_t)((uint64_t)us >> shift) - SHM_HIST_SUB;
	uint32_t bucket = (shift + 1u) * SHM_HIST_SUB + sub;
	return bucket < SHM_HIST_BUCKETS ? bucket : SHM_HIST_BUCKETS - 1u;
}

int64_t shm_hist_upper(uint32_t bucket)
{
	if (bucket >= SHM_HIST_BUCKETS)
		bucket = SHM_HIST_BUCKETS - 1u;
	uint32_t row = bucket / SHM_HIST_SUB, sub = bucket % SHM_HIST_SUB;
	if (row == 0)
		return (int64_t)sub;
	return ((int64_t)(SHM_HIST_SUB + sub + 1u) << (row - 1u)) - 1;
}

static void hist_bump(shm_u64 *word, uint64_t by)
{
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, old + by, memory_order_relaxed);
}

void shm_hist_add(struct shm_hist *hist, int64_t us)
{
	hist_bump(&hist->buckets[shm_hist_bucket(us)], 1);
	hist_bump(&hist->sum_us, us < 0 ? 0 : (uint64_t)us);
	hist_bump(&hist->count, 1);
}

int64_t shm_hist_quantile(const struct shm_hist *hist, double q)
{
	uint64_t buckets[SHM_HIST_BUCKETS], total = 0, seen = 0;

	for (uint32_t i = 0; i < SHM_HIST_BUCKETS; i++) {
		buckets[i] = atomic_load_explicit(&hist->buckets[i], memory_order_relaxed);
		total += buckets[i];
	}
	if (total == 0)
		return 0;
	double exact = (q > 0 ? (q < 1 ? q : 1) : 0) * (double)total * (1 - 1e-12); /* 0.07 * 100 is 7, not a hair above */
	uint64_t rank = (uint64_t)exact; /* the rank-th smallest value, counted from 1: q * total rounded up */
	if ((double)rank < exact || rank == 0)
		rank++;
	for (uint32_t i = 0; i < SHM_HIST_BUCKETS; i++) {
		seen += buckets[i];
		if (seen >= rank)
			return shm_hist_upper(i);
	}
	return shm_hist_upper(SHM_HIST_BUCKETS - 1u);
}

double shm_hist_mean(const struct shm_hist *hist)
{
	uint64_t count = atomic_load_explicit(&hist->count, memory_order_relaxed);
	uint64_t sum = atomic_load_explicit(&hist->sum_us, memory_order_relaxed);

	return count == 0 ? 0.0 : (double)sum / (double)count;
}
