/* jobqctl/command.h: the commands and their options, expanded from tbl/commands.def. */
#ifndef JOBQ_JOBQCTL_COMMAND_H
#define JOBQ_JOBQCTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define COMMAND_X(id, verb, args, access, where, here, help) COMMAND_##id,
enum command_id {
#include "tbl/commands.def"
	COMMAND_COUNT
};

enum command_where { COMMAND_MASTER, COMMAND_DISPATCHER, COMMAND_CLIENT };

struct command {
	enum command_id id;
	const char *verb, *args;
	enum command_where where;
	bool here;        /* in this version */
	const char *help; /* "" = of the socket, not for people */
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_COUNT, OPTION_SECONDS };

struct option_def {
	enum command_id command;
	const char *name, *argument; /* argument "" = a flag */
	enum option_kind kind;
	const char *key;             /* in the request; "" = jobqctl's own */
	const char *help;
};

const struct command *command_of(enum command_id id);
const struct command *command_find(const char *verb);    /* those for people; NULL = none */
const char *command_near(const char *verb);              /* the nearest name, or NULL */
const struct option_def *command_option(enum command_id id, const char *name); /* NULL = none */
const char *command_option_near(enum command_id id, const char *name);
size_t command_options(const struct option_def **all);   /* every option of every command */

void command_list(FILE *out);                            /* jobqctl --help */
void command_help(const struct command *command, FILE *out);

#endif
