/*
 * base/proc.h: what /proc says of a process. A pid alone names nobody, as it is reused; a pid with its start time does.
 */
#ifndef JOBQ_BASE_PROC_H
#define JOBQ_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_seen {
	char state;     /* 'R', 'S', ..., 'Z' a zombie */
	pid_t group;
	uint64_t start; /* field 22 of /proc/PID/stat: clock ticks since the boot */
};

/* false: there is no such process, or no looking at it */
bool proc_look(pid_t pid, struct proc_seen *seen);

#endif
