/* jobqctl/ids.c: ids from the command line or standard input; each is checked before the first is used. */
#include "config.h"

#include "jobqctl/ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(json_t *ids, const char *word)
{
	if (!ctl_is_id(word))
		return ctl_fail(CTL_USAGE, "\"%s\" is not the id of a job", word);
	return json_array_append_new(ids, json_string(word)) == 0 ? CTL_OK : ctl_fail(CTL_ERROR, "out of memory");
}

static int from_stdin(json_t *ids)
{
	char *line = NULL, *save;
	size_t room = 0;
	int code = CTL_OK;

	while (code == CTL_OK && getline(&line, &room, stdin) >= 0)
		for (char *word = strtok_r(line, " \t\r\n,", &save); word != NULL && code == CTL_OK; word = strtok_r(NULL, " \t\r\n,", &save))
			code = add(ids, word);
	if (code == CTL_OK && ferror(stdin) != 0)
		code = ctl_fail(CTL_ERROR, "standard input: %s", strerror(errno));
	free(line);
	return code;
}

int ids_read(const struct ctl *ctl, json_t **ids)
{
	int code = CTL_OK;

	*ids = json_array();
	if (ctl->args.nwords == 1 && strcmp(ctl->args.words[0], "-") == 0) {
		code = from_stdin(*ids);
	} else {
		for (size_t i = 0; i < ctl->args.nwords && code == CTL_OK; i++)
			code = add(*ids, ctl->args.words[i]);
	}
	if (code != CTL_OK)
		json_decref(*ids);
	return code;
}
