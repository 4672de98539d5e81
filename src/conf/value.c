/*
 * conf/value.c: what the text of a value means (see value.h).
 *
 * Pure; runs where a configuration is read. Owns nothing. Invariant: a field is written only with a value of the key's type
 * within its range; "" and `off` mean "not set" for a key without a default. Texts of secrets are never part of a message.
 */
#include "config.h"

#include "conf/value.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "conf/near.h"

union number { /* a typed value on its way */
	int64_t i;
	bool b;
	int e;
	struct rate rate;
	struct backoff backoff;
};

__attribute__((format(printf, 2, 3))) static bool wrong(char why[CONF_WHY_MAX], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(why, CONF_WHY_MAX, format, ap) < 0)
		why[0] = '\0';
	va_end(ap);
	return false;
}

static bool is_text(const struct conf_key *key)
{
	return key->type == CONF_T_STRING || key->type == CONF_T_PATH || key->type == CONF_T_SECRET ||
	       conf_table_several(key);
}

/* A DURATION, SIZE or INT. */
static bool scalar(enum conf_type type, const char *text, int64_t *value)
{
	if (type == CONF_T_DURATION)
		return units_duration(text, value);
	if (type == CONF_T_SIZE)
		return units_size(text, value);
	return units_int(text, INT64_MIN, INT64_MAX, value);
}

static bool set_scalar(const struct conf_key *key, const char *text, int64_t *value, char why[CONF_WHY_MAX])
{
	char range[CONF_RANGE_MAX];
	int64_t bound;

	if (!scalar(key->type, text, value)) {
		if (key->type == CONF_T_INT)
			return wrong(why, "\"%.60s\" is not a whole number", text);
		return wrong(why, "\"%.60s\" is not a %s", text, key->type == CONF_T_SIZE ? "size, such as 64kB, 16MB or 1GB" :
			"duration, such as 250ms, 10s, 5min or 2h30m");
	}
	if (key->min[0] != '\0' && scalar(key->type, key->min, &bound) && *value < bound)
		return wrong(why, "%.60s is too small: %s", text, conf_value_range(key, range));
	if (key->max[0] != '\0' && scalar(key->type, key->max, &bound) && *value > bound)
		return wrong(why, "%.60s is too large: %s", text, conf_value_range(key, range));
	return true;
}

static bool set_enum(const struct conf_key *key, const char *text, int *value, char why[CONF_WHY_MAX])
{
	const struct conf_choice *choice = conf_table_choice(key->name, text);
	char near[CONF_NEAR_MAX], list[CONF_RANGE_MAX];

	if (choice == NULL)
		return wrong(why, "\"%.60s\" is not one of %s%s", text, conf_table_choices(key->name, list, sizeof list),
			conf_near_choice(key->name, text, near, sizeof near));
	if (!choice->now)
		return wrong(why, "\"%s\" is not in this version", text);
	*value = choice->value;
	return true;
}

static bool is_masked(const char *text)
{
	size_t stars = strspn(text, "*");

	return stars >= 3 && text[stars] == '\0';
}

/* `Name: value` of a LIST */
static bool set_item(const char *text, char why[CONF_WHY_MAX])
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
	size_t name = strspn(text, token);

	if (*text == '\0')
		return true;
	if (name == 0 || text[name] != ':')
		return wrong(why, "expected `Name: value`, the name of letters, digits and -");
	if (is_masked(text + name + 1 + strspn(text + name + 1, " \t")))
		return wrong(why, "the value is masked; write the value itself, file:PATH or env:NAME");
	return true;
}

/* `NAME=value` of VARS */
static bool set_variable(const char *text, char why[CONF_WHY_MAX])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t name = strspn(text, letters);

	if (*text == '\0')
		return true;
	if (name == 0 || text[name] != '=' || (*text >= '0' && *text <= '9'))
		return wrong(why, "expected NAME=value, the name of letters, digits and _");
	if (is_masked(text + name + 1))
		return wrong(why, "the value is masked; write the value itself");
	return true;
}

static bool set_text(const struct conf_key *key, const char *text, char why[CONF_WHY_MAX])
{
	if (key->type == CONF_T_PATH && *text != '\0' && *text != '/')
		return wrong(why, "\"%.60s\" is not an absolute path", text);
	if (key->type == CONF_T_PATH && strlen(text) >= PATH_MAX)
		return wrong(why, "the path is too long");
	if (key->type == CONF_T_SECRET && is_masked(text))
		return wrong(why, "the value is masked; write the secret itself, file:PATH or env:NAME");
	if (key->type == CONF_T_VARS)
		return set_variable(text, why);
	return key->type == CONF_T_LIST ? set_item(text, why) : true;
}

static bool parse(const struct conf_key *key, const char *text, union number *value, char why[CONF_WHY_MAX])
{
	switch (key->type) {
	case CONF_T_BOOL:
		return units_bool(text, &value->b) ? true : wrong(why, "\"%.60s\" is not on or off", text);
	case CONF_T_RATE:
		return units_rate(text, &value->rate) ? true : wrong(why, "\"%.60s\" is not a rate, such as 50/s, 600/min or 500/15s", text);
	case CONF_T_BACKOFF:
		if (units_backoff(text, &value->backoff))
			return true;
		return wrong(why, "\"%.60s\" is not a backoff, such as exponential 5s..1h, linear 10s..10min or fixed 10s", text);
	case CONF_T_ENUM:
		return set_enum(key, text, &value->e, why);
	default:
		return set_scalar(key, text, &value->i, why);
	}
}

static size_t size_of(const struct conf_key *key)
{
	switch (key->type) {
	case CONF_T_BOOL:
		return sizeof(bool);
	case CONF_T_RATE:
		return sizeof(struct rate);
	case CONF_T_BACKOFF:
		return sizeof(struct backoff);
	case CONF_T_ENUM:
		return sizeof(int);
	default:
		return sizeof(int64_t);
	}
}

bool conf_value_set(const struct conf_key *key, const char *text, void *base, char why[CONF_WHY_MAX])
{
	bool none = conf_table_optional(key) && (*text == '\0' || (strcmp(text, "off") == 0 && key->type != CONF_T_ENUM));
	union number value;

	memset(&value, 0, sizeof value);
	if (*text == '\0' && !none)
		return wrong(why, "needs a value (default %s)", key->def);
	if (is_text(key)) {
		if (!set_text(key, text, why))
			return false;
		if (base != NULL)
			memcpy((char *)base + key->offset, &text, sizeof text);
		return true;
	}
	if (!none && !parse(key, text, &value, why))
		return false;
	if (base != NULL)
		memcpy((char *)base + key->offset, &value, size_of(key));
	return true;
}

bool conf_value_same(const struct conf_key *key, const void *a, const void *b)
{
	const char *at = (const char *)a + key->offset, *bt = (const char *)b + key->offset, *x, *y;
	struct backoff p, q;

	if (is_text(key)) {
		memcpy(&x, at, sizeof x);
		memcpy(&y, bt, sizeof y);
		return strcmp(x, y) == 0;
	}
	if (key->type == CONF_T_BACKOFF) { /* it has padding */
		memcpy(&p, at, sizeof p);
		memcpy(&q, bt, sizeof q);
		return p.kind == q.kind && p.first_ns == q.first_ns && p.max_ns == q.max_ns;
	}
	return memcmp(at, bt, size_of(key)) == 0;
}

static int one_of(char dst[CONF_RANGE_MAX], const char *list)
{
	return snprintf(dst, CONF_RANGE_MAX, "%s%s", strchr(list, ',') ? "one of " : "", list);
}

const char *conf_value_range(const struct conf_key *key, char dst[CONF_RANGE_MAX])
{
	char list[CONF_RANGE_MAX - 16];
	const char *unit = key->unit, *space = *unit ? " " : "";
	int n = 0;

	dst[0] = '\0';
	if (key->type == CONF_T_ENUM)
		n = one_of(dst, conf_table_choices(key->name, list, sizeof list));
	else if (key == &conf_table[CONF_K_QUEUE_handler])
		n = one_of(dst, conf_table_handlers(list, sizeof list));
	else if (key->type == CONF_T_BOOL)
		n = snprintf(dst, CONF_RANGE_MAX, "on or off");
	else if (key->min[0] != '\0' && key->max[0] != '\0')
		n = snprintf(dst, CONF_RANGE_MAX, "%s to %s%s%s", key->min, key->max, space, unit);
	else if (key->min[0] != '\0')
		n = snprintf(dst, CONF_RANGE_MAX, "at least %s%s%s", key->min, space, unit);
	if (n < 0)
		dst[0] = '\0';
	return dst;
}
