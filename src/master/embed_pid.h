/* master/embed_pid.h: what postmaster.pid says. Pure. */
#ifndef JOBQ_MASTER_EMBED_PID_H
#define JOBQ_MASTER_EMBED_PID_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct embed_pid {
	pid_t pid;
	char data_dir[1024];
	int shm_id;        /* of its System V segment; -1 = not said */
	char status[16]; /* "starting", "ready", "standby", "stopping"; "" = the line is not written yet */
};

/* false: not (yet) a postmaster.pid. The file is written in pieces: only pid and directory must be there. */
bool master_embed_pid_parse(const char *text, size_t len, struct embed_pid *out);

#endif
