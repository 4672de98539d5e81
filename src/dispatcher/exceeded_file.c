/*
 * dispatcher/exceeded_file.c: exceedances outlive the dispatcher: RUNDIR/exceeded.
 *
 * Runs in the dispatcher, which alone writes the file: when it leaves, and while it runs soon after a change, as long as saving takes no
 * more than a thousandth of the time (10,000 tenants with all details: 15 ms). So a reload, which replaces the dispatcher, loses
 * nothing, and a crash as good as nothing. The counters themselves live in shared memory.
 *
 * The file belongs to one life of the daemon, whose start it names: the counters begin anew with the next, and so do these. No fsync: it
 * need not survive the machine. One that is missing, foreign or broken is a beginning without a past; one that cannot be
 * written is said once.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/exceeded.h"

#define FILE_MAGIC UINT64_C(0x3144454345584551) /* "QEXCEED1", in this machine's order: the file never leaves it */
#define FILE_MAX (256u << 20)
#define SAVE_SHARE 1000

static uint64_t saved_changes; /* of this process's one dispatcher */
static int64_t next_ns;
static bool told;

static char *file_path(const struct dispatcher *d, const char *suffix)
{
	return xasprintf("%s/exceeded%s", d->conf->jobqd.run_dir, suffix);
}

/* ---- out ---- */

static void put_text(struct buf *b, const char *text)
{
	buf_bytes(b, text, strlen(text) + 1); /* with its NUL: the reader may point at it */
}

/* Oldest first. A message that is the one before is left out: the record shares them too. */
static void put_tenant(struct buf *b, const struct exceed_tenant *tenant)
{
	const struct exceed_text *before = NULL;
	put_text(b, tenant->name);
	buf_u64(b, tenant->count);
	buf_i64(b, tenant->last_us);
	buf_u32(b, tenant->kept);
	for (uint32_t i = tenant->kept; i > 0; i--) {
		const struct exceed_detail *detail = exceed_detail(tenant, i - 1);
		buf_i64(b, detail->at_us);
		buf_i64(b, detail->batch);
		put_text(b, detail->message == before ? "" : detail->message->text);
		before = detail->message;
	}
}

static void put_queue(struct buf *b, const struct queue *queue)
{
	const struct exceed_tenant *tenant;
	put_text(b, queue->name);
	buf_u32(b, HASH_COUNT(queue->exceeded->record.tenants));
	TAILQ_FOREACH(tenant, &queue->exceeded->record.lru, lru)
		put_tenant(b, tenant);
}

static bool file_write(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && io_write_all(fd, text->data, text->len);
	int saved = errno;
	if (fd >= 0 && close(fd) != 0 && ok) {
		saved = errno;
		ok = false;
	}
	errno = saved;
	return ok;
}

static uint64_t changes(const struct dispatcher *d)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < d->nqueues; i++)
		sum += d->queues[i].exceeded->record.changes;
	return sum;
}

void exceeded_save(struct dispatcher *d)
{
	char *path = file_path(d, ""), *fresh = file_path(d, ".new");
	struct buf text = {0};
	saved_changes = changes(d);
	buf_u64(&text, FILE_MAGIC);
	buf_i64(&text, atomic_load(&d->global->start_real_us));
	buf_u32(&text, (uint32_t)d->nqueues);
	for (size_t i = 0; i < d->nqueues; i++)
		put_queue(&text, &d->queues[i]);
	if (!file_write(fresh, &text) || rename(fresh, path) != 0) {
		if (!told)
			log_warn("the record of exceeded limits cannot be saved in %s: %s; a restart of the dispatcher will lose it", path, strerror(errno));
		told = true;
		(void)unlink(fresh);
	}
	buf_free(&text);
	free(fresh);
	free(path);
}

void exceeded_remove(struct dispatcher *d)
{
	char *path = file_path(d, "");
	(void)unlink(path); /* it may never have been written */
	free(path);
}

void exceeded_second(struct dispatcher *d)
{
	int64_t now = clock_mono_ns();
	if (now < next_ns || changes(d) == saved_changes)
		return;
	exceeded_save(d);
	next_ns = clock_mono_ns() + (clock_mono_ns() - now) * SAVE_SHARE;
}

/* ---- in ---- */

static const char *get_text(struct rd *r)
{
	size_t len;
	const char *text = rd_bytes(r, &len);
	if (len == 0 || text[len - 1] != '\0')
		r->bad = true;
	return r->bad ? "" : text;
}

static void get_tenant(struct rd *r, struct exceed *e)
{
	const char *name = get_text(r), *message = "";
	uint64_t count = rd_u64(r);
	int64_t last_us = rd_i64(r);
	uint32_t kept = rd_u32(r);
	bool known = !r->bad && exceed_restore(e, name, count, last_us);
	for (uint32_t i = 0; i < kept && !r->bad; i++) {
		int64_t at_us = rd_i64(r), batch = rd_i64(r);
		const char *text = get_text(r);
		message = text[0] != '\0' ? text : message;
		if (known && !r->bad)
			exceed_detail_add(e, name, at_us, batch, message);
	}
}

/* A queue that is no more is read over. */
static void get_queues(struct rd *r, struct dispatcher *d)
{
	struct exceed gone;
	exceed_init(&gone);
	for (uint32_t n = rd_u32(r); n > 0 && !r->bad; n--) {
		struct queue *queue = dispatcher_queue(d, get_text(r));
		for (uint32_t tenants = rd_u32(r); tenants > 0 && !r->bad; tenants--)
			get_tenant(r, queue ? &queue->exceeded->record : &gone);
	}
	exceed_free(&gone);
}

void exceeded_load(struct dispatcher *d)
{
	char *path = file_path(d, "");
	struct buf text = {0};
	if (io_read_file(path, FILE_MAX, &text) == 0) {
		struct rd r = rd_of(text.data, text.len);
		if (rd_u64(&r) == FILE_MAGIC && rd_i64(&r) == atomic_load(&d->global->start_real_us))
			get_queues(&r, d);
	}
	saved_changes = changes(d);
	buf_free(&text);
	free(path);
}
