/*
 * master/instance.c: the identity of this installation of jobqd.
 *
 * Runs in the master at its start, once. A daemon that comes back must recognise its own claims, and two that share a
 * database must never take each other for themselves: the host's name alone would not do (containers), so 128 random bits
 * are kept beside it in the state directory, written by rename. A damaged file is refused: guessing would orphan claims.
 */
#include "config.h"

#include "master/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define HEX 32

bool master_instance_valid(const char *text, size_t len)
{
	if (len == HEX + 1 && text[HEX] == '\n')
		len--;
	if (len != HEX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (strchr("0123456789abcdef", text[i]) == NULL || text[i] == '\0')
			return false;
	return true;
}

static bool make(const char *path, char hex[HEX + 2])
{
	unsigned char random[HEX / 2];

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return false;
	for (size_t i = 0; i < sizeof random; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", random[i]);
	hex[HEX] = '\n';
	hex[HEX + 1] = '\0';
	return io_write_file(path, hex, HEX + 1, 0600) == 0;
}

char *master_instance_open(const char *state_dir, char *err, size_t errlen)
{
	char *path = xasprintf("%s/instance", state_dir), *made = NULL;
	char hex[HEX + 2] = "", host[256] = "localhost";
	struct buf text = {0};

	(void)gethostname(host, sizeof host - 1);
	if (io_read_file(path, 256, &text) == 0) {
		if (master_instance_valid(buf_str(&text), text.len))
			memcpy(hex, text.data, HEX);
		else
			(void)snprintf(err, errlen, "%s is damaged: it should hold %d hex digits. Put it back from a backup, or remove it when "
			               "this node has no claims in the database", path, HEX);
	} else if (errno != ENOENT) {
		(void)snprintf(err, errlen, "cannot read %s: %s", path, strerror(errno));
	} else if (!make(path, hex)) {
		(void)snprintf(err, errlen, "cannot write %s: %s", path, strerror(errno));
		hex[0] = '\0';
	}
	if (hex[0] != '\0')
		made = xasprintf("%s:%.*s", host, HEX, hex);
	buf_free(&text);
	free(path);
	return made;
}
