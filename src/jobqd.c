/*
 * jobqd.c: the daemon's program: its command line, then the master.
 *
 * Runs once. Options as interfaces promise: the configuration can be checked (-t) and printed (-T) without starting anything
 * and without any privilege. Errors go to stderr with what to do; the exit code is one of jobq/exit.h. Everything that lives
 * longer is src/master/.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "jobq/exit.h"
#include "master/master.h"

#define CONFIG_DEFAULT SYSCONFDIR "/jobq/jobqd.conf"

enum what { WHAT_RUN, WHAT_CHECK, WHAT_PRINT, WHAT_VERSION, WHAT_HELP };

struct options {
	const char *config;
	enum what what;
	bool daemonise;
};

static void usage(FILE *out)
{
	(void)fprintf(out,
		"usage: jobqd [-c FILE] [-d | -t | -T]\n"
		"       jobqd -V | -h\n"
		"\n"
		"  -c FILE  configuration (default %s)\n"
		"  -d       go into the background once it serves\n"
		"  -t       check the configuration and exit\n"
		"  -T       print the effective configuration with the origin of each value\n"
		"  -V       print the version\n"
		"  -h       this text\n"
		"\n"
		"Signals: HUP reload, TERM and INT graceful stop (a second one: at once), QUIT stop at once,\n"
		"USR1 reopen the log, USR2 write the state into the log. See jobqd(8), jobqd.conf(5), jobqctl(1).\n",
		CONFIG_DEFAULT);
}

static bool parse(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "c:dtTVh")) != -1) {
		switch (c) {
		case 'c': o->config = optarg; break;
		case 'd': o->daemonise = true; break;
		case 't': o->what = WHAT_CHECK; break;
		case 'T': o->what = WHAT_PRINT; break;
		case 'V': o->what = WHAT_VERSION; break;
		case 'h': o->what = WHAT_HELP; break;
		default: return false; /* getopt has said why */
		}
	}
	if (optind == argc)
		return true;
	(void)fprintf(stderr, "jobqd: no argument \"%s\" is expected\n", argv[optind]);
	return false;
}

static int with_config(const struct options *o)
{
	char err[CONF_ERROR_MAX];
	struct conf *conf = conf_load(o->config, environ, err);
	int code = JOBQ_EXIT_OK;

	if (conf == NULL) {
		(void)fprintf(stderr, "jobqd: %s\n", err);
		return JOBQ_EXIT_CONFIG;
	}
	if (o->what == WHAT_RUN)
		return master_main(conf, o->daemonise);
	if (o->what == WHAT_PRINT)
		conf_print_effective(conf, stdout);
	else
		(void)printf("configuration file %s is fine\n", conf->path);
	if (fflush(stdout) != 0) {
		(void)fprintf(stderr, "jobqd: cannot write: %s\n", strerror(errno));
		code = JOBQ_EXIT_RUNTIME;
	}
	conf_free(conf);
	return code;
}

/* descriptors 0 to 2 are always something: else a socket could become stderr */
static bool standard_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	struct options o = {.config = CONFIG_DEFAULT};

	if (!standard_descriptors())
		return JOBQ_EXIT_RUNTIME;
	if (!parse(argc, argv, &o)) {
		usage(stderr);
		return JOBQ_EXIT_USAGE;
	}
	switch (o.what) {
	case WHAT_VERSION:
		(void)printf("jobqd %s\n", PACKAGE_VERSION);
		return JOBQ_EXIT_OK;
	case WHAT_HELP:
		usage(stdout);
		return JOBQ_EXIT_OK;
	default:
		return with_config(&o);
	}
}
