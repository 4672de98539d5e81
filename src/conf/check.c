/*
 * conf/check.c: values of [jobqd] and [tenants] that must fit each other and the machine (see check.h).
 *
 * Runs where a configuration is read; asks the system for users and groups. Writes nothing but errors. Invariant: a
 * configuration that passes can be started with, as far as that can be known without the database.
 */
#include "config.h"

#include "conf/check.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/ident.h"
#include "base/io.h"
#include "jobq/shm.h"

#define DISPATCH_SOCKET "/dispatch.sock"
#define POSTGRES_SOCKET "/pg/.s.PGSQL.5432"

const char *conf_check_where(const struct conf_set *set, enum conf_index index)
{
	return set->v[index].where != NULL ? set->v[index].where : set->where;
}

static void check_run_dir(const struct conf_jobqd *jobqd, const struct conf_set *set, struct conf_errors *errors)
{
	size_t tail = strcmp(jobqd->database, "embedded") == 0 ? sizeof POSTGRES_SOCKET - 1 : sizeof DISPATCH_SOCKET - 1;

	if (strlen(jobqd->run_dir) + tail > IO_SOCKET_PATH_MAX)
		conf_errors_add(errors, conf_check_where(set, CONF_K_JOBQD_run_dir),
			"run_dir: %s has %zu bytes; at most %zu, as the path of a socket in it may have %d", jobqd->run_dir,
			strlen(jobqd->run_dir), IO_SOCKET_PATH_MAX - tail, IO_SOCKET_PATH_MAX);
}

static void check_people(const struct conf_jobqd *jobqd, const struct conf_set *set, struct conf_errors *errors)
{
	if (*jobqd->user != '\0' && getpwnam(jobqd->user) == NULL)
		conf_errors_add(errors, conf_check_where(set, CONF_K_JOBQD_user), "user: there is no user \"%s\"", jobqd->user);
	if (*jobqd->group != '\0' && getgrnam(jobqd->group) == NULL)
		conf_errors_add(errors, conf_check_where(set, CONF_K_JOBQD_group), "group: there is no group \"%s\"", jobqd->group);
	if (*jobqd->admin_group != '\0' && getgrnam(jobqd->admin_group) == NULL)
		conf_errors_add(errors, conf_check_where(set, CONF_K_JOBQD_admin_group), "admin_group: there is no group \"%s\"",
			jobqd->admin_group);
}

static void check_jobqd(const struct conf_jobqd *jobqd, const struct conf_set *set, struct conf_errors *errors)
{
	check_run_dir(jobqd, set, errors);
	check_people(jobqd, set, errors);
	if (jobqd->poll_min > jobqd->poll_max)
		conf_errors_add(errors, conf_check_where(set, CONF_K_JOBQD_poll_min), "poll_min is above poll_max (%s, %s)",
			set->v[CONF_K_JOBQD_poll_max].text, set->v[CONF_K_JOBQD_poll_max].origin);
	if (strlen(jobqd->node) >= SHM_NAME_MAX || strpbrk(jobqd->node, " \t\"") != NULL)
		conf_errors_add(errors, conf_check_where(set, CONF_K_JOBQD_node),
			"node: at most %u bytes, without blanks and double quotes", SHM_NAME_MAX - 1);
	if (strcmp(jobqd->log, "stderr") != 0 && strcmp(jobqd->log, "syslog") != 0 && *jobqd->log != '/')
		conf_errors_add(errors, conf_check_where(set, CONF_K_JOBQD_log),
			"log: \"%.60s\" is not stderr, syslog or an absolute path", jobqd->log);
}

static void check_tenants(const struct conf_tenants *tenants, const struct conf_set *set, struct conf_errors *errors)
{
	char quoted[IDENT_RELATION_MAX];

	if (!ident_relation(tenants->source, quoted, sizeof quoted))
		conf_errors_add(errors, conf_check_where(set, CONF_K_TENANTS_source),
			"source: \"%.60s\" is not schema.name; a part that is not plain letters, digits and _ goes in double quotes", tenants->source);
}

/* At the queue that goes over the bound. */
static void check_workers(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_private *private = conf->private;
	int64_t sum = 0;

	for (size_t i = 0; i < conf->nqueues; i++) {
		sum += conf->queues[i]->k.workers;
		if (sum > CONF_WORKERS_MAX) {
			conf_errors_add(errors, conf_check_where(&private->queues[i], CONF_K_QUEUE_workers),
				"workers: queue \"%s\" brings the workers of all queues to %lld; at most %d", conf->queues[i]->name,
				(long long)sum, CONF_WORKERS_MAX);
			return;
		}
	}
}

void conf_check_all(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_private *private = conf->private;

	if (!private->plain.bad) {
		check_jobqd(&conf->jobqd, &private->plain, errors);
		check_tenants(&conf->tenants, &private->plain, errors);
	}
	for (size_t i = 0; i < conf->nqueues; i++)
		if (!private->queues[i].bad)
			conf_check_queue(conf->queues[i], &private->queues[i], errors);
	conf_check_pools(conf, errors);
	check_workers(conf, errors);
}
