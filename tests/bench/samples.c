/*
 * bench/samples.c: prints when each batch started in a worker, from jobqd's shared memory.
 *
 * usage: samples SEGMENT (as /jobq-0123...). Runs until TERM or the segment's master is gone; attaches read-only and looks ten times a second,
 * so it costs what it measures nothing. One line a batch: slot, start (monotonic ns: the handler's call), end, jobs. Rings hold 128 batches a
 * worker: at more than 1,000 batches a second and worker some would be missed, and the line "missed N" says so.
 */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/ring.h"
#include "shm/seg.h"

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void print_new(const struct shm *shm, uint64_t *cursors)
{
	for (uint32_t i = 0; i < shm->nslots; i++) {
		const struct shm_slot *slot = shm_slot_at(shm, i);
		struct sample sample;
		uint64_t before = cursors[i], seen = 0;
		while (shm_ring_next(slot, &cursors[i], &sample)) {
			printf("%u %" PRId64 " %" PRId64 " %u\n", i, sample.end_mono_ns - sample.run_ns, sample.end_mono_ns, sample.jobs);
			seen++;
		}
		if (cursors[i] - before > seen)
			printf("missed %" PRIu64 "\n", cursors[i] - before - seen);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: samples SEGMENT\n");
		return 2;
	}
	char err[256];
	struct shm *shm = shm_seg_attach(argv[1], err, sizeof err);
	if (!shm) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	uint64_t *cursors = calloc(shm->nslots ? shm->nslots : 1, sizeof *cursors);
	if (!cursors)
		return 1;
	signal(SIGTERM, on_term);
	while (!stop) {
		print_new(shm, cursors);
		usleep(100000);
	}
	print_new(shm, cursors);
	free(cursors);
	shm_seg_detach(shm);
	return 0;
}
