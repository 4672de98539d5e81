/*
 * master/master.h: the state of the master process, shared by the files of this room.
 *
 * Only the master touches it. It is made by setup.c, and the one place that decides is master_step() in master.c; event
 * callbacks leave marks (struct master_marks) and never fork. docs/processes.md draws the state machines.
 */
#ifndef JOBQ_MASTER_MASTER_H
#define JOBQ_MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/io.h"
#include "jobq/shm.h"
#include "master/backoff.h"
#include "shm/cell.h"

struct conf;
struct control;
struct embed;
struct event;
struct event_base;
struct link;
struct shm;

#define MASTER_ERROR_MAX 1024

enum { SLOT_MASTER, SLOT_POSTGRES, SLOT_DISPATCHER, SLOT_WORKERS }; /* indices of slots; workers from SLOT_WORKERS on */
#define SLOT_NONE UINT32_MAX

enum phase { PHASE_RUN, PHASE_DRAIN, PHASE_DISPATCHER, PHASE_POSTGRES, PHASE_GONE };

struct proc { /* what runs in the slot of the same index; pid 0 = nothing */
	pid_t pid;
	uint32_t slot, generation, config_generation;
	struct seat *seat;   /* NULL: it leaves, or its seat was taken away */
	bool asked;          /* it was told to leave */
	bool ready;          /* it was seen ready */
	bool killed;         /* we killed it for a reason that the dispatcher posted: does not count */
	bool mute;           /* its silence was logged */
	int64_t started_ns, died_ns, kill_at_ns; /* mono; kill_at 0 = never */
	uint32_t innocent;   /* the death of this generation does not count (the dispatcher said so) */
};

struct obituary { /* real_us 0: nobody died yet */
	int64_t real_us;
	uint32_t code, signal;
	char doing[SHM_CELL_TEXT];
};

struct seat { /* a place to be filled; outlives its processes */
	TAILQ_ENTRY(seat) link;
	enum shm_role role;
	uint32_t queue, number; /* queue: index in shared memory, or SHM_NO_QUEUE */
	uint32_t config_generation; /* of what its process should run under */
	struct proc *proc, *next; /* who sits here; the replacement that is starting */
	struct master_backoff backoff, backoff_before; /* before: as it was before the last death, to take it back */
	int64_t due_ns;          /* mono: when the next fork may happen */
	uint32_t restarts;
	uint32_t grave, grave_generation; /* slot and generation of the last death; SLOT_NONE = nobody died, or it is filled again */
	struct obituary last;
	bool recycle;            /* grown over max_rss: replace it */
	bool settled;            /* was ready once, or is held: the start is over for it */
};
TAILQ_HEAD(seat_list, seat);

struct master_queue { /* the entry of the same index in shared memory */
	bool used, wanted;   /* wanted false: draining */
	char name[SHM_NAME_MAX];
	uint32_t want;       /* workers */
	uint32_t generation; /* of the configuration of its workers */
	uint32_t since;      /* configuration in which it was added or taken away: the dispatcher must know of it */
};

struct master_marks { /* what callbacks ask of the next step */
	bool reap, reload, stop, stop_now, reopen, dump;
};

struct master {
	struct event_base *base;
	struct conf *conf;
	struct shm *shm;
	char *run_dir, *state_dir, *pid_path, *control_path, *dispatch_path; /* as at the start */
	char *instance, *node;
	const char *program;         /* argv[0] of messages */
	int lifeline[2];             /* the write end stays here */
	int dispatch_fd, lock_fd;
	int parent_fd;               /* -d: who waits for our exit code or 0; -1 */
	bool daemon;
	bool log_open;
	gid_t admin_gid;             /* of admin_group, or MASTER_ACCESS_NO_GROUP */

	struct event *tick;
	struct event **signals;
	struct control *control;
	struct link *link;           /* to the dispatcher; NULL while there is none */
	struct embed *embed;         /* NULL: the database is somebody else's */

	struct proc *procs;          /* one a slot */
	struct master_queue *queues; /* one an entry in shared memory */
	struct seat_list seats;
	struct seat *dispatcher;     /* its seat, in the list too */
	uint32_t config_generation;  /* of conf */
	uint32_t dispatcher_config;  /* that the dispatcher was last forked with */

	struct master_marks marks;
	enum phase phase;
	bool now;                    /* stopping at once */
	int64_t phase_deadline_ns;
	bool serving;                /* READY was sent */
	bool slots_full;             /* was logged */
	int64_t started_ns, watched_ns, reloaded_ns, reported_ns;
	int exit_code;
};

/* Runs the daemon to its end; returns an exit code of jobq/exit.h. conf becomes its own. argv0 and errors before the log
 * is open go to stderr. */
int master_main(struct conf *conf, bool daemonise);

#endif
