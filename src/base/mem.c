/*
 * base/mem.c: allocation that succeeds or ends the process (see mem.h).
 *
 * Runs in every process. Owns nothing; what it returns is the caller's to free(). Invariant: no function here returns
 * NULL, and no product of sizes wraps. When memory is out, the last word is written with plain write(2) to the log's
 * descriptor, because everything finer might allocate, and the process leaves by _exit: atexit handlers of libraries
 * must not run in such a state.
 */
#include "config.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "jobq/exit.h"

void mem_exhausted(size_t size)
{
	char line[128];
	int n = snprintf(line, sizeof line, "level=error pid=%ld msg=\"out of memory (%zu bytes asked for); leaving\"\n",
	                 (long)getpid(), size);

	if (n > 0 && write(log_fd(), line, (size_t)n) < 0)
		_exit(JOBQ_EXIT_INTERNAL); /* nobody listens: the exit code says it too */
	_exit(JOBQ_EXIT_INTERNAL);
}

static void *checked(void *p, size_t size)
{
	if (p == NULL)
		mem_exhausted(size);
	return p;
}

void *xmalloc(size_t size)
{
	if (FAULT(alloc))
		mem_exhausted(size);
	return checked(malloc(size ? size : 1), size);
}

static size_t product(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || FAULT(alloc))
		mem_exhausted(SIZE_MAX);
	return bytes;
}

void *xcalloc(size_t count, size_t size)
{
	size_t bytes = product(count, size);

	return checked(calloc(1, bytes ? bytes : 1), bytes);
}

void *xreallocarray(void *old, size_t count, size_t size)
{
	size_t bytes = product(count, size);

	return checked(realloc(old, bytes ? bytes : 1), bytes); /* realloc to nothing may free: one byte is clearer */
}

char *xstrdup(const char *text)
{
	return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t len)
{
	size_t n = strnlen(text, len);
	char *copy = xmalloc(n + 1);

	memcpy(copy, text, n);
	copy[n] = '\0';
	return copy;
}

char *xasprintf(const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = FAULT(alloc) ? -1 : vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0)
		mem_exhausted(0);
	return text;
}
