/*
 * bench/ref_pickup.c: the reference of the pick-up: a bare LISTEN, and a claim when something is heard.
 *
 * usage: ref_pickup CONNINFO QUEUE JOBS
 *
 * Prints one line for each job: its id and the monotonic time (ns) at which its claimed row was in this program's hands, which is
 * when a handler could start. Completes (deletes) after that. Ends after JOBS jobs. Fails as ref.h says.
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "ref.h"

static const char claim_sql[] =
	"UPDATE jobq.jobs_live SET status = 'claimed', claim_token = 1, claimed_by = 'ref', started_at = now()"
	" WHERE ctid = ANY(ARRAY(SELECT ctid FROM jobq.jobs_live WHERE queue = $1 AND status = 'pending'"
	"   ORDER BY coalesce(tenant_id, ''), coalesce(priority, 5::smallint), coalesce(run_at, created_at), id LIMIT 25 FOR UPDATE SKIP LOCKED))"
	" RETURNING id, tenant_id, priority, type, user_id, payload, run_at, created_at, deadline, retry_count, max_retries, crashes";
static const char done_sql[] = "DELETE FROM jobq.jobs_live WHERE id = ANY($1::bigint[])";

static struct ref_ids ids;

static int pickup_claim(PGconn *conn, const char *queue)
{
	const char *values[] = {queue};
	PGresult *res = ref_take(conn, PQexecPrepared(conn, "claim", 1, values, NULL, NULL, 1), "claim");
	int64_t now = ref_now_ns();
	int n = PQntuples(res);
	ref_ids_reset(&ids);
	for (int i = 0; i < n; i++) {
		const unsigned char *wire = (const unsigned char *)PQgetvalue(res, i, 0);
		uint64_t id = 0;
		for (int b = 0; b < 8; b++)
			id = id << 8 | wire[b];
		printf("%llu %lld\n", (unsigned long long)id, (long long)now);
		ref_ids_add(&ids, PQgetvalue(res, i, 0));
	}
	PQclear(res);
	return n;
}

static void pickup_done(PGconn *conn)
{
	ref_ids_close(&ids);
	const char *values[] = {ids.wire};
	const int lengths[] = {ids.len};
	const int formats[] = {1};
	PQclear(ref_take(conn, PQexecPrepared(conn, "done", 1, values, lengths, formats, 1), "complete"));
}

static void pickup_sleep(PGconn *conn)
{
	struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
	if (poll(&fd, 1, 1000) > 0 && !PQconsumeInput(conn)) {
		fprintf(stderr, "%s", PQerrorMessage(conn));
		exit(1);
	}
	for (PGnotify *note = PQnotifies(conn); note; note = PQnotifies(conn))
		PQfreemem(note);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: ref_pickup CONNINFO QUEUE JOBS\n");
		return 2;
	}
	int64_t left = ref_number(argv[3], "JOBS", 1, 1000000000);
	PGconn *conn = ref_connect(argv[1]);
	static const Oid text[] = {25};
	PQclear(ref_take(conn, PQprepare(conn, "claim", claim_sql, 1, text), "prepare the claim"));
	PQclear(ref_take(conn, PQprepare(conn, "done", done_sql, 0, NULL), "prepare the completion"));
	ref_do(conn, "LISTEN jobq_bench");
	fprintf(stderr, "ready\n");
	while (left > 0) {
		int n = pickup_claim(conn, argv[2]);
		left -= n;
		if (n > 0)
			pickup_done(conn);
		else
			pickup_sleep(conn);
	}
	PQfinish(conn);
	return 0;
}
