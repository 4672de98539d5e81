/* master/embed_parts.h: private to the embed*.c files: their shared state and what one does for another. */
#ifndef JOBQ_MASTER_EMBED_PARTS_H
#define JOBQ_MASTER_EMBED_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/backoff.h"
#include "master/master.h"

enum embed_state { EMBED_DOWN, EMBED_INIT, EMBED_START, EMBED_BOOT, EMBED_UP, EMBED_STOPPED };

struct embed {
	enum embed_state state;
	char *bin_dir, *data_dir, *tmp_dir, *socket_dir, *log_path;
	char *admin_maintenance, *admin_database, *owner_database, *database; /* conninfos */
	pid_t pid;        /* of the postmaster; 0 = none */
	bool adopted;     /* it is not our child: its death is seen by looking */
	pid_t helper;     /* initdb or boot; 0 = none */
	bool was_up, stopping, killed;
	int64_t due_ns, started_ns, stop_deadline_ns;
	uint32_t restarts;
	struct master_backoff backoff;
	struct obituary last;
};

/* embed_find.c: pure but for looking into directories */
int master_embed_version(const char *bin_dir);     /* major version that a path names, 0 = none */
/* The newest directory of the patterns with postgres and initdb in it, or that of `wanted` (0 = any >= 15). "" = none. */
void master_embed_find(const char *const *patterns, size_t n, int wanted, char *dst, size_t size);
int master_embed_data_version(const char *data_dir); /* PG_VERSION; 0 = no such directory; -1 = not a data directory */

/* embed_conf.c */
bool master_embed_conf_write(const struct embed *e, char *err, size_t errlen); /* settings and access, anew before each start */
char *master_embed_conf_quote(const char *text);   /* 'text' as postgresql.conf and conninfo strings are quoted; caller frees */

/* embed_start.c */
pid_t master_embed_init(struct master *m);         /* forks initdb into tmp_dir; -1 = no fork */
bool master_embed_init_finish(struct embed *e, char *err, size_t errlen); /* tmp_dir becomes data_dir */
pid_t master_embed_start(struct master *m);        /* forks the postmaster */
bool master_embed_adopt(struct embed *e);          /* a living postmaster of this data; sets pid and adopted */
bool master_embed_ready(const struct embed *e, char *doing, size_t size); /* says "ready" of itself; doing: what it says */
void master_embed_log_tail(const struct embed *e, char *dst, size_t size); /* the last line of its log, for error texts */

/* embed_boot.c */
int master_embed_boot(const struct embed *e);      /* in a helper process: roles and database; an exit code */

#endif
