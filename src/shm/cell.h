/* shm/cell.h: short texts with one writer and many readers, by a sequence lock of atomic words (no torn text, no lock left
 * behind: a reader that meets a dead writer's odd number gives up after some tries and says ""). */
#ifndef JOBQ_SHM_CELL_H
#define JOBQ_SHM_CELL_H

#include "jobq/shm.h"
#include <stddef.h>

#define SHM_CELL_TEXT 256 /* bytes, with the NUL */

void shm_cell_set(struct shm_cell *cell, const char *text); /* clipped at a character; NULL = "" */
char *shm_cell_get(const struct shm_cell *cell, char dst[SHM_CELL_TEXT]);

#endif
