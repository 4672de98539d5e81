/*
 * jobqctl/main.c: jobqctl, the operator's client. Starts here.
 *
 * Reads the command line (args.c, by the table in command.c), finds the socket (find.c), and runs one cmd_ function. Keeps
 * no state, writes nothing but its output. Exit codes: 0 ok, 1 error, 2 usage, 3 daemon not running, 4 permission.
 *
 * Reading order: command, args, find, client, ctl; then cmd_*.c; text: width, table, human, status_text, job_text.
 */
#include "config.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobqctl/completion.h"
#include "jobqctl/ctl.h"
#include "jobqctl/find.h"

typedef int cmd_function(struct ctl *ctl);

static cmd_function *const functions[COMMAND_COUNT] = {
	[COMMAND_STATUS] = cmd_status, [COMMAND_PING] = cmd_ping, [COMMAND_VERSION] = cmd_version, [COMMAND_RELOAD] = cmd_reload,
	[COMMAND_STOP] = cmd_stop, [COMMAND_PAUSE] = cmd_pause, [COMMAND_RESUME] = cmd_resume, [COMMAND_ENQUEUE] = cmd_enqueue,
	[COMMAND_JOBS] = cmd_jobs, [COMMAND_JOB] = cmd_job, [COMMAND_RETRY] = cmd_retry, [COMMAND_CANCEL] = cmd_cancel,
	[COMMAND_HELD] = cmd_held, [COMMAND_RESOLVE] = cmd_resolve, [COMMAND_WHY] = cmd_why, [COMMAND_CONFIG] = cmd_config,
	[COMMAND_MIGRATE] = cmd_migrate, [COMMAND_METRICS] = cmd_metrics,
	[COMMAND_REPORT] = cmd_report,
};

/* What needs no daemon: true, and *code is what to leave with. */
static bool answered_here(const struct args *args, int *code)
{
	*code = CTL_OK;
	if (args->version)
		printf("jobqctl %s\n", PACKAGE_VERSION);
	else if (args->completion)
		completion_bash(stdout);
	else if (args->help && args->command != NULL)
		command_help(args->command, stdout);
	else if (args->help)
		command_list(stdout);
	else if (args->command == NULL)
		*code = ctl_fail(CTL_USAGE, "which command? see jobqctl --help");
	else if (!args->command->here)
		*code = ctl_fail(CTL_USAGE, "\"%s\" is not in this version", args->command->verb);
	else
		return false;
	if (*code == CTL_OK)
		*code = ctl_done();
	return true;
}

static int run(struct ctl *ctl)
{
	char err[512];

	ctl->socket = find_socket(ctl->args.socket, ctl->args.config, err, sizeof err);
	if (ctl->socket == NULL)
		return ctl_fail(CTL_ERROR, "%s", err);
	client_init(&ctl->client, ctl->socket);
	int code = functions[ctl->args.command->id](ctl);
	client_close(&ctl->client);
	free(ctl->socket);
	return code;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};
	char err[512];
	int code;

	(void)setlocale(LC_CTYPE, "C.UTF-8"); /* without it every character counts as one column */
	(void)signal(SIGPIPE, SIG_IGN);       /* a reader that leaves is an error of the write */
	if (args_parse(&ctl.args, argc, argv, err, sizeof err) != 0)
		code = ctl_fail(CTL_USAGE, "%s", err);
	else if (!answered_here(&ctl.args, &code))
		code = run(&ctl);
	args_free(&ctl.args);
	return code;
}
