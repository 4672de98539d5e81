/*
 * conf/fields.h: the structs and constants that the configuration table expands to.
 *
 * Nothing is declared here by hand: a row of tbl/config.def marked NOW is a field, a row marked LATER is none. A value of an
 * ENUM key is one of the constants CONF_<KEY>_<CHOICE>; those of LATER choices exist, but no loaded configuration holds one.
 */
#ifndef JOBQ_CONF_FIELDS_H
#define JOBQ_CONF_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"

#define CONF_C_DURATION(key) int64_t key;     /* nanoseconds */
#define CONF_C_SIZE(key) int64_t key;         /* bytes */
#define CONF_C_INT(key) int64_t key;
#define CONF_C_BOOL(key) bool key;
#define CONF_C_RATE(key) struct rate key;     /* count 0 = none */
#define CONF_C_BACKOFF(key) struct backoff key;
#define CONF_C_ENUM(key) int key;
#define CONF_C_STRING(key) const char *key;   /* never NULL; "" = not set */
#define CONF_C_PATH(key) const char *key;
#define CONF_C_SECRET(key) const char *key;   /* resolved */
#define CONF_C_LIST(key) const char *key;     /* one item a line */
#define CONF_C_VARS(key) const char *key;     /* one NAME=value a line */

#define CONF_FIELD_NOW(section, type, key) CONF_IN_##section(type, key)
#define CONF_FIELD_LATER(section, type, key)

struct conf_jobqd {
#define CONF_IN_JOBQD(type, key) CONF_C_##type(key)
#define CONF_IN_QUEUE(type, key)
#define CONF_IN_TENANTS(type, key)
#define CONF_IN_POOL(type, key)
#define CONF_IN_REPORT(type, key)
#define CONF_X(section, version, type, key, ...) CONF_FIELD_##version(section, type, key)
#include "tbl/config.def"
#undef CONF_IN_JOBQD
#undef CONF_IN_QUEUE
#undef CONF_IN_TENANTS
#undef CONF_IN_POOL
#undef CONF_IN_REPORT
};

struct conf_queue_keys {
#define CONF_IN_JOBQD(type, key)
#define CONF_IN_QUEUE(type, key) CONF_C_##type(key)
#define CONF_IN_TENANTS(type, key)
#define CONF_IN_POOL(type, key)
#define CONF_IN_REPORT(type, key)
#define CONF_X(section, version, type, key, ...) CONF_FIELD_##version(section, type, key)
#include "tbl/config.def"
#undef CONF_IN_JOBQD
#undef CONF_IN_QUEUE
#undef CONF_IN_TENANTS
#undef CONF_IN_POOL
#undef CONF_IN_REPORT
};

struct conf_tenants {
#define CONF_IN_JOBQD(type, key)
#define CONF_IN_QUEUE(type, key)
#define CONF_IN_TENANTS(type, key) CONF_C_##type(key)
#define CONF_IN_POOL(type, key)
#define CONF_IN_REPORT(type, key)
#define CONF_X(section, version, type, key, ...) CONF_FIELD_##version(section, type, key)
#include "tbl/config.def"
#undef CONF_IN_JOBQD
#undef CONF_IN_QUEUE
#undef CONF_IN_TENANTS
#undef CONF_IN_POOL
#undef CONF_IN_REPORT
};

struct conf_pool_keys {
#define CONF_IN_JOBQD(type, key)
#define CONF_IN_QUEUE(type, key)
#define CONF_IN_TENANTS(type, key)
#define CONF_IN_POOL(type, key) CONF_C_##type(key)
#define CONF_IN_REPORT(type, key)
#define CONF_X(section, version, type, key, ...) CONF_FIELD_##version(section, type, key)
#include "tbl/config.def"
#undef CONF_IN_JOBQD
#undef CONF_IN_QUEUE
#undef CONF_IN_TENANTS
#undef CONF_IN_POOL
#undef CONF_IN_REPORT
};

struct conf_report {
#define CONF_IN_JOBQD(type, key)
#define CONF_IN_QUEUE(type, key)
#define CONF_IN_TENANTS(type, key)
#define CONF_IN_POOL(type, key)
#define CONF_IN_REPORT(type, key) CONF_C_##type(key)
#define CONF_X(section, version, type, key, ...) CONF_FIELD_##version(section, type, key)
#include "tbl/config.def"
#undef CONF_IN_JOBQD
#undef CONF_IN_QUEUE
#undef CONF_IN_TENANTS
#undef CONF_IN_POOL
#undef CONF_IN_REPORT
};

enum conf_choice_value {
#define CONF_CHOICE_X(key, KEY, CHOICE, value, text, version) CONF_##KEY##_##CHOICE = (value),
#include "tbl/config.def"
};

#endif
