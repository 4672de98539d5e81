/*
 * handlers/exec_stderr.h: what a program says beside its outcomes, line by line to the log.
 */
#ifndef JOBQ_HANDLERS_EXEC_STDERR_H
#define JOBQ_HANDLERS_EXEC_STDERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EXEC_STDERR_LINE 1000u /* bytes of a line that are kept */

struct exec_stderr {
	char line[EXEC_STDERR_LINE + 1]; /* the one that is being read; what is longer is cut */
	size_t len;
	char last[EXEC_STDERR_LINE + 1]; /* the last one that was not empty: cleaned, "" = none */
	int64_t full_ns;                 /* the bucket of lines: full again at */
	unsigned long dropped;           /* lines, since one was last logged */
};

/* Logs what it may. True: lines are being dropped, so there is no hurry to read more. */
bool exec_stderr_feed(struct exec_stderr *s, pid_t pid, const char *data, size_t len, int64_t now_ns);
/* No more will come. */
void exec_stderr_end(struct exec_stderr *s, pid_t pid, int64_t now_ns);

#endif
