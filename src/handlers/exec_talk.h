/*
 * handlers/exec_talk.h: a talk with one program about many jobs. Private to exec_talk.c, which leads it, and exec_hear.c, which
 * understands what the program says.
 */
#ifndef JOBQ_HANDLERS_EXEC_TALK_H
#define JOBQ_HANDLERS_EXEC_TALK_H

#include "base/buf.h"
#include "handlers/exec.h"

struct asked {
	struct jobq_job *job;
	struct talk *talk;
	bool written, cancel; /* cancel: it is, or is to be, told */
	int64_t begun_ns;
	TAILQ_ENTRY(asked) link;
};
TAILQ_HEAD(askeds, asked);

struct talk {
	struct exec *x;
	const struct jobq_batch *batch; /* mode batch, until it is filled */
	bool lasting, filled;
	struct program *program; /* NULL: none yet, or between two */
	pid_t pid;               /* of the last one */
	struct askeds unwritten, asked;
	size_t nasked;
	struct buf cancels, in;
	uint64_t credit;  /* bytes of output that it may still send */
	bool doomed, shared, spoke; /* shared: when it broke, it had several jobs; spoke: it gave an outcome */
	unsigned strays;
	char why[512];
	TAILQ_ENTRY(talk) link;
};

void exec_talk_forget(struct asked *a); /* its job ends, or has ended */
/* It must go, for that reason; what it has not been asked goes to another program. */
void exec_talk_doom(struct talk *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void exec_talk_settle(struct talk *t);  /* is its work done? then the program may leave; the talk may be gone after this */

/* exec_hear.c */
void exec_hear(void *arg, const char *data, size_t len); /* output of the program of the talk arg */
void exec_hear_rest(struct talk *t);                     /* there is no more: a last line without its end */

#endif
