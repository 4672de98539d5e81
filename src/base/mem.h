/*
 * base/mem.h: memory that is there or the process is not.
 *
 * Runs in every process. Out of memory is a crash like any other: the x-functions log one line and leave
 * with JOBQ_EXIT_INTERNAL, the master restarts the process, and the crash machinery gives its jobs back.
 * So no caller checks, and no caller has an untested error path.
 */
#ifndef JOBQ_BASE_MEM_H
#define JOBQ_BASE_MEM_H

#include <stddef.h>

/* All return memory that the caller frees with free(). Never NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);                 /* zeroed; count*size is checked */
void *xreallocarray(void *old, size_t count, size_t size); /* count*size is checked */
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);             /* always NUL terminated */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The end for want of memory: one line, and JOBQ_EXIT_INTERNAL. For those who allocate by other means (libevent, libpq). */
void mem_exhausted(size_t size) __attribute__((noreturn));

#endif
