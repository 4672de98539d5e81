/*
 * programs/begun.c: prints when each job began in a worker, from jobqd's shared memory.
 *
 * usage: begun SEGMENT (as /jobq-0123...). Runs until TERM or until whoever started it is gone; attaches read-only. One line a job: id, begin mark (monotonic ns: the moment
 * when its limits were taken, just before its effect). Entries of a slot's table keep what they said until they are used again, a thousand jobs
 * later, so a look every 20 ms misses nothing below 50,000 jobs/s and worker. Fails by saying why, exit 1.
 */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shm/seg.h"

struct seen {
	int64_t id, token;
};

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/* false: nothing began here, or the entry is being written. */
static bool read_entry(const struct shm_held *entry, struct seen *now, int64_t *begun_ns)
{
	now->id = atomic_load(&entry->id);
	now->token = atomic_load(&entry->token);
	*begun_ns = atomic_load(&entry->begun_mono_ns);
	uint32_t state = atomic_load(&entry->state);
	return now->id != 0 && *begun_ns != 0 && state != HELD_QUEUED && atomic_load(&entry->id) == now->id && atomic_load(&entry->token) == now->token;
}

static void print_new(const struct shm *shm, struct seen *seen)
{
	for (uint32_t i = 0; i < shm->nslots; i++) {
		const struct shm_slot *slot = shm_slot_at(shm, i);
		for (uint32_t j = 0; j < SHM_HELD; j++) {
			struct seen now, *last = &seen[(size_t)i * SHM_HELD + j];
			int64_t begun_ns;
			if (!read_entry(&slot->held[j], &now, &begun_ns) || (last->id == now.id && last->token == now.token))
				continue;
			*last = now;
			printf("%" PRId64 " %" PRId64 "\n", now.id, begun_ns);
		}
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: begun SEGMENT\n");
		return 2;
	}
	char err[256];
	struct shm *shm = shm_seg_attach(argv[1], err, sizeof err);
	if (!shm) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	struct seen *seen = calloc((size_t)shm->nslots * SHM_HELD + 1, sizeof *seen);
	if (!seen)
		return 1;
	signal(SIGTERM, on_term);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test run that was killed leaves nobody to end this */
	while (!stop) {
		print_new(shm, seen);
		usleep(20000);
	}
	print_new(shm, seen);
	free(seen);
	shm_seg_detach(shm);
	return 0;
}
