/*
 * jobqctl/ctl.h: what every command of jobqctl works with.
 *
 * A command is one function: it reads ctl->args, calls, prints to stdout, and returns an exit code. Errors go to stderr
 * through ctl_fail, one line "jobqctl: what; what to do".
 */
#ifndef JOBQ_JOBQCTL_CTL_H
#define JOBQ_JOBQCTL_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "jobqctl/args.h"
#include "jobqctl/client.h"

enum ctl_exit { CTL_OK = 0, CTL_ERROR = 1, CTL_USAGE = 2, CTL_AWAY = 3, CTL_PERMISSION = 4 };

struct ctl {
	struct args args;
	char *socket;
	struct client client;
};

int ctl_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3))); /* prints; returns code */
int ctl_failed(const struct ctl *ctl, enum client_result result);                      /* the same, of the client's failure */
/* Sends the verb of the command line. args is stolen. CTL_OK with a new reference, or the exit code, the reason printed. */
int ctl_call(struct ctl *ctl, json_t *args, json_t **result);
int ctl_json(const json_t *doc);                                                       /* prints it; CTL_OK, or CTL_ERROR when stdout is gone */
int ctl_words(const struct ctl *ctl, size_t min, size_t max);                          /* CTL_OK, or CTL_USAGE with the usage printed */
int ctl_done(void);                                                                    /* flushes stdout: CTL_OK or CTL_ERROR */
bool ctl_is_id(const char *text);                                                      /* digits of a bigint above 0 */

int cmd_status(struct ctl *ctl);
int cmd_ping(struct ctl *ctl);
int cmd_version(struct ctl *ctl);
int cmd_reload(struct ctl *ctl);
int cmd_stop(struct ctl *ctl);
int cmd_pause(struct ctl *ctl);
int cmd_resume(struct ctl *ctl);
int cmd_enqueue(struct ctl *ctl);
int cmd_jobs(struct ctl *ctl);
int cmd_job(struct ctl *ctl);
int cmd_retry(struct ctl *ctl);
int cmd_cancel(struct ctl *ctl);
int cmd_held(struct ctl *ctl);
int cmd_resolve(struct ctl *ctl);
int cmd_why(struct ctl *ctl);
int cmd_config(struct ctl *ctl);
int cmd_metrics(struct ctl *ctl);
int cmd_report(struct ctl *ctl);
int cmd_migrate(struct ctl *ctl);

#endif
