/*
 * handlers/exec.h: what the files of the handler exec share. Private to them.
 *
 * The map: exec.c is the handler and what lasts as long as it; exec_conf.c its configuration; exec_spawn.c starts a process;
 * exec_program.c is one running program (pipes, end, stderr) and knows no jobs; exec_talk.c speaks in lines with a program about
 * many jobs (persistent, batch), exec_hear.c understands its answers; exec_once.c runs one program for one job. Programs call back through struct program_calls.
 */
#ifndef JOBQ_HANDLERS_EXEC_H
#define JOBQ_HANDLERS_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "handlers/exec_conf.h"
#include "handlers/exec_program.h"
#include "jobq/handler.h"

#define EXEC_GATE_NS (1 * NS_PER_S) /* the first wait after a program that cannot be started; the dispatcher lets it grow */
#define EXEC_SPARE 4                /* programs beyond `concurrency`: those that have yet to end */
#define EXEC_DEATHS 3               /* in a row, without a single outcome: the program is broken, whatever the jobs */

struct talk;
TAILQ_HEAD(talks, talk);

struct exec {
	struct exec_conf conf;
	const char *queue;
	struct event_base *base;
	struct worker *worker;
	struct event *child; /* SIGCHLD */
	pid_t parent;        /* the master */
	struct programs programs;
	size_t nprograms, most; /* most: programs at a time */
	struct talks talks;
	unsigned deaths;     /* in a row */
	int64_t gate_ns;     /* the gate need not be shut again before */
	bool closing;
};

/* exec_talk.c */
void exec_talk_go(struct exec *x, struct jobq_job *job);
void exec_talk_stop(struct exec *x, struct jobq_job *job, enum jobq_stop why);
void exec_talk_filled(struct exec *x, const struct jobq_batch *batch);
void exec_talk_room(struct exec *x);  /* a program is gone: another may start */
void exec_talk_close(struct exec *x); /* no job is under way: programs are told that their input is at its end */
void exec_talk_free(struct exec *x);  /* their programs are gone */

/* exec_once.c */
void exec_once_go(struct exec *x, struct jobq_job *job);
void exec_once_stop(struct jobq_job *job, enum jobq_stop why);

/* exec.c */
void exec_gate(struct exec *x, struct jobq_job *job, const char *why); /* nothing of this queue can be done for now */
void exec_unstarted(struct exec *x, struct jobq_job *job, const char *why); /* no program ran: the gate is shut, the job put off; it burns nothing */
void exec_end(struct jobq_job *job, enum jobq_outcome_kind kind, const char *why);

#endif
