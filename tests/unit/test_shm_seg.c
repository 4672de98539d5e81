/*
 * unit_shm_seg: making, refusing and replacing the segment. Every field of the header is damaged in turn and no reader
 * may map it; leftovers of the dead are replaced, everything else under our name is refused with a text that says why.
 */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/cell.h"
#include "shm/seg.h"

static char name[64], err[512];

static void setup(void)
{
	char dir[64];

	(void)snprintf(dir, sizeof dir, "/tmp/unit-shm-seg-%ld", (long)getpid());
	shm_seg_name(name, dir);
	err[0] = '\0';
}

static void teardown(void)
{
	(void)shm_unlink(name);
}

static struct shm *make(void)
{
	struct shm *shm = shm_seg_create(name, 3, 5, err, sizeof err);

	ck_assert_msg(shm != NULL, "%s", err);
	return shm;
}

/* what a daemon leaves behind that was killed */
static void leave_by_dead_owner(void)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct shm *shm = shm_seg_create(name, 3, 5, err, sizeof err);
		if (shm != NULL)
			shm_seg_publish(shm);
		_exit(shm == NULL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void overwrite(off_t at, const void *data, size_t len)
{
	int fd = shm_open(name, O_RDWR, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, data, len, at), (ssize_t)len);
	ck_assert_int_eq(close(fd), 0);
}

static void resize(off_t size)
{
	int fd = shm_open(name, O_RDWR, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(close(fd), 0);
}

static void refused(const char *why)
{
	err[0] = '\0';
	ck_assert_ptr_null(shm_seg_create(name, 3, 5, err, sizeof err));
	ck_assert_msg(strstr(err, why) != NULL, "\"%s\" does not say \"%s\"", err, why);
	ck_assert_msg(strstr(err, name) != NULL, "\"%s\" does not say which", err);
}

START_TEST(names_follow_the_run_directory)
{
	char a[64], b[64], c[64];

	shm_seg_name(a, "/run/jobq");
	shm_seg_name(b, "/run/jobq2");
	shm_seg_name(c, "/run/jobq");
	ck_assert_str_eq(a, c);
	ck_assert_str_ne(a, b);
	ck_assert_int_eq(strncmp(a, "/jobq-", 6), 0);
	ck_assert_ptr_null(strchr(a + 1, '/'));
	shm_seg_name(a, "/tmp");
	shm_seg_name(b, "/tmp/../tmp//");
	ck_assert_str_eq(a, b);
}
END_TEST

START_TEST(create_publish_attach)
{
	char text[SHM_CELL_TEXT];
	struct stat st;
	struct shm *shm = make();

	ck_assert_ptr_null(shm_seg_attach(name, err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "not ready"));
	shm_cell_set(&shm_queue_at(shm, 2)->name, "sms");
	ck_assert_uint_eq(shm_queue_find(shm, "sms"), SHM_NO_QUEUE); /* not in use yet */
	atomic_store(&shm_queue_at(shm, 2)->used, 1);
	atomic_store(&shm_slot_at(shm, 4)->samples[SHM_SAMPLES - 1].snoozed, 7);
	shm_seg_publish(shm);

	struct shm *reader = shm_seg_attach(name, err, sizeof err);
	ck_assert_msg(reader != NULL, "%s", err);
	ck_assert(shm->writable && !reader->writable);
	ck_assert_uint_eq(reader->nqueues, 3);
	ck_assert_uint_eq(reader->nslots, 5);
	ck_assert_uint_eq(shm_queue_find(reader, "sms"), 2);
	ck_assert_uint_eq(shm_queue_find(reader, "sm"), SHM_NO_QUEUE);
	ck_assert_str_eq(shm_cell_get(&shm_queue_at(reader, 2)->name, text), "sms");
	ck_assert_uint_eq(atomic_load(&shm_slot_at(reader, 4)->samples[SHM_SAMPLES - 1].snoozed), 7);
	ck_assert_ptr_null(shm_queue_at(reader, 3));
	ck_assert_ptr_null(shm_slot_at(reader, 5));
	ck_assert_ptr_null(shm_slot_at(reader, UINT32_MAX));

	int fd = shm_open(name, O_RDONLY, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, shm->size); /* reserved, not promised */

	shm_seg_detach(reader);
	shm_seg_unlink(shm);
	shm_seg_detach(shm);
	ck_assert_ptr_null(shm_seg_attach(name, err, sizeof err));
}
END_TEST

START_TEST(only_the_owner_unlinks)
{
	int status;
	struct shm *shm = make();
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		shm_seg_unlink(shm);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	shm_seg_publish(shm);
	struct shm *reader = shm_seg_attach(name, err, sizeof err);
	ck_assert_ptr_nonnull(reader);
	shm_seg_unlink(reader); /* a reader neither */
	shm_seg_detach(reader);
	reader = shm_seg_attach(name, err, sizeof err);
	ck_assert_ptr_nonnull(reader);
	shm_seg_detach(reader);
	shm_seg_detach(shm);
}
END_TEST

START_TEST(a_living_owner_keeps_it)
{
	char want[64];
	struct shm *shm = make();

	(void)snprintf(want, sizeof want, "running jobqd (pid %ld); stop it first", (long)getpid());
	refused(want);
	uint64_t start = shm->header->owner_start + 1; /* the pid is somebody else's by now */
	overwrite(offsetof(struct shm_header, owner_start), &start, sizeof start);
	shm_seg_detach(shm);
	shm_seg_detach(make());
}
END_TEST

START_TEST(leftovers_of_the_dead_are_replaced)
{
	uint32_t version = SHM_VERSION + 1;

	leave_by_dead_owner();
	ck_assert_ptr_null(shm_seg_attach(name, err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "dead"));
	shm_seg_detach(make());
	ck_assert_int_eq(shm_unlink(name), 0);

	leave_by_dead_owner(); /* and after an upgrade */
	overwrite(offsetof(struct shm_header, version), &version, sizeof version);
	shm_seg_detach(make());
}
END_TEST

START_TEST(strangers_are_refused)
{
	uint64_t zero = 0;

	leave_by_dead_owner();
	overwrite(0, &zero, sizeof zero);
	refused("bad magic");
	resize((off_t)sizeof(struct shm_header) - 1);
	refused("truncated");
	resize(0);
	refused("truncated");
	if (geteuid() == 0) {
		int fd = shm_open(name, O_RDWR, 0);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fchown(fd, 65534, (gid_t)-1), 0);
		ck_assert_int_eq(close(fd), 0);
		refused("another user");
	}
}
END_TEST

START_TEST(too_much_is_refused)
{
	ck_assert_ptr_null(shm_seg_create(name, UINT32_MAX, 5, err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "too many"));
	ck_assert_ptr_null(shm_seg_create(name, 3, UINT32_MAX, err, sizeof err));
	ck_assert_ptr_nonnull(strstr(err, "too many"));

	struct rlimit small = {.rlim_cur = 4096, .rlim_max = 4096}; /* stands for a full /dev/shm */
	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	refused("cannot reserve");
	ck_assert_int_lt(shm_open(name, O_RDONLY, 0), 0); /* and nothing is left behind */
}
END_TEST

#define FIELD(field) {#field, offsetof(struct shm_header, field), sizeof ((struct shm_header *)0)->field}
static const struct field {
	const char *name;
	size_t at, size;
} fields[] = {
	FIELD(magic), FIELD(version), FIELD(table_hash), FIELD(size), FIELD(nqueues), FIELD(nslots), FIELD(off_global), FIELD(off_queues),
	FIELD(off_slots), FIELD(owner_pid), FIELD(owner_start), FIELD(ready),
};

START_TEST(a_damaged_header_is_never_mapped)
{
	const struct field *field = &fields[_i / 4];
	const unsigned char values[] = {0x00, 0xff, 0x01, 0x80}; /* zero, all ones, lowest bit, highest bit flipped */
	unsigned char bytes[8];
	struct shm *shm = make();

	shm_seg_publish(shm);
	memcpy(bytes, (char *)shm->header + field->at, field->size);
	if (_i % 4 < 2)
		memset(bytes, values[_i % 4], field->size);
	else
		bytes[_i % 4 == 2 ? 0 : field->size - 1] ^= values[_i % 4];
	if (strcmp(field->name, "owner_pid") == 0) /* the neighbour's pid may be there, and as old: this one is beyond pid_max */
		bytes[2] = 0x7f;
	overwrite((off_t)field->at, bytes, field->size);
	err[0] = '\0';
	struct shm *reader = shm_seg_attach(name, err, sizeof err);
	ck_assert_msg(reader == NULL, "%s damaged and mapped", field->name);
	ck_assert_ptr_nonnull(strstr(err, name));
	shm_seg_detach(shm);
}
END_TEST

START_TEST(a_wrong_size_is_never_mapped)
{
	struct shm *shm = make();
	off_t size = (off_t)shm->size;
	const off_t sizes[] = {0, 1, (off_t)sizeof(struct shm_header), size / 2, size - 1, size + 1, size * 2};

	shm_seg_publish(shm);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		resize(sizes[i]);
		uint32_t ready = 1; /* cutting it short took this away */
		if (sizes[i] >= (off_t)sizeof(struct shm_header)) {
			overwrite(offsetof(struct shm_header, ready), &ready, sizeof ready);
			err[0] = '\0';
		}
		ck_assert_ptr_null(shm_seg_attach(name, err, sizeof err));
	}
	shm_seg_detach(shm);
}
END_TEST

START_TEST(numbers_have_names)
{
	ck_assert_str_eq(shm_role_name(ROLE_DISPATCHER), "dispatcher");
	ck_assert_str_eq(shm_proc_state_name(PROC_CRASH_LOOP), "crash-loop");
	ck_assert_str_eq(shm_queue_state_name(QUEUE_PAUSED), "paused");
	ck_assert_str_eq(shm_db_state_name(DB_WAITING), "waiting");
	ck_assert_str_eq(shm_counter_name(COUNTER_rate_exceeded), "rate_exceeded");
	ck_assert_str_eq(shm_role_name(ROLE_COUNT), "?");
	ck_assert_str_eq(shm_proc_state_name(PROC_STATE_COUNT), "?");
	ck_assert_str_eq(shm_queue_state_name(QUEUE_STATE_COUNT), "?");
	ck_assert_str_eq(shm_db_state_name(UINT32_MAX), "?");
	ck_assert_str_eq(shm_counter_name(COUNTER_COUNT), "?");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm_seg");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, names_follow_the_run_directory);
	tcase_add_test(all, create_publish_attach);
	tcase_add_test(all, only_the_owner_unlinks);
	tcase_add_test(all, a_living_owner_keeps_it);
	tcase_add_test(all, leftovers_of_the_dead_are_replaced);
	tcase_add_test(all, strangers_are_refused);
	tcase_add_test(all, too_much_is_refused);
	tcase_add_loop_test(all, a_damaged_header_is_never_mapped, 0, (int)(sizeof fields / sizeof *fields) * 4);
	tcase_add_test(all, a_wrong_size_is_never_mapped);
	tcase_add_test(all, numbers_have_names);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
