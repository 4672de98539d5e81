/*
 * conf_fixture.h: configurations in files of a private directory, for the unit_conf programs.
 *
 * fixture_open and fixture_close are a checked fixture: each test has its own directory, the texts it asks for, and the
 * configuration it loaded last.
 */
#ifndef TEST_CONF_FIXTURE_H
#define TEST_CONF_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

extern char fixture_err[CONF_ERROR_MAX]; /* of the last load; the directory in it is written as @ */
extern char *fixture_env[16];            /* NULL terminated; the test fills it */
extern bool fixture_run_dir;             /* run_dir is /run/test, as the build's own may be too long for a socket; default true */

void fixture_open(void);
void fixture_close(void);
const char *fixture_path(const char *name);                     /* until the next call */
char *const *fixture_environment(void);                         /* what the loads here use */
void fixture_put(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fixture_put_bytes(const char *name, const void *data, size_t len);
struct conf *fixture_try(const char *name);                     /* NULL: refused, see fixture_err */
struct conf *fixture_load(const char *text);                    /* of "c.conf"; the test fails when it is refused */
void fixture_refuse(const char *text, const char *why);         /* the test fails unless fixture_err is exactly `why` */
const char *fixture_origin(const struct conf *conf, const char *key); /* as conf_json says, the directory as @ */
const char *fixture_value(const struct conf *conf, const char *key);
char *fixture_effective(const struct conf *conf);               /* -T; the caller frees it */

#endif
