/* jobqctl/human.c: numbers in at most six columns. Pure; anything that is no number of its kind is shown as "-". */
#include "config.h"

#include "jobqctl/human.h"

#include <stdio.h>

char *human_age(char dst[HUMAN_MAX], double seconds)
{
	if (!(seconds >= 0) || seconds >= 1e5 * 86400)
		(void)snprintf(dst, HUMAN_MAX, "-");
	else if (seconds >= 48 * 3600)
		(void)snprintf(dst, HUMAN_MAX, "%.0fd", seconds / 86400);
	else if (seconds >= 99.5 * 60)
		(void)snprintf(dst, HUMAN_MAX, "%.0fh", seconds / 3600);
	else if (seconds >= 99.5)
		(void)snprintf(dst, HUMAN_MAX, "%.0fm", seconds / 60);
	else
		(void)snprintf(dst, HUMAN_MAX, seconds >= 9.95 || seconds < 0.05 ? "%.0fs" : "%.1fs", seconds);
	return dst;
}

char *human_count(char dst[HUMAN_MAX], int64_t count)
{
	double value = (double)count;

	if (count < 0)
		(void)snprintf(dst, HUMAN_MAX, "-");
	else if (count < 100000)
		(void)snprintf(dst, HUMAN_MAX, "%lld", (long long)count);
	else if (value < 999.5e3)
		(void)snprintf(dst, HUMAN_MAX, "%.0fk", value / 1e3);
	else if (value < 99.95e6)
		(void)snprintf(dst, HUMAN_MAX, "%.1fM", value / 1e6);
	else if (value < 9999.5e6)
		(void)snprintf(dst, HUMAN_MAX, "%.0fM", value / 1e6);
	else
		(void)snprintf(dst, HUMAN_MAX, value < 9999.5e9 ? "%.0fG" : "%.2gG", value / 1e9);
	return dst;
}

char *human_bytes(char dst[HUMAN_MAX], int64_t bytes)
{
	double kb = (double)bytes / 1024;

	if (bytes < 0)
		(void)snprintf(dst, HUMAN_MAX, "-");
	else if (kb < 999.5)
		(void)snprintf(dst, HUMAN_MAX, "%.0fkB", kb);
	else if (kb < 99.95 * 1024)
		(void)snprintf(dst, HUMAN_MAX, "%.1fMB", kb / 1024);
	else if (kb < 9999.5 * 1024)
		(void)snprintf(dst, HUMAN_MAX, "%.0fMB", kb / 1024);
	else
		(void)snprintf(dst, HUMAN_MAX, "%.4gGB", kb / 1024 / 1024);
	return dst;
}

char *human_ms(char dst[HUMAN_MAX], double ms)
{
	if (!(ms >= 0))
		(void)snprintf(dst, HUMAN_MAX, "-");
	else if (ms < 999.5)
		(void)snprintf(dst, HUMAN_MAX, "%.3g ms", ms);
	else
		(void)snprintf(dst, HUMAN_MAX, "%.4g s", ms / 1000.0);
	return dst;
}

char *human_rate(char dst[HUMAN_MAX], double per_s)
{
	if (!(per_s >= 0))
		(void)snprintf(dst, HUMAN_MAX, "-");
	else if (per_s < 0.05)
		(void)snprintf(dst, HUMAN_MAX, "0");
	else if (per_s < 99.95)
		(void)snprintf(dst, HUMAN_MAX, "%.1f", per_s);
	else
		return human_count(dst, per_s < 9e18 ? (int64_t)(per_s + 0.5) : INT64_MAX);
	return dst;
}
