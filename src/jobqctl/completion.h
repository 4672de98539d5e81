/* jobqctl/completion.h: the completion of bash, made from the table of commands. */
#ifndef JOBQ_JOBQCTL_COMPLETION_H
#define JOBQ_JOBQCTL_COMPLETION_H

#include <stdio.h>

void completion_bash(FILE *out); /* contrib/completion/jobqctl is this */

#endif
