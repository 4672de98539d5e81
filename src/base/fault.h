/*
 * base/fault.h: named points at which a test makes things go wrong.
 *
 * The names are declared in include/tbl/faults.def. Without --enable-faults the macro is false and costs nothing; include
 * config.h first, which knows. With it,
 * JOBQ_FAULT="name=action[,count][;…]" arms points; actions: exit, kill (SIGKILL), stop (SIGSTOP), segv, fail (the
 * macro is true, and the caller takes its error path), delay:MS. `count` is the n-th passage (default 1); a point
 * fires once in a process. JOBQ_FAULT_ONCE=FILE makes it once over all processes: the file is created with O_EXCL first.
 */
#ifndef JOBQ_BASE_FAULT_H
#define JOBQ_BASE_FAULT_H

#include <stdbool.h>

#ifdef JOBQ_FAULTS
bool fault_hit(int point);
#define FAULT_X(name, help) FAULT_##name,
enum fault_point {
#include "tbl/faults.def"
	FAULT_COUNT
};
#undef FAULT_X
#define FAULT(name) fault_hit(FAULT_##name)
#else
static inline bool fault_none(void)
{
	return false;
}
#define FAULT(name) fault_none()
#endif

#endif
