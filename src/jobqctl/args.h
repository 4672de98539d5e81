/*
 * jobqctl/args.h: the command line of one command, read by the table.
 *
 * Options may stand anywhere before "--": --name VALUE, --name=VALUE, --flag; -o is --columns. What has a key in the table goes into
 * `sent` with its type; the rest is asked for with args_value.
 */
#ifndef JOBQ_JOBQCTL_ARGS_H
#define JOBQ_JOBQCTL_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "jobqctl/command.h"

struct args {
	const struct command *command; /* NULL: none was given */
	json_t *sent;                  /* an object */
	char **words;                  /* the rest of the line, in order; point into argv */
	size_t nwords;
	const char *socket, *config;   /* -s, -c */
	bool json, help, version, completion;
	struct { const struct option_def *option; const char *value; } *given;
	size_t ngiven;
};

/* 0, or -1 with the reason in err. Free with args_free in both cases. */
int args_parse(struct args *args, int argc, char **argv, char *err, size_t errlen);
void args_free(struct args *args);
const char *args_value(const struct args *args, const char *option); /* NULL = not given; "" for a flag */

#endif
