/* jobqctl/ids.h: the ids of jobs that a command line names. */
#ifndef JOBQ_JOBQCTL_IDS_H
#define JOBQ_JOBQCTL_IDS_H

#include "jobqctl/ctl.h"

/* The words, or with a single "-" those of standard input, as an array of strings. CTL_OK with a new reference, else the exit code. */
int ids_read(const struct ctl *ctl, json_t **ids);

#endif
