/*
 * jobqctl/args.c: reads a command line by the table of commands.
 *
 * Pure but for memory. The global options (-s, -c, --json, --help) are known before and after the verb, so that both
 * `jobqctl --json status` and `jobqctl status --json` do. Everything is checked here, with the nearest name for a misspelt
 * one; nothing is sent before the whole line is understood.
 */
#include "config.h"

#include "jobqctl/args.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"

struct cursor { /* where we are in argv */
	int argc, at;
	char **argv;
	char *err;
	size_t errlen;
};

__attribute__((format(printf, 2, 3))) static int fail(struct cursor *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(c->err, c->errlen, format, ap);
	va_end(ap);
	return -1;
}

/* the value of an option: after its '=', or the next word */
static const char *value_of(struct cursor *c, const char *inline_value)
{
	if (inline_value != NULL)
		return inline_value;
	return c->at + 1 < c->argc ? c->argv[++c->at] : NULL;
}

static int send_value(struct cursor *c, struct args *args, const struct option_def *option, const char *value)
{
	json_t *json = NULL;
	int64_t number;

	switch (option->kind) {
	case OPTION_FLAG:
		json = json_true();
		break;
	case OPTION_TEXT:
		if (!text_is_utf8(value, strlen(value)))
			return fail(c, "--%s: the value is not UTF-8", option->name);
		json = json_string(value);
		break;
	case OPTION_COUNT:
		if (!units_int(value, 1, INT32_MAX, &number))
			return fail(c, "--%s: \"%s\" is not a number above 0", option->name, value);
		json = json_integer(number);
		break;
	case OPTION_SECONDS:
		if (!units_duration(value, &number) || number <= 0)
			return fail(c, "--%s: \"%s\" is not a duration; write 250ms, 10s, 5min, 2h30m or 30d", option->name, value);
		json = json_real((double)number / (double)NS_PER_S);
		break;
	}
	if (option->key[0] == '\0')
		json_decref(json);
	else if (json_object_set_new(args->sent, option->key, json) != 0)
		return fail(c, "out of memory");
	return 0;
}

static int command_option_parse(struct cursor *c, struct args *args, const char *name, const char *inline_value)
{
	const struct option_def *option = args->command == NULL ? NULL : command_option(args->command->id, name);
	const char *value = "";

	if (option == NULL) {
		const char *near = args->command == NULL ? NULL : command_option_near(args->command->id, name);
		return fail(c, "unknown option --%s%s%s%s%s%s", name, near != NULL ? "; did you mean --" : "", near != NULL ? near : "",
			near != NULL ? "?" : "", args->command == NULL ? "; options of a command stand after it" : "",
			args->command != NULL && near == NULL ? "; see --help" : "");
	}
	if (option->kind != OPTION_FLAG && (value = value_of(c, inline_value)) == NULL)
		return fail(c, "--%s needs a value (%s)", name, option->argument);
	if (option->kind == OPTION_FLAG && inline_value != NULL)
		return fail(c, "--%s takes no value", name);
	if (args_value(args, name) != NULL)
		return fail(c, "--%s is given twice", name);
	args->given[args->ngiven].option = option;
	args->given[args->ngiven++].value = value;
	return send_value(c, args, option, value);
}

static int long_option(struct cursor *c, struct args *args, const char *word)
{
	char name[64];
	const char *equals = strchr(word, '=');
	size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);

	if (len >= sizeof name)
		return fail(c, "unknown option --%.60s...", word);
	memcpy(name, word, len);
	name[len] = '\0';
	if (equals == NULL && strcmp(name, "json") == 0)
		args->json = true;
	else if (equals == NULL && strcmp(name, "help") == 0)
		args->help = true;
	else if (equals == NULL && strcmp(name, "version") == 0)
		args->version = true;
	else if (equals == NULL && strcmp(name, "bash-completion") == 0)
		args->completion = true;
	else
		return command_option_parse(c, args, name, equals != NULL ? equals + 1 : NULL);
	return 0;
}

static int short_option(struct cursor *c, struct args *args, const char *word)
{
	const char *inline_value = word[1] != '\0' ? word + 1 : NULL;
	const char **target = *word == 's' ? &args->socket : *word == 'c' ? &args->config : NULL;

	if (target != NULL) {
		if ((*target = value_of(c, inline_value)) == NULL)
			return fail(c, "-%c needs a path", *word);
		return 0;
	}
	if (*word == 'o')
		return command_option_parse(c, args, "columns", inline_value);
	if (inline_value == NULL && *word == 'h')
		args->help = true;
	else if (inline_value == NULL && *word == 'V')
		args->version = true;
	else
		return fail(c, "unknown option -%s; see --help", word);
	return 0;
}

static int take_word(struct cursor *c, struct args *args, char *word)
{
	if (args->command != NULL) {
		args->words[args->nwords++] = word;
		return 0;
	}
	args->command = command_find(word);
	if (args->command == NULL) {
		const char *near = command_near(word);
		return fail(c, "no command \"%s\"%s%s%s; see jobqctl --help", word, near != NULL ? "; did you mean \"" : "",
			near != NULL ? near : "", near != NULL ? "\"?" : "");
	}
	return 0;
}

int args_parse(struct args *args, int argc, char **argv, char *err, size_t errlen)
{
	struct cursor c = {.argc = argc, .argv = argv, .err = err, .errlen = errlen};
	bool options = true;
	int rc = 0;

	memset(args, 0, sizeof *args);
	args->sent = json_object();
	args->words = xcalloc((size_t)argc + 1, sizeof *args->words);
	args->given = xcalloc((size_t)argc + 1, sizeof *args->given);
	for (c.at = 1; c.at < argc && rc == 0; c.at++) {
		char *word = argv[c.at];
		if (options && strcmp(word, "--") == 0)
			options = false;
		else if (options && strncmp(word, "--", 2) == 0)
			rc = long_option(&c, args, word + 2);
		else if (options && word[0] == '-' && word[1] != '\0')
			rc = short_option(&c, args, word + 1);
		else
			rc = take_word(&c, args, word);
		if (args->command != NULL && !args->command->here)
			break; /* its options are not known yet either */
	}
	return rc;
}

void args_free(struct args *args)
{
	json_decref(args->sent);
	free(args->words);
	free(args->given);
	memset(args, 0, sizeof *args);
}

const char *args_value(const struct args *args, const char *option)
{
	for (size_t i = 0; i < args->ngiven; i++)
		if (strcmp(args->given[i].option->name, option) == 0)
			return args->given[i].value;
	return NULL;
}
