/*
 * jobqctl/completion.c: writes contrib/completion/jobqctl, and `jobqctl --bash-completion`.
 *
 * Pure. Verbs and options come from tbl/commands.def; a test holds the committed file against this. Values that are one of a few
 * words are completed too; the rest is left to the shell.
 */
#include "config.h"

#include "jobqctl/completion.h"

#include <stddef.h>

#include "jobqctl/command.h"

static void verbs(FILE *out)
{
	const char *gap = "";

	fputs("\tlocal verbs='", out);
	for (int id = 0; id < COMMAND_COUNT; id++) {
		const struct command *command = command_of((enum command_id)id);
		if (!command->here || command->help[0] == '\0')
			continue;
		fprintf(out, "%s%s", gap, command->verb);
		gap = " ";
	}
	fputs("'\n", out);
}

static void options(FILE *out, const struct command *command)
{
	const struct option_def *all;
	size_t n = command_options(&all);

	fprintf(out, "\t%s) words='", command->verb);
	for (size_t i = 0; i < n; i++)
		if (all[i].command == command->id)
			fprintf(out, "--%s ", all[i].name);
	fputs("--json --help' ;;\n", out);
}

void completion_bash(FILE *out)
{
	fputs("# bash completion of jobqctl; written by `jobqctl --bash-completion`\n"
		"_jobqctl() {\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= words= i\n", out);
	verbs(out);
	fputs("\tCOMPREPLY=()\n"
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tcase ${COMP_WORDS[i]} in\n"
		"\t\t-s|-c) ((i++)) ;;\n"
		"\t\t-*) ;;\n"
		"\t\t*) verb=${COMP_WORDS[i]}; break ;;\n"
		"\t\tesac\n"
		"\tdone\n"
		"\tcase \"$verb $prev\" in\n"
		"\t*' -s'|*' -c'|*' --file') mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
		"\t*' --priority') words='urgent high normal low' ;;\n"
		"\t'migrate --status') ;;\n"
		"\t*' --status') words='pending claimed running completed failed cancelled held' ;;\n"
		"\t*' --roles') words='create existing none' ;;\n"
		"\tesac\n"
		"\tif [[ -n $words ]]; then\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"); return\n"
		"\tfi\n"
		"\tcase $verb in\n"
		"\t'') words=\"$verbs -s -c --json --help --version\" ;;\n", out);
	for (int id = 0; id < COMMAND_COUNT; id++) {
		const struct command *command = command_of((enum command_id)id);
		if (command->here && command->help[0] != '\0')
			options(out, command);
	}
	fputs("\tesac\n"
		"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		"}\n"
		"complete -F _jobqctl jobqctl\n", out);
}
