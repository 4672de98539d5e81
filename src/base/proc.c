/*
 * base/proc.c: what /proc says of a process (see proc.h).
 *
 * Runs in every process; owns nothing. The name in field 2 may hold anything, blanks and brackets too, so fields are counted
 * from behind its last bracket. Fails by false, when /proc hides the process or there is none.
 */
#include "config.h"

#include "base/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"

#define FIELD_STATE 3
#define FIELD_GROUP 5
#define FIELD_START 22

bool proc_look(pid_t pid, struct proc_seen *seen)
{
	char path[64];
	struct buf text = {0};
	bool whole = false;

	*seen = (struct proc_seen){0};
	if (snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid) > 0 && io_read_file(path, 4096, &text) == 0) {
		const char *p = strrchr(buf_str(&text), ')');
		for (int field = FIELD_STATE; p != NULL && (p = strchr(p, ' ')) != NULL && field <= FIELD_START; field++) {
			p++;
			if (field == FIELD_STATE)
				seen->state = *p;
			else if (field == FIELD_GROUP)
				seen->group = (pid_t)strtol(p, NULL, 10);
			else if (field == FIELD_START)
				seen->start = strtoull(p, NULL, 10);
			whole = field == FIELD_START;
		}
	}
	buf_free(&text);
	return whole;
}
