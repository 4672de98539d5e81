/*
 * conf_fixture.c: see conf_fixture.h. Runs in unit_conf programs; owns the directory and the last loaded configuration.
 */
#include "config.h"

#include "conf_fixture.h"

#include <check.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

char fixture_err[CONF_ERROR_MAX];
char *fixture_env[16];
bool fixture_run_dir;

static char dir[256], path[512], answer[2048];
static struct conf *loaded;

void fixture_open(void)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(dir, sizeof dir, "%s/conf-XXXXXX", tmp ? tmp : "/tmp");

	ck_assert(n > 0 && (size_t)n < sizeof dir);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	memset(fixture_env, 0, sizeof fixture_env);
	fixture_run_dir = true;
}

void fixture_close(void)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	conf_free(loaded);
	loaded = NULL;
	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			ck_assert_int_eq(unlink(fixture_path(entry->d_name)), 0);
	ck_assert_int_eq(closedir(d), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

const char *fixture_path(const char *name)
{
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);

	ck_assert(n > 0 && (size_t)n < sizeof path);
	return path;
}

void fixture_put_bytes(const char *name, const void *data, size_t len)
{
	ck_assert_int_eq(io_write_file(fixture_path(name), data, len, 0600), 0);
}

void fixture_put(const char *name, const char *format, ...)
{
	struct buf buf = {0};
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&buf, format, ap);
	va_end(ap);
	fixture_put_bytes(name, buf_str(&buf), buf.len);
	buf_free(&buf);
}

char *const *fixture_environment(void)
{
	static char run_dir[] = "JOBQ_RUN_DIR=/run/test";
	static char *all[18];
	size_t n = 0;

	if (fixture_run_dir)
		all[n++] = run_dir;
	for (size_t i = 0; fixture_env[i] != NULL; i++)
		all[n++] = fixture_env[i];
	all[n] = NULL;
	return all;
}

/* Every mention of the directory becomes @, so that texts can be compared. */
static void hide_dir(char *text)
{
	size_t len = strlen(dir);
	char *at;

	while ((at = strstr(text, dir)) != NULL) {
		*at = '@';
		memmove(at + 1, at + len, strlen(at + len) + 1);
	}
}

struct conf *fixture_try(const char *name)
{
	conf_free(loaded);
	loaded = conf_load(fixture_path(name), fixture_environment(), fixture_err);
	hide_dir(fixture_err);
	return loaded;
}

struct conf *fixture_load(const char *text)
{
	fixture_put("c.conf", "%s", text);
	ck_assert_msg(fixture_try("c.conf") != NULL, "refused: %s\n%s", fixture_err, text);
	ck_assert_str_eq(fixture_err, "");
	return loaded;
}

void fixture_refuse(const char *text, const char *why)
{
	fixture_put("c.conf", "%s", text);
	ck_assert_msg(fixture_try("c.conf") == NULL, "not refused:\n%s", text);
	ck_assert_str_eq(fixture_err, why);
}

static const char *member(const struct conf *conf, const char *key, const char *name)
{
	json_t *found = conf_json(conf, key);
	const char *text;
	int n;

	ck_assert_msg(found != NULL, "no key %s", key);
	ck_assert_uint_eq(json_array_size(found), 1);
	text = json_string_value(json_object_get(json_array_get(found, 0), name));
	ck_assert_ptr_nonnull(text);
	n = snprintf(answer, sizeof answer, "%s", text);
	ck_assert(n >= 0 && (size_t)n < sizeof answer);
	json_decref(found);
	hide_dir(answer);
	return answer;
}

const char *fixture_origin(const struct conf *conf, const char *key)
{
	return member(conf, key, "origin");
}

const char *fixture_value(const struct conf *conf, const char *key)
{
	return member(conf, key, "value");
}

char *fixture_effective(const struct conf *conf)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(out);
	conf_print_effective(conf, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}
