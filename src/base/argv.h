/*
 * base/argv.h: a command as an administrator writes it, as the words of an argument vector.
 *
 * Pure. Words are separated by blanks. 'single quotes' keep everything; "double quotes" keep everything but \" and \\; outside
 * of quotes a backslash keeps the next character. Nothing is expanded: no $, no ~, no *, no pipe.
 */
#ifndef JOBQ_BASE_ARGV_H
#define JOBQ_BASE_ARGV_H

/* The words, with NULL behind them, in one allocation that the caller frees with free(). NULL with what is wrong in *why. No
 * word at all is an error. */
char **argv_split(const char *text, const char **why);

#endif
