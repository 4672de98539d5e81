/* master/report.h: the report in the log, at the interval that [report] asks for. */
#ifndef JOBQ_MASTER_REPORT_H
#define JOBQ_MASTER_REPORT_H

#include <stdint.h>

struct master;

void master_report_tick(struct master *m, int64_t now_ns); /* often; logs when it is time */

#endif
