/*
 * master/embed_pid.c: reads the text of postmaster.pid.
 *
 * Pure; used by the master. PostgreSQL writes the file line by line: pid, data directory, start time, port, socket
 * directory, listen address, shared memory key, status (padded with blanks). A text that ends early is a server that is
 * starting; anything that does not begin with a pid and a directory is refused.
 */
#include "config.h"

#include "master/embed_pid.h"

#include <ctype.h>
#include <string.h>

#include "base/units.h"

#define LINE_PID 1
#define LINE_DATA_DIR 2
#define LINE_SHM 7
#define LINE_STATUS 8

/* the n-th line (from 1), without what ends it and trailing blanks; false when it is not there or too long */
static bool line_of(const char *text, size_t len, int n, char *dst, size_t size)
{
	const char *end = text + len;

	for (; n > 1; n--) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));

		if (nl == NULL)
			return false;
		text = nl + 1;
	}
	const char *stop = memchr(text, '\n', (size_t)(end - text));
	if (stop == NULL) /* a line without its end may be half of one */
		return false;
	while (stop > text && isspace((unsigned char)stop[-1]))
		stop--;
	size_t got = (size_t)(stop - text);
	if (got >= size || memchr(text, '\0', got) != NULL)
		return false;
	memcpy(dst, text, got);
	dst[got] = '\0';
	return true;
}

/* "  5432001    32770": key and id */
static int shm_id_of(const char *line)
{
	const char *id = strrchr(line, ' ');
	int64_t value;

	return id != NULL && units_int(id + 1, 0, INT32_MAX, &value) ? (int)value : -1;
}

bool master_embed_pid_parse(const char *text, size_t len, struct embed_pid *out)
{
	char number[32], shm[64];
	int64_t pid;

	memset(out, 0, sizeof *out);
	if (!line_of(text, len, LINE_PID, number, sizeof number) || !units_int(number, 2, INT32_MAX, &pid))
		return false;
	if (!line_of(text, len, LINE_DATA_DIR, out->data_dir, sizeof out->data_dir) || out->data_dir[0] != '/')
		return false;
	out->pid = (pid_t)pid;
	out->shm_id = line_of(text, len, LINE_SHM, shm, sizeof shm) ? shm_id_of(shm) : -1;
	if (!line_of(text, len, LINE_STATUS, out->status, sizeof out->status))
		out->status[0] = '\0';
	return true;
}
