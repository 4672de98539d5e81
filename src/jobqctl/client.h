/*
 * jobqctl/client.h: requests and replies over the control socket (docs/protocol.md, "control").
 *
 * One connection, made by the first call and kept; one request at a time. Never waits longer than timeout_ms for an answer.
 */
#ifndef JOBQ_JOBQCTL_CLIENT_H
#define JOBQ_JOBQCTL_CLIENT_H

#include <jansson.h>

#include "base/buf.h"

enum client_result {
	CLIENT_OK,
	CLIENT_ERROR,  /* the daemon says no: code and error are its words */
	CLIENT_AWAY,   /* nobody listens there, or we may not connect */
	CLIENT_SILENT, /* it does not answer */
};

struct client {
	const char *path;
	int timeout_ms;
	int fd;             /* -1 = not connected */
	int connect_errno;  /* of CLIENT_AWAY */
	struct buf in;
	char code[32];
	char *error;        /* the text of the last failure */
};

void client_init(struct client *client, const char *path); /* 10 s */
void client_close(struct client *client);
/* args: stolen, may be NULL. *result: a new reference when CLIENT_OK. */
enum client_result client_call(struct client *client, const char *verb, json_t *args, json_t **result);

#endif
