/*
 * conf/secret.c: secrets that are not in the configuration file itself (see secret.h).
 *
 * Runs where a configuration is read; blocks on files. Owns nothing: the text goes to the configuration's keep, which wipes
 * it. Invariant: no message ever holds a secret, only the name of its file or variable. One newline at the end of a file is
 * not part of the secret; a NUL or control character, or nothing at all, is refused.
 */
#include "config.h"

#include "conf/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "conf/line.h"

#define SECRET_MAX 8192u

static const char in_file[] = "file:", in_env[] = "env:";

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool conf_secret_is_reference(const char *text)
{
	return begins(text, in_file) || begins(text, in_env);
}

static const char *reason(char why[CONF_WHY_MAX], const char *what, const char *name, const char *detail)
{
	if (snprintf(why, CONF_WHY_MAX, "%s %s: %s", what, name, detail) < 0)
		why[0] = '\0';
	return NULL;
}

static const char *checked(const char *text, size_t len, const char *what, const char *name, struct conf_keep *keep,
	char why[CONF_WHY_MAX])
{
	const char *problem = conf_line_problem(text, len);

	if (len == 0)
		return reason(why, what, name, "it is empty");
	if (problem != NULL)
		return reason(why, what, name, problem);
	return conf_keep_text(keep, text, len);
}

static const char *from_file(const char *path, const char *where, struct conf_keep *keep, char why[CONF_WHY_MAX])
{
	static const char what[] = "cannot use the secret file";
	struct buf buf = {0};
	struct stat st;
	const char *text = NULL;
	size_t len;

	if (*path != '/')
		return reason(why, what, path, "write its absolute path");
	if (stat(path, &st) != 0)
		return reason(why, what, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return reason(why, what, path, "not a regular file");
	if (io_read_file(path, SECRET_MAX, &buf) != 0) {
		reason(why, what, path, errno == EFBIG ? "larger than 8 kB" : strerror(errno));
	} else {
		len = buf.len;
		if (len > 0 && buf.data[len - 1] == '\n')
			len--;
		if (len > 0 && len < buf.len && buf.data[len - 1] == '\r')
			len--;
		text = checked(buf.data ? buf.data : "", len, what, path, keep, why);
		if (text != NULL && (st.st_mode & S_IROTH) != 0)
			log_warn("%s: everybody may read the secret file %s; chmod o-r it", where, path);
	}
	if (buf.data != NULL)
		explicit_bzero(buf.data, buf.len);
	buf_free(&buf);
	return text;
}

static const char *from_environment(const char *name, char *const *environment, struct conf_keep *keep, char why[CONF_WHY_MAX])
{
	static const char what[] = "cannot use the environment variable";
	size_t len = strlen(name);

	for (char *const *e = environment; len > 0 && e != NULL && *e != NULL; e++)
		if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
			return checked(*e + len + 1, strlen(*e + len + 1), what, name, keep, why);
	return reason(why, what, name, "it is not set");
}

const char *conf_secret_resolve(const char *text, char *const *environment, const char *where, struct conf_keep *keep,
	char why[CONF_WHY_MAX])
{
	if (begins(text, in_file))
		return from_file(text + strlen(in_file), where, keep, why);
	if (begins(text, in_env))
		return from_environment(text + strlen(in_env), environment, keep, why);
	return text;
}
