/*
 * handlers/exec_stderr.c: what a program says beside its outcomes (see exec_stderr.h).
 *
 * Runs in a worker, whose log lines carry queue and slot; the program's pid is added here. Owns the line under way. Lines are
 * cut at 1000 bytes and made fit for a log; at most 200 at once and 20 a second are logged, the others are counted, so a program
 * that floods fills no disk. The last line is kept: it often says why a program ended.
 */
#include "config.h"

#include "handlers/exec_stderr.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define LINE_NS (50 * NS_PER_MS) /* one line more */
#define BURST 200

static bool stderr_allowed(struct exec_stderr *s, int64_t now_ns)
{
	if (s->full_ns < now_ns)
		s->full_ns = now_ns;
	if (s->full_ns - now_ns > LINE_NS * (BURST - 1))
		return false;
	s->full_ns += LINE_NS;
	return true;
}

static void stderr_line(struct exec_stderr *s, pid_t pid, int64_t now_ns)
{
	while (s->len > 0 && (s->line[s->len - 1] == '\r' || s->line[s->len - 1] == ' '))
		s->len--;
	if (s->len == 0)
		return;
	(void)text_clean(s->last, sizeof s->last, s->line, s->len);
	s->len = 0;
	if (!stderr_allowed(s, now_ns)) {
		s->dropped++;
		return;
	}
	if (s->dropped > 0)
		log_warn("program %ld: %lu lines of its stderr were not logged: too many", (long)pid, s->dropped);
	s->dropped = 0;
	log_info("program %ld: %s", (long)pid, s->last);
}

bool exec_stderr_feed(struct exec_stderr *s, pid_t pid, const char *data, size_t len, int64_t now_ns)
{
	while (len > 0) {
		const char *end = memchr(data, '\n', len);
		size_t part = end == NULL ? len : (size_t)(end - data), room = EXEC_STDERR_LINE - s->len;

		memcpy(s->line + s->len, data, part < room ? part : room);
		s->len += part < room ? part : room;
		if (end == NULL)
			break;
		stderr_line(s, pid, now_ns);
		data += part + 1;
		len -= part + 1;
	}
	return s->dropped > 0;
}

void exec_stderr_end(struct exec_stderr *s, pid_t pid, int64_t now_ns)
{
	stderr_line(s, pid, now_ns);
	if (s->dropped > 0)
		log_warn("program %ld: %lu lines of its stderr were not logged: too many", (long)pid, s->dropped);
	s->dropped = 0;
}
