/* master/request.h: one line of the control socket: checked, then answered here or passed to the dispatcher. */
#ifndef JOBQ_MASTER_REQUEST_H
#define JOBQ_MASTER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct control_client;
struct master;

enum request_access { REQUEST_READ, REQUEST_ADMIN };
enum request_by { REQUEST_MASTER, REQUEST_DISPATCHER, REQUEST_CLIENT };
struct request_command { /* a row of tbl/commands.def */
	const char *verb;
	enum request_access access;
	enum request_by by;
	bool here;
};

const struct request_command *master_request_command(const char *verb); /* NULL = no such */
/* Replies, now or later (master_control_later). line lives during the call. */
void master_request(struct master *m, struct control_client *c, const char *line, size_t len);

#endif
