/* jobqctl/human.h: numbers as people read them, in a few columns. Each writes into dst and returns it. Pure. */
#ifndef JOBQ_JOBQCTL_HUMAN_H
#define JOBQ_JOBQCTL_HUMAN_H

#include <stdint.h>

#define HUMAN_MAX 32
char *human_age(char dst[HUMAN_MAX], double seconds);  /* 0.4s 12s 5m 3h 2d */
char *human_count(char dst[HUMAN_MAX], int64_t count); /* 99999 120k 1.2M */
char *human_bytes(char dst[HUMAN_MAX], int64_t bytes); /* 12kB 3.4MB */
char *human_ms(char dst[HUMAN_MAX], double ms);        /* 0.123 ms, 14.4 ms, 1.29 s; - below 0 */
char *human_rate(char dst[HUMAN_MAX], double per_s);   /* 0 0.5 48.5 1200 */

#endif
