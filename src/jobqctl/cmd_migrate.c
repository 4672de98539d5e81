/*
 * jobqctl/cmd_migrate.c: `jobqctl migrate`: the schema, without the daemon.
 *
 * Connects itself (pg/migrate.h, blocking), to --database or to the configuration's database, which needs the secrets of
 * the configuration: so it reads all of it, as the user who runs it may. An embedded database migrates by itself when
 * jobqd starts.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "jobq/exit.h"
#include "jobqctl/ctl.h"
#include "jobqctl/find.h"
#include "pg/migrate.h"

extern char **environ;

static int roles_of(struct ctl *ctl, enum migrate_roles *roles)
{
	const char *mode = args_value(&ctl->args, "roles");

	*roles = MIGRATE_ROLES_CREATE;
	if (mode == NULL || strcmp(mode, "create") == 0)
		return CTL_OK;
	if (strcmp(mode, "existing") == 0)
		*roles = MIGRATE_ROLES_EXISTING;
	else if (strcmp(mode, "none") == 0)
		*roles = MIGRATE_ROLES_NONE;
	else
		return ctl_fail(CTL_USAGE, "--roles: \"%s\" is not one of create, existing, none", mode);
	return CTL_OK;
}

/* the conninfo, in memory the caller frees */
static int database_of(struct ctl *ctl, char **conninfo)
{
	const char *given = args_value(&ctl->args, "database");
	char problems[CONF_ERROR_MAX];

	*conninfo = NULL;
	if (given != NULL) {
		*conninfo = xstrdup(given);
		return CTL_OK;
	}
	struct conf *conf = conf_load(find_config(ctl->args.config), environ, problems);
	if (conf == NULL)
		return ctl_fail(CTL_ERROR, "no --database, and the configuration cannot be used:\n%s", problems);
	if (strcmp(conf->jobqd.database, "embedded") != 0)
		*conninfo = xstrdup(conf->jobqd.database);
	conf_free(conf);
	return CTL_OK;
}

static int run(struct ctl *ctl, const char *conninfo, enum migrate_roles roles)
{
	char err[2048] = "";
	int exit_code;

	if (args_value(&ctl->args, "status") != NULL)
		exit_code = migrate_status(conninfo, stdout, err, sizeof err);
	else if (args_value(&ctl->args, "plan") != NULL)
		exit_code = migrate_plan(conninfo, stdout, err, sizeof err);
	else
		exit_code = migrate_apply(conninfo, roles, stdout, err, sizeof err);
	if (exit_code == JOBQ_EXIT_OK)
		return ctl_done();
	(void)fflush(stdout); /* what was done stands before why it ended */
	return ctl_fail(exit_code == JOBQ_EXIT_PERMISSION ? CTL_PERMISSION : CTL_ERROR, "%s", err);
}

int cmd_migrate(struct ctl *ctl)
{
	static const char *const modes[] = {"plan", "status", "print"};
	enum migrate_roles roles;
	char *conninfo;
	int given = 0, code = ctl_words(ctl, 0, 0);

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		given += args_value(&ctl->args, modes[i]) != NULL;
	if (code == CTL_OK && given > 1)
		code = ctl_fail(CTL_USAGE, "--plan, --status and --print are three different things; give one");
	if (code == CTL_OK)
		code = roles_of(ctl, &roles);
	if (code != CTL_OK)
		return code;
	if (args_value(&ctl->args, "print") != NULL) {
		migrate_print(roles, stdout);
		return ctl_done();
	}
	if ((code = database_of(ctl, &conninfo)) != CTL_OK)
		return code;
	if (conninfo == NULL) {
		printf("the database is embedded: jobqd applies its migrations itself when it starts\n");
		return ctl_done();
	}
	code = run(ctl, conninfo, roles);
	free(conninfo);
	return code;
}
