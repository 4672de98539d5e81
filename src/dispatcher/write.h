/*
 * dispatcher/write.h: one statement of a round of completions (complete.c), from its jobs to its parameters.
 *
 * Runs in the dispatcher; no state of its own.
 */
#ifndef JOBQ_DISPATCHER_WRITE_H
#define JOBQ_DISPATCHER_WRITE_H

#include "dispatcher/dispatcher.h"

/* What becomes of a job, by the statement that writes it. Of tied jobs other ones are written, and more comes back. */
enum kind { KIND_DELETE, KIND_MOVE_DONE, KIND_MOVE, KIND_BACK, KIND_HOLD, KIND_VERIFY, KIND_FINISH_TIED, KIND_BACK_TIED, KIND_HOLD_TIED };
enum { TIED_ID, TIED_BUSY, TIED_AGAIN_AT, TIED_PRIORITY }; /* columns of the last three */

struct call { /* jobs of one kind (and leaf) */
	struct dispatcher *d;
	enum kind kind;
	int32_t leaf;      /* day number of the leaf, MOVE only */
	int32_t expire_on; /* MOVE and FINISH_TIED: 0 = nothing is kept */
	bool closed;       /* one job that is written by itself */
	size_t n;
	struct job *jobs[];
};

/* Sorts the jobs by id and sends. false: not connected, and done will not be called. */
bool write_send(struct dispatcher *d, struct call *call, pg_done *done);

#endif
