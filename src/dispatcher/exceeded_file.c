/*
 * dispatcher/exceeded_file.c: exceedances outlive the dispatcher: RUNDIR/exceeded.
 *
 * Runs in the dispatcher, which alone writes the file: when it leaves, and while it runs soon after a change, as long as saving takes no
 * more than a thousandth of the time (a hundred tenants: every second; ten thousand: every few minutes). So a reload, which
 * replaces the dispatcher, loses nothing, and a crash as good as nothing. The counters themselves live in shared memory.
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

static json_t *details_json(const struct exceed_tenant *tenant)
{
	json_t *list = json_array();
	for (uint32_t i = tenant->kept; i > 0; i--) {
		const struct exceed_detail *detail = exceed_detail(tenant, i - 1);
		(void)json_array_append_new(list, json_pack("[I,I,s]", (json_int_t)detail->at_us, (json_int_t)detail->batch, detail->message->text));
	}
	return list;
}

static json_t *record_json(const struct exceed *e)
{
	const struct exceed_tenant *tenant;
	json_t *list = json_array();
	TAILQ_FOREACH(tenant, &e->lru, lru) {
		json_t *one = json_pack("[s,I,I,o]", tenant->name, (json_int_t)tenant->count, (json_int_t)tenant->last_us, details_json(tenant));
		if (one) /* a name that is no text of ours */
			(void)json_array_append_new(list, one);
	}
	return list;
}

static bool file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && io_write_all(fd, text, strlen(text));
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
	char *path = file_path(d, ""), *fresh = file_path(d, ".new"), *text;
	json_t *queues = json_object();
	saved_changes = changes(d);
	for (size_t i = 0; i < d->nqueues; i++)
		(void)json_object_set_new(queues, d->queues[i].name, record_json(&d->queues[i].exceeded->record));
	json_t *doc = json_pack("{s:I,s:o}", "start", (json_int_t)atomic_load(&d->global->start_real_us), "queues", queues);
	text = json_dumps(doc, JSON_COMPACT);
	if (!text || !file_write(fresh, text) || rename(fresh, path) != 0) {
		if (!told)
			log_warn("the record of exceeded limits cannot be saved in %s: %s; a restart of the dispatcher will lose it", path, strerror(errno));
		told = true;
		(void)unlink(fresh);
	}
	json_decref(doc);
	free(text);
	free(fresh);
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

static void load_tenant(struct exceed *e, const json_t *one)
{
	const char *name, *message;
	json_t *details, *detail;
	json_int_t count, last, at, batch;
	size_t i;
	if (json_unpack((json_t *)one, "[s,I,I,o!]", &name, &count, &last, &details) != 0 || count < 0 || !exceed_restore(e, name, (uint64_t)count, last))
		return;
	json_array_foreach(details, i, detail)
		if (json_unpack(detail, "[I,I,s!]", &at, &batch, &message) == 0)
			exceed_detail_add(e, name, at, batch, message);
}

static void load_queues(struct dispatcher *d, json_t *queues)
{
	for (size_t i = 0; i < d->nqueues; i++) {
		const json_t *list = json_object_get(queues, d->queues[i].name), *one;
		size_t j;
		json_array_foreach(list, j, one)
			load_tenant(&d->queues[i].exceeded->record, one);
	}
}

void exceeded_load(struct dispatcher *d)
{
	char *path = file_path(d, "");
	struct buf text = {0};
	json_int_t start = 0;
	json_t *doc = NULL, *queues = NULL;
	if (io_read_file(path, FILE_MAX, &text) == 0)
		doc = json_loadb(buf_str(&text), text.len, 0, NULL);
	if (doc && json_unpack(doc, "{s:I,s:o}", "start", &start, "queues", &queues) == 0 && start == atomic_load(&d->global->start_real_us))
		load_queues(d, queues);
	saved_changes = changes(d);
	json_decref(doc);
	buf_free(&text);
	free(path);
}
