/*
 * unit_pg_pool: lending, the line of waiters, the bounds, and broken connections, against a fake server on the same event loop.
 * Waits on conditions only.
 */
#include <check.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fake_pg.h"
#include "pg/conn.h"
#include "pg/pool.h"

static struct event_base *base;
static struct fake_pg *server;
static struct pg_pool *pool;
static struct pg_pool_stats stats;
static struct pg_conn *lent[8];
static char order[16], reason[512];

#define UNTIL(condition) \
	while (!(condition)) \
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0)

static void on_changed(void *arg, const struct pg_pool_stats *s)
{
	(void)arg;
	stats = *s;
	ck_assert_uint_le(s->in_use + s->idle, 8);
}

/* arg points at the waiter's digit */
static void on_acquired(void *arg, struct pg_conn *conn, const char *error)
{
	const char *who = arg;

	ck_assert((conn == NULL) == (error != NULL));
	lent[*who - '0'] = conn;
	if (conn != NULL)
		strncat(order, who, 1);
	else
		strncpy(reason, error, sizeof reason - 1);
}

static char who[8][2] = {"0", "1", "2", "3", "4", "5", "6", "7"};

static struct pg_wait *acquire(int i)
{
	return pg_pool_acquire(pool, on_acquired, who[i]);
}

static void open_pool(size_t min, size_t max, int64_t acquire_ns, int64_t evict_ns)
{
	char *conninfo = xasprintf("host=%s user=u dbname=d", fake_pg_dir(server));
	const struct pg_pool_opts opts = {.name = "p", .conninfo = conninfo, .max = max, .min = min, .acquire_ns = acquire_ns, .idle_ns = 0,
		.evict_ns = evict_ns, .changed = on_changed};

	pool = pg_pool_new(base, &opts);
	free(conninfo);
}

static void setup(void)
{
	base = event_base_new();
	server = fake_pg_new(base);
	memset(lent, 0, sizeof lent);
	order[0] = reason[0] = '\0';
}

static void teardown(void)
{
	pg_pool_free(pool);
	ck_assert_uint_eq(stats.idle + stats.in_use + stats.waiting, 0);
	fake_pg_free(server);
	event_base_free(base);
}

START_TEST(keeps_min_and_never_more_than_max)
{
	open_pool(1, 2, 60 * NS_PER_S, 60 * NS_PER_S);
	UNTIL(stats.idle == 1);
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(acquire(i));
	ck_assert_str_eq(order, ""); /* never from within */
	UNTIL(stats.in_use == 2);
	ck_assert_uint_eq(stats.waiting, 2);
	ck_assert_int_eq(fake_pg_connections(server), 2);
	pg_pool_release(pool, lent[0]);
	UNTIL(strlen(order) == 3);
	pg_pool_release(pool, lent[1]);
	UNTIL(strlen(order) == 4);
	ck_assert_str_eq(order, "0123"); /* in their order */
	ck_assert_int_eq(fake_pg_connections(server), 2);
	pg_pool_release(pool, lent[2]);
	pg_pool_release(pool, lent[3]);
	ck_assert_uint_eq(stats.acquired, 4);
	ck_assert_uint_eq(stats.released, 4);
	ck_assert_uint_eq(stats.idle, 2);
	pg_pool_release(pool, lent[3]); /* twice: said, and nothing more */
	ck_assert_uint_eq(stats.released, 4);
}
END_TEST

START_TEST(whoever_waits_too_long_is_told_why)
{
	open_pool(0, 1, 50 * NS_PER_MS, 60 * NS_PER_S);
	acquire(0);
	UNTIL(lent[0] != NULL);
	acquire(1);
	UNTIL(stats.timeouts == 1);
	ck_assert_ptr_nonnull(strstr(reason, "all are in use"));
	pg_pool_release(pool, lent[0]);
	fake_pg_mute(server, true);
	fake_pg_drop(server);
	UNTIL(stats.idle == 0);
	acquire(2);
	UNTIL(stats.timeouts == 2);
	ck_assert_ptr_nonnull(strstr(reason, "no connection of pool p within"));
	ck_assert_str_eq(order, "0");
}
END_TEST

START_TEST(a_lost_connection_is_replaced)
{
	open_pool(1, 1, 60 * NS_PER_S, 60 * NS_PER_S);
	acquire(0);
	UNTIL(lent[0] != NULL);
	fake_pg_drop(server);
	UNTIL(stats.errors == 1);
	ck_assert(!pg_conn_ready(lent[0]));
	ck_assert(!pg_conn_exec(lent[0], "x", NULL, NULL)); /* never another session under the lent one */
	acquire(1);
	pg_pool_release(pool, lent[0]);
	UNTIL(lent[1] != NULL);
	ck_assert(pg_conn_ready(lent[1]));
	pg_pool_release(pool, lent[1]);
	UNTIL(stats.idle == 1);
	fake_pg_drop(server); /* an idle one as well */
	UNTIL(stats.errors == 2);
	UNTIL(stats.idle == 1);
	ck_assert_int_eq(fake_pg_connections(server), 3);
}
END_TEST

static void nothing(void *arg, const struct pg_result *result)
{
	(void)arg;
	(void)result;
	ck_abort_msg("called after its connection was given back");
}

START_TEST(what_is_busy_is_closed_when_it_is_released)
{
	open_pool(0, 1, 60 * NS_PER_S, 60 * NS_PER_S);
	acquire(0);
	UNTIL(lent[0] != NULL);
	ck_assert(pg_conn_exec(lent[0], "hang", nothing, NULL));
	pg_pool_release(pool, lent[0]);
	ck_assert_uint_eq(stats.idle, 0);
	acquire(1);
	UNTIL(lent[1] != NULL);
	ck_assert_int_eq(fake_pg_connections(server), 2);
	pg_pool_release(pool, lent[1]);
	ck_assert_uint_eq(stats.idle, 1);
}
END_TEST

START_TEST(a_waiter_may_change_his_mind)
{
	open_pool(0, 1, 60 * NS_PER_S, 60 * NS_PER_S);
	acquire(0);
	pg_pool_forget(pool, acquire(1));
	acquire(2);
	UNTIL(lent[0] != NULL);
	pg_pool_release(pool, lent[0]);
	UNTIL(lent[2] != NULL);
	ck_assert_str_eq(order, "02");
	pg_pool_release(pool, lent[2]);
}
END_TEST

START_TEST(idle_ones_go_down_to_min)
{
	open_pool(1, 3, 60 * NS_PER_S, 20 * NS_PER_MS);
	for (int i = 0; i < 3; i++)
		acquire(i);
	UNTIL(stats.in_use == 3);
	for (int i = 0; i < 3; i++)
		pg_pool_release(pool, lent[i]);
	UNTIL(stats.idle == 1);
	ck_assert_uint_eq(stats.errors, 0);
}
END_TEST

START_TEST(shares_add_up)
{
	for (size_t total = 0; total < 20; total++)
		for (size_t n = 1; n < 9; n++) {
			size_t sum = 0;

			for (size_t i = 0; i < n; i++)
				sum += pg_pool_share(total, n, i);
			ck_assert_uint_eq(sum, total);
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pg_pool");
	TCase *t = tcase_create("pool");

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, keeps_min_and_never_more_than_max);
	tcase_add_test(t, whoever_waits_too_long_is_told_why);
	tcase_add_test(t, a_lost_connection_is_replaced);
	tcase_add_test(t, what_is_busy_is_closed_when_it_is_released);
	tcase_add_test(t, a_waiter_may_change_his_mind);
	tcase_add_test(t, idle_ones_go_down_to_min);
	suite_add_tcase(s, t);
	TCase *pure = tcase_create("pure");
	tcase_add_test(pure, shares_add_up);
	suite_add_tcase(s, pure);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
