/* master/backoff.h: when a dead child's seat is filled again. Pure: every time is an argument. The rules: docs/processes.md. */
#ifndef JOBQ_MASTER_BACKOFF_H
#define JOBQ_MASTER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define MASTER_BACKOFF_LOOP 5u /* deaths without work … */
#define MASTER_BACKOFF_WINDOW_NS INT64_C(60000000000) /* … within this time are a crash loop */

enum master_hold {
	MASTER_HOLD_NONE,
	MASTER_HOLD_LOOP,  /* it never works */
	MASTER_HOLD_FINAL, /* its exit code says that it would end the same way */
};

struct master_backoff { /* all zero: a seat that was never filled */
	uint32_t step;      /* failures in a row */
	uint32_t ndeaths;   /* deaths without work, as far as they are kept */
	int64_t deaths[MASTER_BACKOFF_LOOP]; /* when, mono ns; the oldest first */
	enum master_hold hold;
};

struct master_death {
	int64_t now_ns, lived_ns;
	int code;       /* exit code, or -1 for a signal */
	bool worked;
	bool counted;   /* false: somebody else's fault (a job's timeout, a suspect that ran alone) */
};

int64_t master_backoff_died(struct master_backoff *b, const struct master_death *death); /* ns until the next start */
void master_backoff_worked(struct master_backoff *b); /* the child that is running has proved itself */
bool master_backoff_final(int code);                  /* one of the exit codes that mean: do not restart */

#endif
