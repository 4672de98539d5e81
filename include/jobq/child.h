/*
 * jobq/child.h: what the master gives to a child process, and what it expects of it.
 *
 * A child is forked, never exec'ed. master/spawn.c has already: blocked and then reset signals, called event_reinit on
 * `base` (the child uses that base and never frees it), closed what is the master's, set the log context. The child runs
 * its main, which returns an exit code of jobq/exit.h; spawn.c then leaves by _exit. It must
 *   - set its slot's state to PROC_READY when it serves, `doing` while it works, `beat_mono_ns` at least once a second,
 *     `worked` after its first success;
 *   - drain on SIGTERM or when the lifeline closes (the master died), leave at once on SIGQUIT, reopen logs on SIGUSR1.
 */
#ifndef JOBQ_CHILD_H
#define JOBQ_CHILD_H

#include <stdint.h>

struct conf;
struct conf_queue;
struct event_base;
struct shm;
struct shm_slot;

struct child {
	const struct conf *conf;         /* as it was at the fork */
	const struct conf_queue *queue;  /* workers: theirs; else NULL */
	struct shm *shm;
	struct shm_slot *slot;           /* mine */
	uint32_t slot_index;
	uint32_t generation;             /* of the slot */
	uint32_t queue_index;            /* workers; else SHM_NO_QUEUE */
	struct event_base *base;
	int lifeline;                    /* readable (EOF) when the master is gone */
	int dispatch_listen;             /* dispatcher: the listening socket of dispatch.sock; else -1 */
	const char *dispatch_path;       /* workers connect here */
	int control;                     /* dispatcher: its end of the master's socketpair (JSON lines both ways); else -1 */
	const char *database;            /* conninfo to use (resolved when embedded) */
	const char *owner_database;      /* embedded: conninfo of jobq_owner, for migrations; else NULL */
	const char *instance;            /* "<hostname>:<random of state_dir>": whose claims are mine after a restart */
};

int dispatcher_main(struct child *child);
int worker_main(struct child *child);

#endif
