/*
 * master/request.c: takes a request of the control socket apart and decides who answers it.
 *
 * Runs in the master. The table of commands says who may ask and who answers; a command of another version is refused by
 * name. What the dispatcher answers is passed on as it came, with "by", the peer's name as the kernel knows it, in the args
 * of every command that changes something. Fails with a code of docs/protocol.md and a text that says what to do.
 */
#include "config.h"

#include "master/request.h"

#include <event2/event.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "master/answer.h"
#include "master/control.h"
#include "master/forward.h"
#include "master/master.h"

static const struct request_command commands[] = {
#define COMMAND_X(id, verb, arguments, access, by, here, help) {verb, REQUEST_##access, REQUEST_##by, (here) != 0},
#include "tbl/commands.def"
};
static const char *const verbs[] = {
#define COMMAND_X(id, verb, arguments, access, by, here, help) verb,
#include "tbl/commands.def"
};
#define COMMANDS (sizeof commands / sizeof commands[0])

const struct request_command *master_request_command(const char *verb)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].verb, verb) == 0)
			return &commands[i];
	return NULL;
}

static void unknown(struct control_client *c, const char *verb)
{
	char shown[80];
	int near = text_nearest(verb, verbs, COMMANDS);

	(void)text_printable(shown, sizeof shown, verb, strlen(verb));
	if (near >= 0)
		master_control_error(c, "usage", "no command \"%s\"; did you mean \"%s\"?", shown, verbs[near]);
	else
		master_control_error(c, "usage", "no command \"%s\"; see jobqctl --help", shown);
}

static void dispatch(struct master *m, struct control_client *c, const struct request_command *command, json_t *args)
{
	const struct master_peer *peer = master_control_peer(c);

	if (command->by == REQUEST_CLIENT)
		master_control_error(c, "usage", "%s is done by jobqctl itself", command->verb);
	else if (!command->here)
		master_control_error(c, "not_in_this_version", "%s is not in this version", command->verb);
	else if (command->access == REQUEST_ADMIN && !master_access_admin(peer, geteuid(), m->admin_gid))
		master_control_error(c, "permission", "%s may not %s: be root or jobqd's user, or join the group that admin_group names",
		                     peer->name, command->verb);
	else if (command->by == REQUEST_MASTER)
		master_answer(m, c, command->verb, args);
	else {
		if (command->access == REQUEST_ADMIN)
			(void)json_object_set_new(args, "by", json_string(peer->name));
		master_forward(m, c, command->verb, args);
	}
}

void master_request(struct master *m, struct control_client *c, const char *line, size_t len)
{
	json_error_t error;
	int version = 1;
	const char *verb;
	json_t *args = NULL, *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);

	if (request == NULL) {
		master_control_error(c, "usage", "not a JSON object on one line: %s", error.text);
		return;
	}
	if (json_unpack_ex(request, &error, 0, "{s?i, s:s, s?o !}", "v", &version, "cmd", &verb, "args", &args) != 0) {
		master_control_error(c, "usage", "a request is {\"v\":1,\"cmd\":…,\"args\":{…}}: %s", error.text);
	} else if (version != 1) {
		master_control_error(c, "usage", "protocol %d is not spoken here; this is protocol 1", version);
	} else if (args != NULL && !json_is_object(args) && !json_is_null(args)) {
		master_control_error(c, "usage", "args must be an object");
	} else {
		const struct request_command *command = master_request_command(verb);
		json_t *own = json_is_object(args) ? json_incref(args) : json_object();

		if (command == NULL)
			unknown(c, verb);
		else
			dispatch(m, c, command, own);
		json_decref(own);
	}
	json_decref(request);
}
