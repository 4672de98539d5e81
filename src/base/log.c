/*
 * base/log.c: one line a message, logfmt or JSON (see log.h).
 *
 * Runs in every process. Owns the log's descriptor and the context of this process. A line is built on the stack,
 * without allocation, and goes out in one write(2), so lines of several processes never mix. Every text in it passes
 * through put_text, which escapes what could end a line, a value or a terminal's patience. Fails by losing the line and
 * counting it; the next line that gets through is followed by the number that did not. errno is left as it was.
 */
#include "config.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 8192u
#define TAIL 8u       /* kept for the closing quote, brace and newline */
#define FIELD_MIN 24u /* a field for which less is left is not begun */

struct line {
	size_t len;
	bool json;
	char text[LINE_MAX_BYTES + 1]; /* text[0] is a newline: it ends what a torn write left behind */
};

static struct {
	int fd;
	bool syslog, torn;
	enum log_format format;
	enum log_level level;
	uint64_t lost, untold;
	char path[PATH_MAX]; /* "" when it is stderr or syslog */
} sink = {.fd = STDERR_FILENO, .level = LOG_L_INFO};

static struct {
	char node[256], role[32], queue[64];
	int slot;
} context = {.slot = -1};

static const char *const levels[] = {"error", "warn", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

static int open_path(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static int adopt(int fd)
{
	int old = sink.fd;

	sink.fd = fd;
	sink.torn = false;
	return old > STDERR_FILENO ? close(old) : 0;
}

int log_open(const char *dest, enum log_format format, enum log_level level)
{
	bool to_syslog = strcmp(dest, "syslog") == 0, to_stderr = strcmp(dest, "stderr") == 0;
	size_t len = strlen(dest);
	int fd = STDERR_FILENO;

	if (len >= sizeof sink.path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!to_syslog && !to_stderr && (fd = open_path(dest)) < 0)
		return -1;
	if (to_syslog)
		openlog("jobqd", LOG_PID, LOG_DAEMON);
	else if (sink.syslog)
		closelog();
	memcpy(sink.path, to_syslog || to_stderr ? "" : dest, to_syslog || to_stderr ? 1 : len + 1);
	sink.syslog = to_syslog;
	sink.format = format;
	sink.level = level;
	return adopt(fd);
}

int log_reopen(void)
{
	int fd;

	if (sink.path[0] == '\0')
		return 0;
	fd = open_path(sink.path);
	return fd < 0 ? -1 : adopt(fd);
}

void log_context(const char *node, const char *role, const char *queue, int slot)
{
	text_copy(context.node, sizeof context.node, node ? node : "");
	text_copy(context.role, sizeof context.role, role ? role : "");
	text_copy(context.queue, sizeof context.queue, queue ? queue : "");
	context.slot = slot;
}

bool log_enabled(enum log_level level)
{
	return level <= sink.level;
}

int log_fd(void)
{
	return sink.fd;
}

uint64_t log_lost(void)
{
	return sink.lost;
}

static bool room(const struct line *l, size_t more)
{
	return l->len + more <= LINE_MAX_BYTES - TAIL;
}

static void put(struct line *l, const char *text, size_t len) /* after room(), or within TAIL */
{
	memcpy(l->text + 1 + l->len, text, len);
	l->len += len;
}

static bool put_key(struct line *l, const char *key)
{
	size_t len = strlen(key);

	if (!room(l, len + FIELD_MIN))
		return false;
	if (l->len > (l->json ? 1u : 0u))
		put(l, l->json ? "," : " ", 1);
	if (l->json)
		put(l, "\"", 1);
	put(l, key, len);
	put(l, l->json ? "\":" : "=", l->json ? 2 : 1);
	return true;
}

/* One character of a quoted text into dst; the escapes are JSON's in both formats. *text moves on. */
static size_t piece(char dst[16], const char **text, size_t left)
{
	const char *from = *text;
	uint32_t code = 0;
	size_t n = text_char(from, left, &code);
	int len = 0;

	*text += n ? n : 1;
	if (n == 0)
		return text_copy(dst, 16, "\xef\xbf\xbd");
	if (code == '"' || code == '\\')
		len = snprintf(dst, 16, "\\%c", (int)code);
	else if (code == '\n' || code == '\t')
		len = snprintf(dst, 16, "\\%c", code == '\n' ? 'n' : 't');
	else if (text_is_control(code))
		len = snprintf(dst, 16, "\\u%04x", (unsigned)code);
	else
		memcpy(dst, from, n);
	return len > 0 ? (size_t)len : n;
}

static bool is_bare(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text >= 0x7f || *text == '"' || *text == '=' || *text == '\\')
			return false;
	return true;
}

static void put_text(struct line *l, const char *key, const char *text)
{
	const char *end = text + strlen(text);
	char one[16];

	if (!put_key(l, key))
		return;
	if (!l->json && is_bare(text) && room(l, (size_t)(end - text))) {
		put(l, text, (size_t)(end - text));
		return;
	}
	put(l, "\"", 1);
	while (text < end) {
		size_t n = piece(one, &text, (size_t)(end - text));

		if (!room(l, n))
			break;
		put(l, one, n);
	}
	put(l, "\"", 1);
}

static void put_known(struct line *l, const char *key, const char *text) /* left out when there is none */
{
	if (text != NULL && *text != '\0')
		put_text(l, key, text);
}

static void put_int(struct line *l, const char *key, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%lld", (long long)value);

	if (n > 0 && put_key(l, key))
		put(l, text, (size_t)n);
}

static void put_ms(struct line *l, const char *key, double ms)
{
	char text[32];
	int n;

	if (!isfinite(ms) || ms < 0 || ms > 1e15)
		return;
	n = snprintf(text, sizeof text, "%.3f", ms);
	if (n > 0 && put_key(l, key))
		put(l, text, (size_t)n);
}

static void begin(struct line *l, enum log_level level)
{
	char ts[32];

	l->len = 0;
	l->json = sink.format == LOG_F_JSON;
	l->text[0] = '\n';
	if (l->json)
		put(l, "{", 1);
	if (!sink.syslog)
		put_text(l, "ts", clock_rfc3339(ts, sizeof ts, clock_real_us()));
	put_text(l, "level", levels[level]);
	put_known(l, "node", context.node);
	put_known(l, "role", context.role);
	put_known(l, "queue", context.queue);
	if (context.slot >= 0)
		put_int(l, "slot", context.slot);
	put_int(l, "pid", getpid());
}

static bool send_line(struct line *l, enum log_level level)
{
	const char *from = sink.torn ? l->text : l->text + 1;
	size_t len;
	ssize_t n;

	if (l->json)
		put(l, "}", 1);
	if (sink.syslog) {
		syslog(priorities[level], "%.*s", (int)l->len, l->text + 1);
		return true;
	}
	put(l, "\n", 1);
	len = l->len + (sink.torn ? 1 : 0);
	do
		n = write(sink.fd, from, len);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		sink.torn = (size_t)n < len;
	if (n == (ssize_t)len)
		return true;
	sink.lost++;
	sink.untold++;
	return false;
}

static void finish(struct line *l, enum log_level level)
{
	char text[96];
	uint64_t untold;

	if (!send_line(l, level) || sink.untold == 0)
		return;
	untold = sink.untold;
	if (snprintf(text, sizeof text, "%llu log lines could not be written and are lost", (unsigned long long)untold) < 0)
		return;
	begin(l, LOG_L_WARN);
	put_text(l, "msg", text);
	if (send_line(l, LOG_L_WARN))
		sink.untold -= untold;
}

__attribute__((format(printf, 2, 0))) static void message(enum log_level level, const char *format, va_list ap)
{
	int saved = errno;
	struct line l;
	char text[LINE_MAX_BYTES];

	if (vsnprintf(text, sizeof text, format, ap) < 0)
		text_copy(text, sizeof text, format);
	begin(&l, level);
	put_text(&l, "msg", text);
	finish(&l, level);
	errno = saved;
}

#define MESSAGE(level)                                                                                                 \
	do {                                                                                                               \
		va_list ap;                                                                                                    \
		if (!log_enabled(level))                                                                                       \
			return;                                                                                                    \
		va_start(ap, format);                                                                                          \
		message(level, format, ap);                                                                                    \
		va_end(ap);                                                                                                    \
	} while (0)

void log_error(const char *format, ...)
{
	MESSAGE(LOG_L_ERROR);
}

void log_warn(const char *format, ...)
{
	MESSAGE(LOG_L_WARN);
}

void log_info(const char *format, ...)
{
	MESSAGE(LOG_L_INFO);
}

void log_debug(const char *format, ...)
{
	MESSAGE(LOG_L_DEBUG);
}

void log_job(enum log_level level, const struct log_job *job, const char *msg)
{
	int saved = errno;
	struct line l;
	char id[24];

	if (!log_enabled(level))
		return;
	begin(&l, level);
	put_text(&l, "msg", msg);
	if (context.queue[0] == '\0')
		put_known(&l, "queue", job->queue);
	if (snprintf(id, sizeof id, "%lld", (long long)job->id) > 0)
		put_text(&l, "job", id); /* an id is text in every JSON document */
	put_known(&l, "tenant", job->tenant);
	put_known(&l, "type", job->type);
	put_int(&l, "attempt", job->attempt);
	put_known(&l, "outcome", job->outcome);
	put_ms(&l, "wait_ms", job->wait_ms);
	put_ms(&l, "run_ms", job->run_ms);
	put_known(&l, "error", job->error);
	finish(&l, level);
	errno = saved;
}
