/*
 * shm/seg.h: making, checking and finding one's way in the segment of jobq/shm.h.
 *
 * The master creates it before its first fork; children inherit the mapping; jobqctl attaches read-only. Name: "/jobq-" +
 * hex of a hash of the run directory's real path (so that directory must exist). A leftover of a dead daemon is replaced;
 * one with a living owner (pid and start time match) or of somebody else is refused with a text that says what to do.
 */
#ifndef JOBQ_SHM_SEG_H
#define JOBQ_SHM_SEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobq/shm.h"

struct shm {
	struct shm_header *header;
	struct shm_global *global;
	size_t size;
	uint32_t nqueues, nslots; /* checked against size at create/attach; the copies to trust */
	bool writable;
	char name[64];
};

void shm_seg_name(char dst[64], const char *run_dir);
/* mode 0640. Space is reserved (posix_fallocate). NULL with the reason in err. Not ready until shm_seg_publish. */
struct shm *shm_seg_create(const char *name, uint32_t nqueues, uint32_t nslots, char *err, size_t errlen);
void shm_seg_publish(struct shm *shm);
struct shm *shm_seg_attach(const char *name, char *err, size_t errlen); /* read-only, every offset checked */
void shm_seg_detach(struct shm *shm);
void shm_seg_unlink(struct shm *shm);

/* NULL when the index is out of range. */
struct shm_queue *shm_queue_at(const struct shm *shm, uint32_t index);
struct shm_slot *shm_slot_at(const struct shm *shm, uint32_t index);
/* index of the used queue of that name, or SHM_NO_QUEUE */
uint32_t shm_queue_find(const struct shm *shm, const char *name);

const char *shm_role_name(uint32_t role);             /* "?" out of range */
const char *shm_proc_state_name(uint32_t state);
const char *shm_queue_state_name(uint32_t state);
const char *shm_db_state_name(uint32_t state);
const char *shm_counter_name(uint32_t counter);
const char *shm_pool_stat_name(uint32_t stat);

#endif
