/*
 * bench/ref_drain.c: the reference of the drain: claims N rows, completes them, again, over one connection.
 *
 * usage: ref_drain CONNINFO QUEUE delete|history [BATCH]
 *
 * Works on the same jobq.jobs_live with the same indexes as jobqd and gets the same columns in binary, but does nothing
 * else: no workers, no tenants' turns, no lease, no notes of what is claimed. A cursor keeps it off the dead front of the index, so
 * it is as fast as such a program can be. `history` moves the rows to the leaf of today + 30 days. Each statement is a
 * transaction of its own, as jobqd's are. Prints one JSON line when the queue is empty; fails as ref.h says.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref.h"

/* $1 queue, $2 token, $3..$6 where the last claim ended, $7 how many */
#define LANE "coalesce(tenant_id, ''), coalesce(priority, 5::smallint), coalesce(run_at, created_at), id"
static const char claim_sql[] =
	"UPDATE jobq.jobs_live SET status = 'claimed', claim_token = $2, claimed_by = 'ref', started_at = now()"
	" WHERE ctid = ANY(ARRAY(SELECT ctid FROM jobq.jobs_live"
	"   WHERE queue = $1 AND (" LANE ") > ($3, $4, $5, $6) AND coalesce(run_at, created_at) <= now() AND status = 'pending'"
	"   ORDER BY " LANE " LIMIT $7 FOR UPDATE SKIP LOCKED))"
	" RETURNING id, claim_token, coalesce(tenant_id, ''), coalesce(priority, 5::smallint), type, user_id, payload,"
	"   coalesce(run_at, created_at), created_at, deadline, retry_count, max_retries, crashes";
enum { COL_ID, COL_TOKEN, COL_TENANT, COL_PRIORITY, COL_TYPE, COL_USER, COL_PAYLOAD, COL_RUN_AT };

static const char delete_sql[] =
	"DELETE FROM jobq.jobs_live j USING unnest($1::bigint[], $2::bigint[]) d(id, token)"
	" WHERE j.id = d.id AND j.claim_token = d.token";

struct drain {
	PGconn *conn;
	const char *queue;
	char *move_sql;
	const char *batch;
	/* the cursor, in wire form: as the greatest row of the last claim said it */
	char tenant[256];
	int tenant_len;
	char priority[2], run_at[8], id[8];
	struct ref_ids ids, tokens;
	int64_t jobs, calls;
};

/* INSERT of every column of the live table into its history leaf, three of them changed. */
static char *build_move(PGconn *conn)
{
	return ref_text(conn,
		"SELECT 'WITH d AS (DELETE FROM jobq.jobs_live j USING unnest($1::bigint[], $2::bigint[]) d(id, token)"
		" WHERE j.id = d.id AND j.claim_token = d.token RETURNING j.*) INSERT INTO ' || leaf || ' (' || string_agg(quote_ident(attname), ', ')"
		" || ') SELECT ' || string_agg(CASE attname WHEN 'status' THEN quote_literal('completed') WHEN 'completed_at' THEN 'now()'"
		" WHEN 'expire_on' THEN quote_literal((current_date + 30)::text) || '::date' ELSE quote_ident(attname) END, ', ') || ' FROM d'"
		" FROM pg_attribute, (SELECT c.oid::regclass::text AS leaf FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
		"   WHERE i.inhparent = 'jobq.jobs'::regclass AND (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''(\\d[^'']*)'))[1]::date <= current_date + 30"
		"   AND (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''(\\d[^'']*)'))[1]::date > current_date + 30) l"
		" WHERE attrelid = 'jobq.jobs_live'::regclass AND attnum > 0 AND NOT attisdropped GROUP BY leaf");
}

static void drain_prepare(struct drain *d, bool history)
{
	static const Oid claim_types[] = {25, 20, 25, 21, 1184, 20, 23};
	PQclear(ref_take(d->conn, PQprepare(d->conn, "claim", claim_sql, 7, claim_types), "prepare the claim"));
	const char *done = delete_sql;
	if (history) {
		d->move_sql = build_move(d->conn);
		if (!d->move_sql) {
			fprintf(stderr, "there is no history leaf for today + 30 days; jobqd makes it\n");
			exit(1);
		}
		done = d->move_sql;
	}
	PQclear(ref_take(d->conn, PQprepare(d->conn, "done", done, 0, NULL), "prepare the completion"));
}

/* Is row i behind the cursor kept so far? Tenants compare as the index does (C collation or not, equal bytes are equal):
 * the statement orders rows by it, so the last row in index order has the greatest key; RETURNING has no order. */
static bool row_is_later(const struct drain *d, const PGresult *res, int i)
{
	int len = PQgetlength(res, i, COL_TENANT);
	int shorter = len < d->tenant_len ? len : d->tenant_len;
	int cmp = memcmp(PQgetvalue(res, i, COL_TENANT), d->tenant, (size_t)shorter);
	if (cmp == 0)
		cmp = len - d->tenant_len;
	if (cmp == 0)
		cmp = memcmp(PQgetvalue(res, i, COL_PRIORITY), d->priority, 2);
	if (cmp == 0)
		cmp = memcmp(PQgetvalue(res, i, COL_RUN_AT), d->run_at, 8);
	if (cmp == 0)
		cmp = memcmp(PQgetvalue(res, i, COL_ID), d->id, 8);
	return cmp > 0;
}

static void drain_cursor(struct drain *d, const PGresult *res, int i)
{
	int len = PQgetlength(res, i, COL_TENANT);
	if (len > (int)sizeof d->tenant)
		len = (int)sizeof d->tenant;
	memcpy(d->tenant, PQgetvalue(res, i, COL_TENANT), (size_t)len);
	d->tenant_len = len;
	memcpy(d->priority, PQgetvalue(res, i, COL_PRIORITY), 2);
	memcpy(d->run_at, PQgetvalue(res, i, COL_RUN_AT), 8);
	memcpy(d->id, PQgetvalue(res, i, COL_ID), 8);
}

static int drain_claim(struct drain *d)
{
	char token[24];
	snprintf(token, sizeof token, "%lld", (long long)++d->calls);
	const char *values[] = {d->queue, token, d->tenant, d->priority, d->run_at, d->id, d->batch};
	const int lengths[] = {0, 0, d->tenant_len, 2, 8, 8, 0};
	const int formats[] = {0, 0, 1, 1, 1, 1, 0};
	PGresult *res = ref_take(d->conn, PQexecPrepared(d->conn, "claim", 7, values, lengths, formats, 1), "claim");
	int n = PQntuples(res);
	ref_ids_reset(&d->ids);
	ref_ids_reset(&d->tokens);
	for (int i = 0; i < n; i++) {
		ref_ids_add(&d->ids, PQgetvalue(res, i, COL_ID));
		ref_ids_add(&d->tokens, PQgetvalue(res, i, COL_TOKEN));
		if (row_is_later(d, res, i))
			drain_cursor(d, res, i);
	}
	PQclear(res);
	return n;
}

static void drain_done(struct drain *d)
{
	ref_ids_close(&d->ids);
	ref_ids_close(&d->tokens);
	const char *values[] = {d->ids.wire, d->tokens.wire};
	const int lengths[] = {d->ids.len, d->tokens.len};
	const int formats[] = {1, 1};
	PGresult *res = ref_take(d->conn, PQexecPrepared(d->conn, "done", 2, values, lengths, formats, 1), "complete");
	d->jobs += ref_number(PQcmdTuples(res), "completed rows", 0, REF_IDS);
	PQclear(res);
}

int main(int argc, char **argv)
{
	if (argc < 4 || (strcmp(argv[3], "delete") != 0 && strcmp(argv[3], "history") != 0)) {
		fprintf(stderr, "usage: ref_drain CONNINFO QUEUE delete|history [BATCH]\n");
		return 2;
	}
	static struct drain d; /* zero is before every row: '' and the smallest numbers */
	d.conn = ref_connect(argv[1]);
	d.queue = argv[2];
	d.batch = argc > 4 ? argv[4] : "500";
	ref_number(d.batch, "BATCH", 1, REF_IDS);
	memcpy(d.run_at, "\x80\0\0\0\0\0\0", 8); /* -infinity */
	drain_prepare(&d, strcmp(argv[3], "history") == 0);
	int64_t begin = ref_now_ns();
	while (drain_claim(&d) > 0)
		drain_done(&d);
	double seconds = (double)(ref_now_ns() - begin) / 1e9;
	printf("{\"jobs\": %lld, \"seconds\": %.3f, \"per_s\": %.0f, \"calls\": %lld}\n", (long long)d.jobs, seconds,
		(double)d.jobs / seconds, (long long)d.calls);
	free(d.move_sql);
	PQfinish(d.conn);
	return 0;
}
