/*
 * jobqctl/ctl.c: what the commands share: errors to stderr, documents to stdout, exit codes.
 *
 * The exit code follows from what failed: 2 the command line or the request, 3 nobody listens, 4 not allowed, 1 the rest.
 * Texts of the daemon may hold tenants' words, so they are made printable here; newlines of a list of problems stay.
 */
#include "config.h"

#include "jobqctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"

#define LINE_MAX_BYTES 8192u

int ctl_fail(int code, const char *format, ...)
{
	va_list ap;
	char *text = NULL, line[LINE_MAX_BYTES], *save = NULL;
	const char *head = "jobqctl: ";

	va_start(ap, format);
	int rc = vasprintf(&text, format, ap);
	va_end(ap);
	if (rc < 0)
		return code;
	for (char *part = strtok_r(text, "\n", &save); part != NULL; part = strtok_r(NULL, "\n", &save)) {
		(void)text_printable(line, sizeof line, part, strlen(part));
		fprintf(stderr, "%s%s\n", head, line);
		head = "         ";
	}
	free(text);
	return code;
}

int ctl_failed(const struct ctl *ctl, enum client_result result)
{
	static const struct { const char *code; int exit; } exits[] = {
		{"usage", CTL_USAGE}, {"not_in_this_version", CTL_USAGE}, {"permission", CTL_PERMISSION},
	};
	int code = CTL_ERROR;

	if (result == CLIENT_AWAY)
		code = ctl->client.connect_errno == EACCES ? CTL_PERMISSION : CTL_AWAY;
	for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
		if (result == CLIENT_ERROR && strcmp(ctl->client.code, exits[i].code) == 0)
			code = exits[i].exit;
	return ctl_fail(code, "%s", ctl->client.error);
}

int ctl_call(struct ctl *ctl, json_t *args, json_t **result)
{
	enum client_result rc = client_call(&ctl->client, ctl->args.command->verb, args, result);

	return rc == CLIENT_OK ? CTL_OK : ctl_failed(ctl, rc);
}

int ctl_done(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CTL_OK;
	return errno == EPIPE ? CTL_ERROR : ctl_fail(CTL_ERROR, "cannot write: %s", strerror(errno));
}

int ctl_json(const json_t *doc)
{
	/* 15 digits: 0.1 is printed as it was meant */
	if (json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) != 0 || fputc('\n', stdout) == EOF)
		return CTL_ERROR;
	return ctl_done();
}

int ctl_words(const struct ctl *ctl, size_t min, size_t max)
{
	const struct command *command = ctl->args.command;

	if (ctl->args.nwords >= min && ctl->args.nwords <= max)
		return CTL_OK;
	return ctl_fail(CTL_USAGE, "%s; usage: jobqctl %s%s%s; see jobqctl %s --help",
		ctl->args.nwords < min ? "something is missing" : "too many arguments", command->verb, command->args[0] != '\0' ? " " : "",
		command->args, command->verb);
}

bool ctl_is_id(const char *text)
{
	int64_t id;

	return text[0] >= '1' && text[0] <= '9' && units_int(text, 1, INT64_MAX, &id);
}
