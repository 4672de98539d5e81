/*
 * base/units.h: durations, sizes and rates as people write them.
 *
 * Pure. Durations "250ms 10s 5min 2h30m 30d" (a bare number is refused but for 0), sizes "64kB 16MB 1GB"
 * (1 kB = 1024, a bare number is bytes), rates "50/s 600/min 500/15s 10/h" ("off" or "0": no limit), booleans "on off true false yes no 1 0".
 * Units of a duration (d h min or m s ms us ns) come from large to small. Every parser takes the whole string or
 * fails; overflow is a failure, and a failure leaves the result alone.
 */
#ifndef JOBQ_BASE_UNITS_H
#define JOBQ_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
	int64_t count;     /* 0 = no limit */
	int64_t period_ns; /* > 0 when count > 0 */
};

enum backoff_kind { BACKOFF_FIXED, BACKOFF_LINEAR, BACKOFF_EXPONENTIAL };
struct backoff {
	enum backoff_kind kind;
	int64_t first_ns; /* > 0 */
	int64_t max_ns;   /* >= first_ns; equal to first_ns for fixed */
};

bool units_duration(const char *text, int64_t *ns);
bool units_size(const char *text, int64_t *bytes);
bool units_rate(const char *text, struct rate *rate);
bool units_bool(const char *text, bool *value);
bool units_int(const char *text, int64_t min, int64_t max, int64_t *value);
bool units_backoff(const char *text, struct backoff *backoff); /* "exponential 5s..1h", "fixed 10s", "linear 10s..10min" */

/* The shortest exact spelling, into dst (64 bytes suffice); returns dst. What these print, the parsers read back
 * (a duration or size below 0 prints as 0). */
char *units_print_duration(char *dst, size_t size, int64_t ns);
char *units_print_size(char *dst, size_t size, int64_t bytes);
char *units_print_rate(char *dst, size_t size, struct rate rate);
char *units_print_backoff(char *dst, size_t size, struct backoff backoff);
double units_per_second(struct rate rate); /* 0 when there is no limit */

#endif
