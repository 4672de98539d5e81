/*
 * tests/unit/worker_bed.h: a real worker process, and the test in the dispatcher's place.
 *
 * The worker is forked and runs worker_main on a real segment and a real socket; the test accepts it, writes frames and reads
 * what comes, each wait bounded by ten seconds, after which the test fails.
 */
#ifndef JOBQ_TESTS_WORKER_BED_H
#define JOBQ_TESTS_WORKER_BED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "jobq/wire.h"
#include "shm/seg.h"
#include "wire/msg.h"

struct bed {
	struct shm *shm;
	struct shm_queue *queue;
	struct shm_slot *slot;
	struct conf conf;
	struct conf_queue q, *queues[1];
	char dir[64], path[96];
	int listen, fd, lifeline[2];
	pid_t pid;
	uint32_t generation;
	int64_t deadline_us; /* of the jobs in the next batches */
	uint32_t limited[2]; /* words of the tenant and the tier of jobs with odd ids; 0 = none */
	struct buf in; /* read, not yet taken */
};

struct bed_outcome {
	int64_t id, token, begun_ns, ended_ns, after_ns;
	int kind;
	char error[512];
	size_t error_len, result_len;
	char result[512];
};

struct bed_job { int64_t id; const char *payload; };

void bed_open(struct bed *b, const char *handler); /* then change b->q.k, then: */
void bed_start(struct bed *b);
void bed_accept(struct bed *b);                    /* connection, HELLO, WELCOME */
void bed_run(struct bed *b, const char *handler);   /* all of these, nothing changed */
void bed_stop(struct bed *b);                      /* SIGTERM; it must leave in order, holding nothing */
void bed_hang_up(struct bed *b);
void bed_close(struct bed *b);                     /* kills what still lives */
void bed_send(struct bed *b, enum wire_type type, uint32_t generation, const struct buf *body);
void bed_batch(struct bed *b, uint64_t batch_id, const struct bed_job *jobs, uint32_t n, uint32_t flags); /* token = 1000 + id */
void bed_refs(struct bed *b, enum wire_type type, const int64_t *ids, uint32_t n);
struct rd bed_frame(struct bed *b, enum wire_type type); /* the next frame, which must be of that type; valid until the next */
void bed_outcomes(struct bed *b, struct bed_outcome *out, uint32_t n); /* exactly n, in any number of frames */
const struct bed_outcome *bed_of(const struct bed_outcome *out, uint32_t n, int64_t id); /* the one of that job */
int bed_exit(struct bed *b);                       /* waits for it; its exit code, or 1000 + signal */
uint32_t bed_held(const struct bed *b);            /* entries that are not free */
void bed_until(bool (*condition)(const struct bed *b), const struct bed *b);

#endif
