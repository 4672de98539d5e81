/* shm/names.h: private to seg.c. The public names are in shm/seg.h. */
#ifndef JOBQ_SHM_NAMES_H
#define JOBQ_SHM_NAMES_H

#include <stdint.h>

uint32_t shm_names_hash(void); /* of the tables and structure sizes; two builds that differ in one of them differ here */

#endif
