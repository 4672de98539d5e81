/*
 * master/privilege.c: makes the directories and gives up root, before anything else is made.
 *
 * Runs in the master at its start. Root is used for two things: to create run_dir and state_dir for `user`, and to become
 * that user with its groups (and admin_group, so that the socket can be given to it). Directories that exist keep their
 * owner; if jobqd cannot write there it says so now and not at the first job. Core dumps are off: memory holds secrets.
 */
#include "config.h"

#include "master/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "jobq/exit.h"
#include "master/access.h"

struct identity {
	const char *user; /* "" = stay who we are */
	uid_t uid;
	gid_t gid, admin;
};

int master_privilege_group(const char *name, gid_t *gid, char *err, size_t errlen)
{
	*gid = MASTER_ACCESS_NO_GROUP;
	if (*name == '\0')
		return JOBQ_EXIT_OK;
	const struct group *group = getgrnam(name);
	if (group == NULL) {
		(void)snprintf(err, errlen, "there is no group \"%s\" on this system; create it: addgroup --system %s", name, name);
		return JOBQ_EXIT_CONFIG;
	}
	*gid = group->gr_gid;
	return JOBQ_EXIT_OK;
}

static int identify(const struct conf_jobqd *conf, struct identity *who, char *err, size_t errlen)
{
	gid_t group;
	const struct passwd *pw = *conf->user != '\0' ? getpwnam(conf->user) : NULL;

	if (*conf->user != '\0' && pw == NULL) {
		(void)snprintf(err, errlen, "there is no user \"%s\" on this system; create it: adduser --system --group %s", conf->user, conf->user);
		return JOBQ_EXIT_CONFIG;
	}
	who->user = conf->user;
	who->uid = pw != NULL ? pw->pw_uid : geteuid();
	who->gid = pw != NULL ? pw->pw_gid : getegid();
	int rc = master_privilege_group(conf->group, &group, err, errlen);
	if (rc == JOBQ_EXIT_OK && group != MASTER_ACCESS_NO_GROUP)
		who->gid = group;
	return rc == JOBQ_EXIT_OK ? master_privilege_group(conf->admin_group, &who->admin, err, errlen) : rc;
}

static int make_dir(const char *path, mode_t mode, const struct identity *who, char *err, size_t errlen)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return JOBQ_EXIT_OK;
	if (io_mkdirs(path, 0755) == 0 && chmod(path, mode) == 0 && (geteuid() != 0 || chown(path, who->uid, who->gid) == 0))
		return JOBQ_EXIT_OK;
	(void)snprintf(err, errlen, "cannot make the directory %s: %s; make it for jobqd's user, or choose another", path, strerror(errno));
	return JOBQ_EXIT_PERMISSION;
}

static int may_write(const char *path, char *err, size_t errlen)
{
	if (access(path, R_OK | W_OK | X_OK) == 0)
		return JOBQ_EXIT_OK;
	int error = errno;
	const struct passwd *pw = getpwuid(geteuid());
	(void)snprintf(err, errlen, "user %s cannot write in %s: %s; give it to that user: chown %s %s", pw != NULL ? pw->pw_name : "?", path,
	               strerror(error), pw != NULL ? pw->pw_name : "?", path);
	return JOBQ_EXIT_PERMISSION;
}

/* the groups of the user, its own group first, and the admin group */
static bool set_groups(const struct identity *who)
{
	if (initgroups(who->user, who->gid) != 0)
		return false;
	if (who->admin == MASTER_ACCESS_NO_GROUP)
		return true;
	int n = getgroups(0, NULL);
	if (n < 0)
		return false;
	gid_t *groups = xcalloc((size_t)n + 1, sizeof *groups);
	n = getgroups(n, groups);
	if (n >= 0)
		groups[n] = who->admin;
	bool good = n >= 0 && setgroups((size_t)n + 1, groups) == 0;
	free(groups);
	return good;
}

static int become(const struct identity *who, char *err, size_t errlen)
{
	if (geteuid() != 0 && *who->user != '\0' && who->uid != geteuid()) {
		(void)snprintf(err, errlen, "user = %s: only root can become another user; start jobqd as root or as %s", who->user, who->user);
		return JOBQ_EXIT_PERMISSION;
	}
	if (geteuid() != 0)
		return JOBQ_EXIT_OK;
	bool groups = *who->user == '\0' || set_groups(who);
	if (!groups || setresgid(who->gid, who->gid, who->gid) != 0 || setresuid(who->uid, who->uid, who->uid) != 0) {
		(void)snprintf(err, errlen, "cannot become user \"%s\": %s", who->user, strerror(errno));
		return JOBQ_EXIT_PERMISSION;
	}
	if (who->uid != 0 && setuid(0) == 0) {
		(void)snprintf(err, errlen, "root could be got back after becoming user \"%s\"", who->user);
		return JOBQ_EXIT_INTERNAL;
	}
	return JOBQ_EXIT_OK;
}

int master_privilege_drop(const struct conf *conf, char *err, size_t errlen)
{
	const struct rlimit no_core = {0, 0};
	struct identity who;
	int rc = identify(&conf->jobqd, &who, err, errlen);

	if (rc == JOBQ_EXIT_OK && strcmp(conf->jobqd.database, "embedded") == 0 && who.uid == 0) {
		(void)snprintf(err, errlen, "%s: PostgreSQL refuses to run as root: set user in [jobqd] to an ordinary user "
		               "(adduser --system --group jobq), or set database to a server of your own", conf->path);
		rc = JOBQ_EXIT_CONFIG;
	}
	if (rc == JOBQ_EXIT_OK)
		rc = make_dir(conf->jobqd.run_dir, 0755, &who, err, errlen);
	if (rc == JOBQ_EXIT_OK)
		rc = make_dir(conf->jobqd.state_dir, 0750, &who, err, errlen);
	if (rc == JOBQ_EXIT_OK)
		rc = become(&who, err, errlen);
	if (rc == JOBQ_EXIT_OK)
		rc = may_write(conf->jobqd.run_dir, err, errlen);
	if (rc == JOBQ_EXIT_OK)
		rc = may_write(conf->jobqd.state_dir, err, errlen);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* becoming another user took /proc/self away from us */
	return rc;
}
