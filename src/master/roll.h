/* master/roll.h: replaces processes whose configuration is outdated. */
#ifndef JOBQ_MASTER_ROLL_H
#define JOBQ_MASTER_ROLL_H

#include <stdbool.h>

struct master;

void master_roll(struct master *m);             /* one step; from master_step */
bool master_roll_under_way(const struct master *m);

#endif
