/*
 * base/log.h: one line a message, logfmt or JSON, to stderr, syslog or a file.
 *
 * Every process has its own context (role, queue, slot), set once after the fork. Lines are written by one
 * write(2) each, so lines of several processes never mix. Messages are cleaned (control characters are
 * escaped), clipped at 8 kB, and can hold tenants' text safely. Payloads, addresses and secrets are never
 * given to these functions. A log that cannot be written loses lines and counts them; it never stops a job.
 *
 * Severity says whose fault it is: error = somebody must act; warn = jobq handled it, look at it some day;
 * info = what an operator wants to see of a healthy daemon; debug = for developers.
 */
#ifndef JOBQ_BASE_LOG_H
#define JOBQ_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };
enum log_format { LOG_F_LOGFMT, LOG_F_JSON };

/* dest: "stderr", "syslog" or a path (opened for append, 0640). Returns 0, or -1 with errno; the old
 * destination then stays. Called again it switches. */
int log_open(const char *dest, enum log_format format, enum log_level level);
int log_reopen(void); /* USR1: opens the path again */
void log_context(const char *node, const char *role, const char *queue, int slot); /* copied; queue may be NULL, slot < 0 = none */
bool log_enabled(enum log_level level);
int log_fd(void); /* where a last word can be written when nothing else works: the log's descriptor, or 2 */
uint64_t log_lost(void); /* lines that could not be written, in this process */

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line about one job: job tenant type attempt outcome wait_ms run_ms error. Empty or NULL strings and negative times are
 * left out, and queue too when the context names one. */
struct log_job {
	int64_t id;
	const char *queue, *tenant, *type, *outcome, *error;
	int attempt;
	double wait_ms, run_ms;
};
void log_job(enum log_level level, const struct log_job *job, const char *msg);

#endif
