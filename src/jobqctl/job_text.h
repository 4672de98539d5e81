/* jobqctl/job_text.h: jobs as text: a table of many, all fields of one, the reasons why. Pure. */
#ifndef JOBQ_JOBQCTL_JOB_TEXT_H
#define JOBQ_JOBQCTL_JOB_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define JOB_COLUMNS "id,queue,tenant_id,status,try,age,error_message"
#define JOB_COLUMNS_MAX 32u

/* columns: names of a job's keys, or `try` and `age`, comma separated. -1 with the reason in err for an unknown one. */
int job_table(const json_t *jobs, const char *columns, int64_t now_us, size_t width, bool color, struct buf *out, char *err, size_t errlen);
void job_fields(json_t *job, size_t width, bool color, struct buf *out);
void job_why(json_t *why, size_t width, bool color, struct buf *out);

#endif
