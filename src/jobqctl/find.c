/*
 * jobqctl/find.c: finds the control socket.
 *
 * Reads the configuration without its secrets, which an ordinary user may not see. A configuration with errors still tells
 * its run_dir: the operator who has just broken it needs `jobqctl reload` to say so. Then only the line itself is looked
 * for, included files apart. Owns nothing; blocks on the file.
 */
#include "config.h"

#include "jobqctl/find.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/line.h"

#define FIND_CONFIG SYSCONFDIR "/jobq/jobqd.conf"
#define FIND_RUN_DIR RUNSTATEDIR "/jobq"
#define FIND_CONFIG_MAX (1u << 20)

extern char **environ;

const char *find_config(const char *config)
{
	return config != NULL ? config : FIND_CONFIG;
}

static char *in_dir(const char *dir)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	return xasprintf("%.*s/jobqd.sock", (int)len, dir);
}

/* run_dir of a text that as a whole is no configuration; NULL = it names none */
static char *scan(char *text)
{
	bool inside = false;
	char *found = NULL, *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		struct conf_line parsed = conf_line_parse(line);
		if (parsed.kind == CONF_LINE_SECTION)
			inside = strcmp(parsed.name, "jobqd") == 0;
		else if (parsed.kind == CONF_LINE_KEY && inside && strcmp(parsed.name, "run_dir") == 0 && parsed.arg[0] == '/') {
			free(found); /* later wins */
			found = in_dir(parsed.arg);
		}
	}
	return found;
}

static char *from_broken(const char *path)
{
	struct buf text = {0};
	const char *dir = getenv("JOBQ_RUN_DIR");
	char *found = NULL;

	if (dir != NULL && dir[0] == '/')
		return in_dir(dir);
	if (io_read_file(path, FIND_CONFIG_MAX, &text) == 0) {
		char *copy = xstrdup(buf_str(&text));
		found = scan(copy);
		free(copy);
	}
	buf_free(&text);
	return found != NULL ? found : in_dir(FIND_RUN_DIR);
}

static char *from_config(const char *path)
{
	char problems[CONF_ERROR_MAX];
	struct conf *conf = conf_load_public(path, environ, problems);

	if (conf == NULL)
		return from_broken(path);
	char *found = in_dir(conf->jobqd.run_dir);
	conf_free(conf);
	return found;
}

char *find_socket(const char *socket, const char *config, char *err, size_t errlen)
{
	const char *named = getenv("JOBQ_SOCKET");

	if (socket != NULL)
		return xstrdup(socket);
	if (config != NULL && access(config, R_OK) != 0) {
		(void)snprintf(err, errlen, "cannot read %s: %s", config, strerror(errno));
		return NULL;
	}
	if (config == NULL && named != NULL && named[0] != '\0')
		return xstrdup(named);
	return from_config(find_config(config));
}

char *find_run_dir(const char *socket_path)
{
	const char *slash = strrchr(socket_path, '/');

	if (slash == NULL)
		return xstrdup(".");
	return slash == socket_path ? xstrdup("/") : xstrndup(socket_path, (size_t)(slash - socket_path));
}
