/*
 * base/text.h: text that strangers wrote, made safe; and the nearest name for a misspelt one.
 *
 * Pure. text_clean cannot fail: it is what error messages go through on their way to the database, a log or
 * a terminal (clipped, NUL removed, invalid UTF-8 replaced by U+FFFD, never cut inside a character).
 */
#ifndef JOBQ_BASE_TEXT_H
#define JOBQ_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_ERROR_MAX 4096 /* bytes of an error message that are kept */

/* One character: its length 1..4 and *code, or 0 if the bytes are not strict UTF-8 (left >= 1; NUL is a character here). */
size_t text_char(const char *p, size_t left, uint32_t *code);
bool text_is_control(uint32_t code);                                /* C0, DEL, C1, line separators, bidi controls, BOM */
bool text_is_utf8(const char *text, size_t len);                    /* strict: no NUL, no surrogates, shortest forms */
size_t text_clean(char *dst, size_t size, const char *src, size_t len); /* always NUL terminated; returns strlen(dst); size >= 1 */
char *text_clean_dup(const char *src, size_t len, size_t max);      /* the same, in memory the caller frees */
/* as text_clean, and control characters (C0, DEL, C1, bidi overrides) become \n \t \xNN or \u{NNNN} */
size_t text_printable(char *dst, size_t size, const char *src, size_t len);
/* index of the nearest of names[0..n) within an edit distance of 3 and less than half the length, or -1 */
int text_nearest(const char *word, const char *const *names, size_t n);
bool text_is_queue_name(const char *name);                          /* ^[a-z][a-z0-9_.-]{0,62}$ and not "system" */
size_t text_copy(char *dst, size_t size, const char *src);          /* strlcpy: always terminated; returns strlen(dst) */

#endif
