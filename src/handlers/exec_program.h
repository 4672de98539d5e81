/*
 * handlers/exec_program.h: one running program, from its start to the end of its process group.
 *
 * It knows no jobs: what is written to it and what its output means is its caller's (struct program_calls). Everything happens
 * on the worker's event loop; callbacks are called from there, and one of them, gone, always comes, once.
 */
#ifndef JOBQ_HANDLERS_EXEC_PROGRAM_H
#define JOBQ_HANDLERS_EXEC_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/buf.h"

struct exec;
struct program;
TAILQ_HEAD(programs, program);

struct program_end {
	bool started;     /* false: it could not be run at all; then `text` says why */
	int code, signal; /* one of them: code -1 when a signal ended it */
	const char *text; /* "ended with exit code 3" */
	const char *last; /* the last line of its stderr, "" = none */
};

struct program_calls {
	/* Its pipe takes more: append it to out. Nothing appended: not called again before program_wake. */
	void (*room)(void *arg, struct buf *out);
	void (*output)(void *arg, const char *data, size_t len);
	/* It has closed its output, lives on, and will never say anything again. NULL: no matter. */
	void (*closed)(void *arg);
	/* It is reaped, all it wrote was given to output, its group is killed. The program is freed when this returns. */
	void (*gone)(void *arg, const struct program_end *end);
};

/* NULL with the reason in err: there is none, and nothing will be called. */
struct program *program_start(struct exec *x, const struct program_calls *calls, void *arg, char *err, size_t errlen);
pid_t program_pid(const struct program *p);
void program_wake(struct program *p);      /* there is more to be written */
void program_close_input(struct program *p); /* when all that was appended is written; nothing more comes */
void program_expect_end(struct program *p);  /* its work is done: it has a moment to leave by itself */
void program_end(struct program *p);       /* SIGTERM to its group, SIGKILL a moment later */
void program_kill(struct program *p);      /* SIGKILL to its group */
void program_reap(struct exec *x);         /* SIGCHLD came, or may have */
/* For when the event loop has ended: reads what is there, and ends whose time is over; waits are `share` times shorter. */
void program_hurry(struct exec *x, int64_t share);

#endif
