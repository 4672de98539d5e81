/*
 * bench/ref.h: what the reference programs share: blocking libpq that ends the program on the first error, and the clock.
 *
 * The reference programs are the measure that jobq is held against: the least that a program in C can do over one
 * connection. They know nothing of jobq but its table. No program of jobq links this.
 */
#ifndef BENCH_REF_H
#define BENCH_REF_H

#include <libpq-fe.h>
#include <stdint.h>

int64_t ref_now_ns(void); /* CLOCK_MONOTONIC, as in jobq's shared memory */
PGconn *ref_connect(const char *conninfo);
/* Expects rows or a command's success; anything else is printed and ends the program. The caller clears the result. */
PGresult *ref_take(PGconn *conn, PGresult *result, const char *what);
void ref_do(PGconn *conn, const char *sql);
/* First column of the first row as a string to be freed; NULL without a row. */
char *ref_text(PGconn *conn, const char *sql);
int64_t ref_number(const char *text, const char *what, int64_t min, int64_t max);

/* A binary bigint[] in wire form, rebuilt for each statement; never longer than REF_IDS. */
#define REF_IDS 10000
struct ref_ids {
	int n;
	int len;                          /* bytes to send */
	char wire[20 + REF_IDS * 12];
};
void ref_ids_reset(struct ref_ids *ids);
void ref_ids_add(struct ref_ids *ids, const char *int8_wire); /* 8 bytes as they came in a binary result */
void ref_ids_close(struct ref_ids *ids);

#endif
