/*
 * base/clock.c: the clocks (see clock.h).
 *
 * Runs in every process. Owns one static seam by which a test stops all clocks at chosen values; a daemon never sets
 * it. Invariant: mono and boot never go back. The kernel's clocks asked for here exist on every Linux that jobq runs
 * on; if one does not answer, no deadline can be kept, and the process ends at once.
 */
#include "config.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* 0000-01-01 and the last microsecond of 9999: what four digits of a year can say */
#define REAL_US_MIN (INT64_C(-62167219200) * US_PER_S)
#define REAL_US_MAX (INT64_C(253402300800) * US_PER_S - 1)

static struct {
	bool set;
	int64_t mono_ns, boot_ns, real_us;
} test;

static struct timespec now(clockid_t which)
{
	struct timespec ts;

	if (clock_gettime(which, &ts) != 0)
		abort();
	return ts;
}

int64_t clock_mono_ns(void)
{
	struct timespec ts;

	if (test.set)
		return test.mono_ns;
	ts = now(CLOCK_MONOTONIC);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_boot_ns(void)
{
	struct timespec ts;

	if (test.set)
		return test.boot_ns;
	ts = now(CLOCK_BOOTTIME);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_real_us(void)
{
	struct timespec ts;

	if (test.set)
		return test.real_us;
	ts = now(CLOCK_REALTIME);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / NS_PER_US;
}

void clock_set(int64_t mono_ns, int64_t boot_ns, int64_t real_us)
{
	test.set = true;
	test.mono_ns = mono_ns;
	test.boot_ns = boot_ns;
	test.real_us = real_us;
}

void clock_unset(void)
{
	test.set = false;
}

char *clock_rfc3339(char *dst, size_t size, int64_t real_us)
{
	int64_t us = real_us < REAL_US_MIN ? REAL_US_MIN : real_us > REAL_US_MAX ? REAL_US_MAX : real_us;
	int64_t rest = us % US_PER_S;
	time_t seconds;
	struct tm tm = {0};

	if (size == 0)
		return dst;
	rest = rest < 0 ? rest + US_PER_S : rest;
	seconds = (time_t)((us - rest) / US_PER_S);
	if (gmtime_r(&seconds, &tm) == NULL ||
	    snprintf(dst, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(rest / 1000)) < 0)
		dst[0] = '\0';
	return dst;
}

struct timeval clock_timeval(int64_t ns)
{
	struct timeval tv = {0};

	if (ns <= 0)
		return tv;
	tv.tv_sec = (time_t)(ns / NS_PER_S);
	tv.tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US);
	if (tv.tv_sec == 0 && tv.tv_usec == 0)
		tv.tv_usec = 1; /* a wait, however short, is not "at once" */
	return tv;
}
