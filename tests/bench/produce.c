/*
 * bench/produce.c: a steady producer that notes when it sent each COMMIT.
 *
 * usage: produce CONNINFO QUEUE JOBS PER_SECOND MANY [CHANNEL]
 *
 * MANY jobs a transaction. Without CHANNEL it calls jobq.enqueue_many, as producers of jobqd do; with it, a plain INSERT and a NOTIFY, for the
 * reference that knows nothing of jobq. Prints one line a transaction: its first job's id and the monotonic time (ns) just before COMMIT
 * was sent. Keeps its schedule: a transaction that comes late does not delay the ones behind it. Fails as ref.h says.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ref.h"

static const char insert_sql[] =
	"INSERT INTO jobq.jobs (queue, tenant_id, payload) SELECT $1, 't' || n % 20, $3::jsonb FROM generate_series(1, $2) n RETURNING id";
static const char enqueue_sql[] =
	"SELECT id FROM jobq.enqueue_many((SELECT jsonb_agg(jsonb_build_object('queue', $1::text, 'tenant_id', 't' || n % 20, 'payload', $3::jsonb))"
	" FROM generate_series(1, $2::int) n))";

static void sleep_until(int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0)
		;
}

static void produce_one(PGconn *conn, const char *queue, const char *many, const char *notify)
{
	/* 150 bytes, as in all measurements */
	static const char payload[] = "{\"filler\": \"0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123\"}";
	const char *values[] = {queue, many, payload};
	ref_do(conn, "BEGIN");
	PGresult *res = ref_take(conn, PQexecPrepared(conn, "put", 3, values, NULL, NULL, 0), "enqueue");
	char id[32];
	snprintf(id, sizeof id, "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	if (notify)
		ref_do(conn, notify);
	int64_t now = ref_now_ns();
	ref_do(conn, "COMMIT");
	printf("%s %lld\n", id, (long long)now);
}

int main(int argc, char **argv)
{
	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: produce CONNINFO QUEUE JOBS PER_SECOND MANY [CHANNEL]\n");
		return 2;
	}
	int64_t jobs = ref_number(argv[3], "JOBS", 1, 1000000000);
	int64_t rate = ref_number(argv[4], "PER_SECOND", 1, 10000000);
	int64_t many = ref_number(argv[5], "MANY", 1, 100000);
	char notify[100];
	if (argc == 7)
		snprintf(notify, sizeof notify, "NOTIFY %.60s", argv[6]);
	PGconn *conn = ref_connect(argv[1]);
	PQclear(ref_take(conn, PQprepare(conn, "put", argc == 7 ? insert_sql : enqueue_sql, 0, NULL), "prepare"));
	int64_t begin = ref_now_ns();
	for (int64_t n = 0; n < jobs; n += many) {
		sleep_until(begin + (int64_t)((double)n / (double)rate * 1e9));
		produce_one(conn, argv[2], argv[5], argc == 7 ? notify : NULL);
	}
	PQfinish(conn);
	return 0;
}
