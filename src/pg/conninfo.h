/*
 * pg/conninfo.h: a conninfo or URI, taken apart and completed with what a daemon needs. Private to src/pg.
 *
 * Added where the user is silent: target_session_attrs=read-write, keepalives, tcp_user_timeout, client_encoding,
 * application_name. `turn` rotates a list of hosts, so that a host which swallows packets costs one attempt, not all.
 */
#ifndef JOBQ_PG_CONNINFO_H
#define JOBQ_PG_CONNINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONNINFO_MAX 64

struct conninfo {
	const char *keys[CONNINFO_MAX + 1];   /* NULL-terminated, for PQconnectStartParams; constants and owned copies */
	const char *values[CONNINFO_MAX + 1];
	char *owned[CONNINFO_MAX * 2];
	size_t n;
	size_t n_owned;
	int64_t timeout_ns;                   /* for one attempt */
	const char *password;                 /* NULL = none; to be kept out of texts */
};

/* false with the reason in err, which never quotes the text: a misplaced password may stand anywhere in it. */
bool conninfo_parse(struct conninfo *ci, const char *text, const char *app_name, unsigned turn, char *err, size_t errlen);
void conninfo_free(struct conninfo *ci);
/* Replaces the password, should it occur in `text` (libpq quotes what it could not read), by ***. */
void conninfo_mask(const struct conninfo *ci, char *text);

#endif
