/*
 * base/units.c: durations, sizes, rates and backoffs as people write them (see units.h).
 *
 * Pure; runs wherever configuration or arguments are read. Owns nothing. Invariant: a parser takes the whole string
 * or fails and leaves its result alone; nothing wraps; what is printed here is read back to the same value.
 */
#include "config.h"

#include "base/units.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

struct unit {
	const char *name;
	int64_t value;
};

/* from large to small; a synonym follows the spelling that is printed alone, and is printed among others (2h30m) */
static const struct unit times[] = {
	{"d", 24 * 3600 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"min", 60 * NS_PER_S}, {"m", 60 * NS_PER_S},
	{"s", NS_PER_S},             {"ms", NS_PER_MS},      {"us", NS_PER_US},      {"ns", 1},
};
static const struct unit sizes[] = {
	{"TB", INT64_C(1) << 40}, {"GB", INT64_C(1) << 30}, {"MB", INT64_C(1) << 20}, {"kB", INT64_C(1) << 10}, {"B", 1},
};
#define N(table) (sizeof(table) / sizeof(table)[0])
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at *at; false if there is none or too many. Moves *at behind them. */
static bool digits(const char **at, int64_t *value)
{
	int64_t v = 0;

	if (!is_digit(**at))
		return false;
	for (; is_digit(**at); (*at)++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **at - '0', &v))
			return false;
	*value = v;
	return true;
}

/* The unit whose name is the whole run of letters at *at, or NULL. */
static const struct unit *unit(const struct unit *table, size_t n, const char **at)
{
	size_t len = strspn(*at, LETTERS);

	for (size_t i = 0; i < n; i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, *at, len) == 0) {
			*at += len;
			return &table[i];
		}
	return NULL;
}

bool units_duration(const char *text, int64_t *ns)
{
	int64_t sum = 0, last = INT64_MAX, n;

	if (strcmp(text, "0") == 0) {
		*ns = 0;
		return true;
	}
	do {
		const struct unit *u;

		if (!digits(&text, &n) || (u = unit(times, N(times), &text)) == NULL || u->value >= last)
			return false;
		last = u->value;
		if (__builtin_mul_overflow(n, u->value, &n) || __builtin_add_overflow(sum, n, &sum))
			return false;
	} while (*text != '\0');
	*ns = sum;
	return true;
}

bool units_size(const char *text, int64_t *bytes)
{
	const struct unit *u;
	int64_t n;

	if (!digits(&text, &n))
		return false;
	if (*text != '\0' && ((u = unit(sizes, N(sizes), &text)) == NULL || __builtin_mul_overflow(n, u->value, &n)))
		return false;
	if (*text != '\0')
		return false;
	*bytes = n;
	return true;
}

bool units_rate(const char *text, struct rate *rate)
{
	const struct unit *u;
	struct rate r;

	if (strcmp(text, "0") == 0 || strcmp(text, "off") == 0) {
		*rate = (struct rate){0};
		return true;
	}
	if (!digits(&text, &r.count) || r.count == 0 || *text++ != '/')
		return false;
	if (is_digit(*text)) {
		if (!units_duration(text, &r.period_ns) || r.period_ns == 0)
			return false;
	} else {
		if ((u = unit(times, N(times), &text)) == NULL || *text != '\0')
			return false;
		r.period_ns = u->value;
	}
	*rate = r;
	return true;
}

bool units_bool(const char *text, bool *value)
{
	static const char *const yes[] = {"on", "true", "yes", "1"}, *const no[] = {"off", "false", "no", "0"};

	for (size_t i = 0; i < N(yes); i++)
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*value = strcmp(text, yes[i]) == 0;
			return true;
		}
	return false;
}

bool units_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
	bool negative = *text == '-';
	int64_t v = 0;

	text += negative;
	if (!is_digit(*text))
		return false;
	for (; is_digit(*text); text++) {
		int digit = negative ? -(*text - '0') : *text - '0';

		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	if (*text != '\0' || v < min || v > max)
		return false;
	*value = v;
	return true;
}

static const char *const backoffs[] = {
	[BACKOFF_FIXED] = "fixed",
	[BACKOFF_LINEAR] = "linear",
	[BACKOFF_EXPONENTIAL] = "exponential",
};

bool units_backoff(const char *text, struct backoff *backoff)
{
	size_t word = strcspn(text, " \t"), kind = 0;
	struct backoff b;
	char first[64];
	const char *dots;

	while (kind < N(backoffs) && (strlen(backoffs[kind]) != word || memcmp(backoffs[kind], text, word) != 0))
		kind++;
	if (kind == N(backoffs) || text[word] == '\0')
		return false;
	b.kind = (enum backoff_kind)kind;
	text += word + strspn(text + word, " \t");
	if (b.kind == BACKOFF_FIXED) {
		if (!units_duration(text, &b.first_ns))
			return false;
		b.max_ns = b.first_ns;
	} else {
		if ((dots = strstr(text, "..")) == NULL || (size_t)(dots - text) >= sizeof first)
			return false;
		memcpy(first, text, (size_t)(dots - text));
		first[dots - text] = '\0';
		if (!units_duration(first, &b.first_ns) || !units_duration(dots + 2, &b.max_ns))
			return false;
	}
	if (b.first_ns <= 0 || b.max_ns < b.first_ns)
		return false;
	*backoff = b;
	return true;
}

/* "2h30m": every unit as often as it fits; returns how many took part */
static int mixed(char *dst, size_t size, int64_t ns)
{
	size_t len = 0;
	int parts = 0;

	for (size_t i = 0; i < N(times) && len < size; i++) {
		int n;

		if (ns < times[i].value || strcmp(times[i].name, "min") == 0)
			continue;
		n = snprintf(dst + len, size - len, "%lld%s", (long long)(ns / times[i].value), times[i].name);
		len += n > 0 ? (size_t)n : 0;
		ns %= times[i].value;
		parts++;
	}
	return parts;
}

/* "90min": the largest unit that leaves no rest */
static void alone(char *dst, size_t size, int64_t n, const struct unit *table, const char *last)
{
	while (n % table->value != 0)
		table++;
	if (snprintf(dst, size, "%lld%s", (long long)(n / table->value), table->value == 1 ? last : table->name) < 0)
		dst[0] = '\0';
}

char *units_print_duration(char *dst, size_t size, int64_t ns)
{
	char one[64] = "0", many[96] = "";
	bool short_mix = false;

	if (ns > 0) {
		alone(one, sizeof one, ns, times, "ns");
		short_mix = mixed(many, sizeof many, ns) > 1 && strlen(many) < strlen(one);
	}
	text_copy(dst, size, short_mix ? many : one);
	return dst;
}

char *units_print_size(char *dst, size_t size, int64_t bytes)
{
	char text[64] = "0";

	if (bytes > 0)
		alone(text, sizeof text, bytes, sizes, "");
	text_copy(dst, size, text);
	return dst;
}

char *units_print_rate(char *dst, size_t size, struct rate rate)
{
	char period[64];
	const char *shown = period;

	if (rate.count <= 0 || rate.period_ns <= 0) {
		text_copy(dst, size, "off");
		return dst;
	}
	units_print_duration(period, sizeof period, rate.period_ns);
	if (period[0] == '1' && !is_digit(period[1]) && strspn(period + 1, LETTERS) == strlen(period + 1))
		shown = period + 1; /* 1s: the unit alone */
	if (snprintf(dst, size, "%lld/%s", (long long)rate.count, shown) < 0)
		text_copy(dst, size, "");
	return dst;
}

char *units_print_backoff(char *dst, size_t size, struct backoff backoff)
{
	char first[64], max[64];
	int n;

	units_print_duration(first, sizeof first, backoff.first_ns);
	units_print_duration(max, sizeof max, backoff.max_ns);
	if (backoff.kind == BACKOFF_FIXED)
		n = snprintf(dst, size, "%s %s", backoffs[backoff.kind], first);
	else
		n = snprintf(dst, size, "%s %s..%s", backoffs[backoff.kind], first, max);
	if (n < 0)
		text_copy(dst, size, "");
	return dst;
}

double units_per_second(struct rate rate)
{
	if (rate.count <= 0 || rate.period_ns <= 0)
		return 0;
	return (double)rate.count * (double)NS_PER_S / (double)rate.period_ns;
}
