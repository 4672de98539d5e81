/*
 * tests/unit/test_master_request.c: the table of commands as the master uses it, and who may use it.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "master/access.h"
#include "master/answer.h"
#include "master/request.h"

enum { READ, ADMIN };
enum { MASTER, DISPATCHER, CLIENT };
static const struct {
	const char *verb;
	int access, by, here;
} rows[] = {
#define COMMAND_X(id, verb, arguments, access, by, here, help) {verb, access, by, here},
#include "tbl/commands.def"
};
#define ROWS (sizeof rows / sizeof rows[0])

START_TEST(every_command_is_found_once)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct request_command *command = master_request_command(rows[i].verb);

		ck_assert_ptr_nonnull(command);
		ck_assert_str_eq(command->verb, rows[i].verb);
		ck_assert_int_eq(command->access == REQUEST_ADMIN, rows[i].access == ADMIN);
		ck_assert_int_eq(command->by == REQUEST_DISPATCHER, rows[i].by == DISPATCHER);
		ck_assert_int_eq(command->by == REQUEST_CLIENT, rows[i].by == CLIENT);
		ck_assert_int_eq(command->here, rows[i].here != 0);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(rows[i].verb, rows[j].verb);
	}
	ck_assert_ptr_null(master_request_command(""));
	ck_assert_ptr_null(master_request_command("PING"));
	ck_assert_ptr_null(master_request_command("ping "));
}
END_TEST

/* A command of the table that this version has is one that somebody answers; what changes things is never READ. */
START_TEST(masters_commands_have_answers)
{
	static const char *const changing[] = {"reload", "stop", "pause", "resume", "enqueue", "retry", "cancel", "resolve", "migrate"};

	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].by == MASTER && rows[i].here)
			ck_assert_msg(master_answer_has(rows[i].verb), "nobody answers %s", rows[i].verb);
	for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++)
		ck_assert_int_eq(master_request_command(changing[i])->access, REQUEST_ADMIN);
}
END_TEST

START_TEST(who_may_change_things)
{
	struct master_peer peer = {.uid = 1000, .groups = {1000, 4, 27}, .ngroups = 3};

	ck_assert(!master_access_admin(&peer, 33, MASTER_ACCESS_NO_GROUP));
	ck_assert(!master_access_admin(&peer, 33, 5));
	ck_assert(master_access_admin(&peer, 33, 27));
	ck_assert(master_access_admin(&peer, 33, 1000));
	ck_assert(master_access_admin(&peer, 1000, MASTER_ACCESS_NO_GROUP));
	peer.uid = 0;
	ck_assert(master_access_admin(&peer, 33, MASTER_ACCESS_NO_GROUP));
	peer.uid = 1000;
	peer.groups[0] = MASTER_ACCESS_NO_GROUP; /* "no group" must not match anything */
	ck_assert(!master_access_admin(&peer, 33, MASTER_ACCESS_NO_GROUP));
}
END_TEST

START_TEST(the_kernel_says_who)
{
	struct master_peer peer;
	int fds[2];

	ck_assert_int_eq(io_socketpair(fds), 0);
	ck_assert(master_access_peer(fds[0], &peer));
	ck_assert_uint_eq(peer.uid, geteuid());
	ck_assert_uint_eq(peer.groups[0], getegid());
	ck_assert_uint_ge(peer.ngroups, 1);
	ck_assert_int_ne(peer.name[0], '\0');
	(void)close(fds[0]);
	(void)close(fds[1]);
	int null = dup(0);
	ck_assert(!master_access_peer(null, &peer));
	(void)close(null);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("master_request");
	TCase *tc = tcase_create("commands");

	tcase_add_test(tc, every_command_is_found_once);
	tcase_add_test(tc, masters_commands_have_answers);
	tcase_add_test(tc, who_may_change_things);
	tcase_add_test(tc, the_kernel_says_who);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
