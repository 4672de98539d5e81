/*
 * jobqctl/command.c: what commands there are, and what --help says of them.
 *
 * Everything comes from tbl/commands.def, which the master and the dispatcher expand too: a verb or an option is declared
 * once. Pure; prints to the stream it is given.
 */
#include "config.h"

#include "jobqctl/command.h"

#include <string.h>

#include "base/text.h"

#define COMMAND_X(id, verb, args, access, where, here, help) {COMMAND_##id, verb, args, COMMAND_##where, (here) != 0, help},
static const struct command commands[] = {
#include "tbl/commands.def"
};

#define OPTION_X(id, name, argument, kind, key, help) {COMMAND_##id, name, argument, OPTION_##kind, key, help},
static const struct option_def options[] = {
#include "tbl/commands.def"
};

#define NOPTIONS (sizeof options / sizeof *options)

const struct command *command_of(enum command_id id)
{
	return &commands[id];
}

const struct command *command_find(const char *verb)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (commands[i].help[0] != '\0' && strcmp(commands[i].verb, verb) == 0)
			return &commands[i];
	return NULL;
}

const char *command_near(const char *verb)
{
	const char *names[COMMAND_COUNT];
	size_t n = 0;

	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (commands[i].help[0] != '\0' && commands[i].here)
			names[n++] = commands[i].verb;
	int nearest = text_nearest(verb, names, n);
	return nearest < 0 ? NULL : names[nearest];
}

const struct option_def *command_option(enum command_id id, const char *name)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (options[i].command == id && strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

const char *command_option_near(enum command_id id, const char *name)
{
	const char *names[NOPTIONS];
	size_t n = 0;

	for (size_t i = 0; i < NOPTIONS; i++)
		if (options[i].command == id)
			names[n++] = options[i].name;
	int nearest = text_nearest(name, names, n);
	return nearest < 0 ? NULL : names[nearest];
}

size_t command_options(const struct option_def **all)
{
	*all = options;
	return NOPTIONS;
}

void command_list(FILE *out)
{
	fputs("usage: jobqctl [-s SOCKET | -c FILE] [--json] COMMAND [ARGUMENT...]\n"
		"       jobqctl COMMAND --help\n\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (commands[i].help[0] != '\0' && commands[i].here)
			fprintf(out, "  %-9s %s\n", commands[i].verb, commands[i].help);
	fputs("\n  -s SOCKET     jobqd's control socket (or $JOBQ_SOCKET)\n"
		"  -c FILE       find it by this configuration; the default is\n"
		"                " SYSCONFDIR "/jobq/jobqd.conf\n"
		"  --json        print the document instead of text\n"
		"  -V, --version the version of this program\n"
		"\nexit codes: 0 ok, 1 error, 2 usage, 3 daemon not running, 4 permission\n", out);
}

void command_help(const struct command *command, FILE *out)
{
	bool head = false;

	fprintf(out, "usage: jobqctl %s%s%s%s\n\n%s\n", command->verb, command->args[0] != '\0' ? " " : "", command->args,
		command->here ? " [OPTION...]" : "", command->help);
	if (!command->here)
		fputs("(not in this version)\n", out);
	for (size_t i = 0; i < NOPTIONS; i++) {
		char text[64];
		if (options[i].command != command->id)
			continue;
		if (!head)
			fputc('\n', out);
		head = true;
		(void)snprintf(text, sizeof text, "--%s%s%s", options[i].name, options[i].argument[0] != '\0' ? " " : "", options[i].argument);
		fprintf(out, "  %-22s %s\n", text, options[i].help);
	}
}
