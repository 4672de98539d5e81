/*
 * fake_pg.h: enough of a PostgreSQL server for the tests of pg/conn: protocol 3, extended queries, on a unix socket.
 *
 * Runs on the test's own event loop. What it does with a statement depends on the statement's text:
 *   "bad…"    refuses to prepare it (42P01)      "bad once…"  does so the first time only
 *   "error…"  refuses to run it (22012)          "fatal…"     says FATAL 57P01 and closes
 *   "close…"  closes without a word              "hang…"      never answers
 *   "notify…" sends a notification first         "stale…"     the second time: cached plan must not change (0A000)
 *   "standby…" 25006                             "half…"      answers the execution, closes before the sync point
 * A simple query is taken for a COPY FROM STDIN, and refused (53100) at its first data.
 * Anything else gives one row with one column: the first parameter, or the statement's text.
 */
#ifndef FAKE_PG_H
#define FAKE_PG_H

#include <stdbool.h>

struct event_base;
struct fake_pg;

struct fake_pg *fake_pg_new(struct event_base *base); /* in a directory of its own */
void fake_pg_free(struct fake_pg *pg);
const char *fake_pg_dir(const struct fake_pg *pg);    /* for host= */
int fake_pg_connections(const struct fake_pg *pg);    /* ever accepted */
int fake_pg_prepared(const struct fake_pg *pg);       /* successful Parse messages with a name */
void fake_pg_mute(struct fake_pg *pg, bool mute);     /* accepts and says nothing */
void fake_pg_drop(struct fake_pg *pg);                /* closes all connections */

#endif
