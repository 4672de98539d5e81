/*
 * tests/unit/worker_bed.c: a real worker process, and the test in the dispatcher's place (see worker_bed.h).
 */
#include "config.h"

#include "worker_bed.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "jobq/child.h"
#include "jobq/exit.h"
#include "shm/cell.h"

#define PATIENCE_MS 10000

#if defined(__SANITIZE_ADDRESS__)
void __lsan_do_leak_check(void);
#else
#define __lsan_do_leak_check() ((void)0)
#endif

void bed_open(struct bed *b, const char *handler)
{
	char name[64], err[256];

	*b = (struct bed){.fd = -1, .generation = 7, .dir = "/tmp/jobq-bed-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(b->dir));
	ck_assert_int_gt(snprintf(b->path, sizeof b->path, "%s/d.sock", b->dir), 0);
	shm_seg_name(name, b->dir);
	b->shm = shm_seg_create(name, 1, 2, err, sizeof err);
	ck_assert_msg(b->shm != NULL, "%s", err);
	b->queue = shm_queue_at(b->shm, 0);
	b->slot = shm_slot_at(b->shm, 1);
	shm_cell_set(&b->shm->global->installation, "9f1c2d3e");
	atomic_store(&b->shm->global->dispatcher_generation, b->generation);
	atomic_store(&b->shm->global->lease_ns, 30 * NS_PER_S);
	atomic_store(&b->shm->global->lease_deadline_boot_ns, clock_boot_ns() + 30 * NS_PER_S);
	b->listen = io_unix_listen(b->path, 0600, err, sizeof err);
	ck_assert_msg(b->listen >= 0, "%s", err);
	ck_assert_int_eq(io_set_nonblock(b->listen, false), 0);
	ck_assert_int_eq(io_pipe(b->lifeline), 0);
	b->q = (struct conf_queue){.name = "q", .k = {.handler = handler, .workers = 1, .concurrency = 1, .job_timeout = 300 * NS_PER_S}};
	b->q.k.gateway_url = b->q.k.gateway_user = b->q.k.gateway_password = b->q.k.from = b->q.k.body = b->q.k.headers
		= b->q.k.response_id = "";
	b->queues[0] = &b->q;
	b->conf = (struct conf){.queues = b->queues, .nqueues = 1};
	b->conf.jobqd.shutdown_timeout = 30 * NS_PER_S;
	b->conf.jobqd.outcome_memory = 64 << 20;
}

static int bed_child(struct bed *b)
{
	struct child child = {
		.conf = &b->conf, .queue = &b->q, .shm = b->shm, .slot = b->slot, .slot_index = 1, .generation = 3, .queue_index = 0,
		.base = event_base_new(), .lifeline = b->lifeline[0], .dispatch_listen = -1, .dispatch_path = b->path, .control = -1,
	};

	close(b->lifeline[1]);
	close(b->listen);
	if (getenv("JOBQ_TEST_LOG") == NULL && log_open("/dev/null", LOG_F_LOGFMT, LOG_L_DEBUG) != 0)
		return 99;
	int code = worker_main(&child);
	event_base_free(child.base);
	return code;
}

void bed_start(struct bed *b)
{
	b->pid = fork();
	ck_assert_int_ge(b->pid, 0);
	if (b->pid > 0)
		return;
	int code = bed_child(b);
	__lsan_do_leak_check();
	_exit(code);
}

static void bed_wait(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	ck_assert_msg(poll(&p, 1, PATIENCE_MS) == 1, "nothing came from the worker");
}

void bed_accept(struct bed *b)
{
	struct msg_hello hello;

	bed_wait(b->listen);
	b->fd = accept(b->listen, NULL, NULL);
	ck_assert_int_ge(b->fd, 0);
	buf_reset(&b->in);
	struct rd body = bed_frame(b, FRAME_HELLO);
	ck_assert(msg_get_hello(&body, &hello));
	ck_assert_uint_eq(hello.version, WIRE_VERSION);
	ck_assert_uint_eq(hello.slot, 1);
	ck_assert_uint_eq(hello.slot_generation, 3);
	ck_assert_int_eq((pid_t)hello.pid, b->pid);
	bed_send(b, FRAME_WELCOME, b->generation, NULL);
}

void bed_run(struct bed *b, const char *handler)
{
	bed_open(b, handler);
	bed_start(b);
	bed_accept(b);
}

void bed_stop(struct bed *b)
{
	ck_assert_int_eq(kill(b->pid, SIGTERM), 0);
	(void)bed_frame(b, FRAME_DRAIN);
	ck_assert_int_eq(bed_exit(b), JOBQ_EXIT_OK);
	ck_assert_uint_eq(bed_held(b), 0);
	bed_close(b);
}

void bed_hang_up(struct bed *b)
{
	close(b->fd);
	b->fd = -1;
}

void bed_close(struct bed *b)
{
	if (b->pid > 0) {
		ck_assert_int_eq(kill(b->pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(b->pid, NULL, 0), b->pid);
	}
	if (b->fd >= 0)
		close(b->fd);
	close(b->listen);
	close(b->lifeline[0]);
	if (b->lifeline[1] >= 0)
		close(b->lifeline[1]);
	ck_assert_int_eq(unlink(b->path), 0);
	ck_assert_int_eq(rmdir(b->dir), 0);
	shm_seg_unlink(b->shm);
	shm_seg_detach(b->shm);
	buf_free(&b->in);
}

void bed_send(struct bed *b, enum wire_type type, uint32_t generation, const struct buf *body)
{
	struct wire_head head = {.len = body == NULL ? 0 : (uint32_t)body->len, .type = (uint16_t)type, .generation = generation};
	struct buf out = {0};

	buf_add(&out, &head, sizeof head);
	if (body != NULL)
		buf_add(&out, body->data, body->len);
	for (size_t sent = 0; sent < out.len;) {
		ssize_t n = send(b->fd, out.data + sent, out.len - sent, MSG_NOSIGNAL);
		ck_assert_int_gt(n, 0);
		sent += (size_t)n;
	}
	buf_free(&out);
}

static uint32_t bed_word(const struct bed *b, int64_t id, int which)
{
	return id % 2 != 0 && b->limited[which] != 0 ? b->limited[which] : SHM_NO_WORD;
}

void bed_batch(struct bed *b, uint64_t batch_id, const struct bed_job *jobs, uint32_t n, uint32_t flags)
{
	struct msg_batch head = {.batch_id = batch_id, .token = 1000, .flags = flags, .count = n};
	struct buf body = {0};

	msg_put_batch(&body, &head);
	for (uint32_t i = 0; i < n; i++) {
		struct msg_job job = {
			.id = jobs[i].id, .token = 1000 + jobs[i].id, .deadline_us = b->deadline_us, .attempt = 1, .max_retries = 3, .priority = 5,
			.tenant_word = bed_word(b, jobs[i].id, 0), .tier_word = bed_word(b, jobs[i].id, 1),
			.type = {"", 0}, .tenant = {"acme", 4}, .user_id = {"", 0}, .payload = {jobs[i].payload, strlen(jobs[i].payload)}, .result = {"", 0},
		};
		msg_put_job(&body, &job);
	}
	bed_send(b, FRAME_BATCH, b->generation, &body);
	buf_free(&body);
}

void bed_refs(struct bed *b, enum wire_type type, const int64_t *ids, uint32_t n)
{
	struct buf body = {0};

	msg_put_count(&body, n);
	for (uint32_t i = 0; i < n; i++) {
		struct msg_ref ref = {ids[i], 1000 + ids[i]};
		msg_put_ref(&body, &ref);
	}
	bed_send(b, type, b->generation, &body);
	buf_free(&body);
}

static void bed_fill(struct bed *b, size_t len)
{
	while (b->in.len < len) {
		bed_wait(b->fd);
		buf_reserve(&b->in, 65536);
		ssize_t n = recv(b->fd, b->in.data + b->in.len, 65536, 0);
		ck_assert_msg(n > 0, "the worker closed the connection");
		b->in.len += (size_t)n;
	}
}

struct rd bed_frame(struct bed *b, enum wire_type type)
{
	static struct buf body;
	struct wire_head head;

	bed_fill(b, sizeof head);
	memcpy(&head, b->in.data, sizeof head);
	bed_fill(b, sizeof head + head.len);
	ck_assert_msg(head.type == type, "a frame of type %u came, not %u", head.type, (unsigned)type);
	if (type != FRAME_HELLO)
		ck_assert_uint_eq(head.generation, b->generation);
	buf_reset(&body);
	buf_add(&body, b->in.data + sizeof head, head.len);
	buf_drop(&b->in, sizeof head + head.len);
	return rd_of(body.data, body.len);
}

void bed_outcomes(struct bed *b, struct bed_outcome *out, uint32_t n)
{
	for (uint32_t got = 0; got < n;) {
		struct rd body = bed_frame(b, FRAME_OUTCOMES);
		uint32_t count;
		struct msg_outcome m;
		ck_assert(msg_get_count(&body, &count) && count <= n - got);
		for (; count > 0; count--, got++) {
			ck_assert(msg_get_outcome(&body, &m));
			struct bed_outcome *o = &out[got];
			*o = (struct bed_outcome){m.id, m.token, m.begun_ns, m.ended_ns, m.after_ns, m.outcome, "", m.error.len, m.result.len, ""};
			memcpy(o->error, m.error.text, m.error.len < 511 ? m.error.len : 511);
			memcpy(o->result, m.result.text, m.result.len < 511 ? m.result.len : 511);
			ck_assert_int_eq(o->token, 1000 + o->id);
		}
	}
}

const struct bed_outcome *bed_of(const struct bed_outcome *out, uint32_t n, int64_t id)
{
	for (uint32_t i = 0; i < n; i++)
		if (out[i].id == id)
			return &out[i];
	ck_abort_msg("no outcome of job %lld", (long long)id);
	return NULL;
}

int bed_exit(struct bed *b)
{
	int status;

	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		if (waitpid(b->pid, &status, WNOHANG) == b->pid) {
			b->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		}
		ck_assert_int_eq(poll(NULL, 0, 10), 0);
	}
	ck_abort_msg("the worker does not leave");
	return -1;
}

uint32_t bed_held(const struct bed *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SHM_HELD; i++)
		n += atomic_load(&b->slot->held[i].state) != HELD_FREE;
	return n;
}

void bed_until(bool (*condition)(const struct bed *b), const struct bed *b)
{
	for (int i = 0; i < PATIENCE_MS / 5; i++) {
		if (condition(b))
			return;
		ck_assert_int_eq(poll(NULL, 0, 5), 0);
	}
	ck_abort_msg("the condition did not come true");
}
