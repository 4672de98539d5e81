/*
 * master/embed_conf.c: the private PostgreSQL's settings and who may connect.
 *
 * Runs in the master; writes three small files into the data directory before each start, so that a moved run_dir or another
 * user is simply right. No TCP, one socket in a directory of mode 0700; peer authentication: the kernel says who connects,
 * and only jobqd's own user and root may be jobq's roles. An operator's own settings go into local.conf, read last.
 */
#include "config.h"

#include "master/embed_parts.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

static const char settings[] =
	"# written by jobqd before each start; put your own settings into local.conf beside it\n"
	"listen_addresses = ''\n"
	"port = 5432\n"
	"unix_socket_permissions = 0700\n"
	"max_connections = 50\n"
	"shared_buffers = 128MB\n"
	"wal_compression = on\n"
	"max_wal_size = 2GB\n"
	"checkpoint_timeout = 15min\n"
	"checkpoint_completion_target = 0.9\n"
	"autovacuum_naptime = 15s\n"
	"jit = off\n"
	"logging_collector = off\n"
	"log_destination = 'stderr'\n"
	"log_line_prefix = '%m [%p] %u '\n"
	"log_timezone = 'UTC'\n"
	"timezone = 'UTC'\n"
	"datestyle = 'iso, ymd'\n"
	"default_text_search_config = 'pg_catalog.simple'\n"
	"cluster_name = 'jobq'\n";

static const char *const roles[] = {"jobq_admin", "jobq_owner", "jobq_worker", "jobq_producer", "jobq_reader"};

char *master_embed_conf_quote(const char *text)
{
	struct buf b = {0};

	buf_putc(&b, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			buf_putc(&b, '\\');
		buf_putc(&b, *text);
	}
	buf_putc(&b, '\'');
	char *quoted = xstrdup(buf_str(&b));
	buf_free(&b);
	return quoted;
}

static bool put(const struct embed *e, const char *name, struct buf *text, char *err, size_t errlen)
{
	char *path = xasprintf("%s/%s", e->data_dir, name);
	bool good = io_write_file(path, text->data, text->len, 0600) == 0;

	if (!good)
		(void)snprintf(err, errlen, "cannot write %s: %s", path, strerror(errno));
	free(path);
	buf_free(text);
	return good;
}

/* the name that the kernel's uid has, as the ident map wants it: in double quotes when it is not a plain word */
static void put_map(struct buf *b, const char *os_user)
{
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		buf_printf(b, "jobq \"%s\" %s\n", os_user, roles[i]);
}

bool master_embed_conf_write(const struct embed *e, char *err, size_t errlen)
{
	struct buf conf = {0}, hba = {0}, ident = {0};
	const struct passwd *pw = getpwuid(geteuid());
	char *list = xasprintf("\"%s\"", e->socket_dir), *quoted = master_embed_conf_quote(list);

	buf_puts(&conf, settings);
	buf_printf(&conf, "unix_socket_directories = %s\n", quoted);
	buf_puts(&conf, "include_if_exists = 'local.conf'\n");
	free(quoted);
	free(list);
	buf_puts(&hba, "# written by jobqd before each start\nlocal all all peer map=jobq\n");
	buf_puts(&ident, "# written by jobqd before each start\n");
	if (pw != NULL && strcmp(pw->pw_name, "root") != 0)
		put_map(&ident, pw->pw_name);
	put_map(&ident, "root");

	bool good = put(e, "jobq.conf", &conf, err, errlen);
	good = put(e, "pg_hba.conf", &hba, err, errlen) && good;
	return put(e, "pg_ident.conf", &ident, err, errlen) && good;
}
