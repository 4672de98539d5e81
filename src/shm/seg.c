/*
 * shm/seg.c: makes, checks, maps and removes the segment; finds queues and slots in it.
 *
 * The master creates (under its pid file's lock, so never twice for one run directory), children inherit the mapping,
 * jobqctl attaches read-only. The object is filled while it has no name yet (O_TMPFILE) and linked when its header is
 * complete: a master killed meanwhile leaves nothing behind, so whatever is found under the name and looks wrong was
 * not made by us and is left alone. A leftover is replaced only if it is ours, of a jobq (any version), and its owner dead.
 *
 * Invariant: offsets follow from the two counts alone; accessors use the counts checked here, never the header again.
 * Fails with a text that says what to do. A file cut short under a mapping raises SIGBUS: only its owner or root can do so.
 */
#include "config.h"

#include "shm/seg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"
#include "shm/cell.h"
#include "shm/names.h"
#include "shm/program.h"

#define SEG_DIR "/dev/shm"
#define SEG_QUEUES_MAX 4096u
#define SEG_SLOTS_MAX 65536u
#define SEG_ALIGN 64u

struct layout {
	uint64_t global, queues, slots, size;
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics work across processes, and are read by plain loads");
_Static_assert(sizeof(struct shm_queue) % 8 == 0 && sizeof(struct shm_slot) % 8 == 0, "arrays stay aligned");

static uint64_t seg_round(uint64_t at)
{
	return (at + SEG_ALIGN - 1) / SEG_ALIGN * SEG_ALIGN;
}

/* counts are at most the maxima above: no sum can overflow */
static struct layout seg_layout(uint32_t nqueues, uint32_t nslots)
{
	struct layout l;

	l.global = seg_round(sizeof(struct shm_header));
	l.queues = seg_round(l.global + sizeof(struct shm_global));
	l.slots = seg_round(l.queues + (uint64_t)nqueues * sizeof(struct shm_queue));
	l.size = seg_round(l.slots + (uint64_t)nslots * sizeof(struct shm_slot));
	return l;
}

void shm_seg_name(char dst[64], const char *run_dir)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	char *real = realpath(run_dir, NULL); /* every way to spell the directory gives one name */

	for (const char *p = real != NULL ? real : run_dir; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
	free(real);
	(void)snprintf(dst, 64, "/jobq-%016llx", (unsigned long long)hash);
}

__attribute__((format(printf, 3, 4))) static void seg_fail(char *err, size_t errlen, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(err, errlen, format, ap);
	va_end(ap);
}

/* Its start time; 0 of a zombie. false: there is no looking at it. */
static bool seg_start_time(pid_t pid, uint64_t *start)
{
	struct proc_seen seen;
	bool there = proc_look(pid, &seen);

	*start = there && seen.state != 'Z' && seen.state != 'X' ? seen.start : 0;
	return there;
}

/* When in doubt (/proc hides others' processes) it lives. */
static bool seg_owner_lives(const struct shm_header *head)
{
	uint64_t start;

	if (head->owner_pid <= 0 || (kill(head->owner_pid, 0) != 0 && errno == ESRCH))
		return false;
	return !seg_start_time(head->owner_pid, &start) || start == head->owner_start;
}

/* May what stands under this name be replaced? 0, or -1 with the reason. magic to owner_start never move between versions. */
static int seg_inspect(const char *name, int fd, char *err, size_t errlen)
{
	struct shm_header head;
	struct stat st;

	if (fstat(fd, &st) != 0) {
		seg_fail(err, errlen, "shared memory %s: %s", name, strerror(errno));
		return -1;
	}
	if (st.st_uid != geteuid())
		seg_fail(err, errlen, "shared memory %s belongs to another user (uid %lu); remove %s%s if nothing uses it, or choose another run_dir",
			name, (unsigned long)st.st_uid, SEG_DIR, name);
	else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof head || !io_pread_all(fd, &head, sizeof head, 0))
		seg_fail(err, errlen, "shared memory %s is truncated (%lld bytes); remove %s%s if nothing else uses it", name,
			(long long)st.st_size, SEG_DIR, name);
	else if (head.magic != SHM_MAGIC)
		seg_fail(err, errlen, "shared memory %s is not jobq's (bad magic); remove %s%s if nothing else uses it", name, SEG_DIR, name);
	else if (seg_owner_lives(&head))
		seg_fail(err, errlen, "shared memory %s belongs to running jobqd (pid %ld); stop it first", name, (long)head.owner_pid);
	else
		return 0;
	return -1;
}

/* Its daemon and all its workers are dead, perhaps at one blow: what programs they had started goes now. Another build's layout is
 * not guessed at. */
static void seg_end_programs(int fd)
{
	struct shm_header head;
	struct shm_slot *slot = xcalloc(1, sizeof *slot);

	if (io_pread_all(fd, &head, sizeof head, 0) && head.version == SHM_VERSION && head.table_hash == shm_names_hash()
		&& head.nqueues <= SEG_QUEUES_MAX && head.nslots <= SEG_SLOTS_MAX) {
		struct layout l = seg_layout(head.nqueues, head.nslots);
		for (uint32_t i = 0; i < head.nslots; i++)
			if (io_pread_all(fd, slot, sizeof *slot, (off_t)(l.slots + i * sizeof *slot)))
				(void)shm_program_kill(slot);
	}
	free(slot);
}

static int seg_remove_stale(const char *name, char *err, size_t errlen)
{
	int fd = shm_open(name, O_RDONLY, 0);

	if (fd < 0) {
		if (errno == ENOENT)
			return 0;
		seg_fail(err, errlen, "shared memory %s cannot be opened: %s; remove %s%s if nothing uses it, or choose another run_dir",
			name, strerror(errno), SEG_DIR, name);
		return -1;
	}
	int rc = seg_inspect(name, fd, err, errlen);
	if (rc == 0)
		seg_end_programs(fd);
	(void)close(fd);
	if (rc == 0 && shm_unlink(name) != 0 && errno != ENOENT) {
		seg_fail(err, errlen, "stale shared memory %s cannot be removed: %s", name, strerror(errno));
		rc = -1;
	}
	return rc;
}

static struct shm *seg_wrap(const char *name, struct shm_header *header, const struct layout *l, uint32_t nqueues, uint32_t nslots, bool writable)
{
	struct shm *shm = xcalloc(1, sizeof *shm);

	shm->header = header;
	shm->global = (struct shm_global *)(void *)((char *)header + l->global);
	shm->size = (size_t)l->size;
	shm->nqueues = nqueues;
	shm->nslots = nslots;
	shm->writable = writable;
	(void)snprintf(shm->name, sizeof shm->name, "%s", name);
	return shm;
}

static void seg_fill(struct shm_header *header, const struct layout *l, uint32_t nqueues, uint32_t nslots)
{
	header->magic = SHM_MAGIC;
	header->version = SHM_VERSION;
	header->table_hash = shm_names_hash();
	header->size = l->size;
	header->nqueues = nqueues;
	header->nslots = nslots;
	header->off_global = l->global;
	header->off_queues = l->queues;
	header->off_slots = l->slots;
	header->owner_pid = (int32_t)getpid();
	(void)seg_start_time(getpid(), &header->owner_start);
}

/* an unnamed object of that size, all of it reserved; -1 with the reason */
static int seg_unnamed(const char *name, uint64_t size, char *err, size_t errlen)
{
	int fd = open(SEG_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	int rc = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)size);

	if (fd >= 0 && rc == 0 && fchmod(fd, 0640) != 0) /* the umask has no say */
		rc = errno;
	if (rc == 0)
		return fd;
	seg_fail(err, errlen, "shared memory %s: cannot reserve %llu kB in %s: %s%s", name, (unsigned long long)(size / 1024), SEG_DIR,
		strerror(rc), rc == ENOSPC ? "; make room there (df " SEG_DIR "; in a container: --shm-size)" : "");
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static int seg_link(const char *name, int fd, char *err, size_t errlen)
{
	char from[64], to[96];

	(void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
	(void)snprintf(to, sizeof to, "%s%s", SEG_DIR, name);
	if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	seg_fail(err, errlen, "shared memory %s cannot be given its name: %s%s", name, strerror(errno),
		errno == EEXIST ? " (is another jobqd starting?)" : "");
	return -1;
}

struct shm *shm_seg_create(const char *name, uint32_t nqueues, uint32_t nslots, char *err, size_t errlen)
{
	if (nqueues > SEG_QUEUES_MAX || nslots > SEG_SLOTS_MAX || strlen(name) >= 64) {
		seg_fail(err, errlen, "shared memory %s: %u queues and %u processes are too many (at most %u and %u)", name, nqueues, nslots,
			SEG_QUEUES_MAX, SEG_SLOTS_MAX);
		return NULL;
	}
	if (seg_remove_stale(name, err, errlen) != 0)
		return NULL;

	struct layout l = seg_layout(nqueues, nslots);
	int fd = seg_unnamed(name, l.size, err, errlen);
	if (fd < 0)
		return NULL;
	struct shm_header *header = mmap(NULL, (size_t)l.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED) {
		seg_fail(err, errlen, "shared memory %s: cannot map %llu bytes: %s", name, (unsigned long long)l.size, strerror(errno));
		(void)close(fd);
		return NULL;
	}
	seg_fill(header, &l, nqueues, nslots);
	int rc = seg_link(name, fd, err, errlen);
	(void)close(fd);
	if (rc != 0) {
		(void)munmap(header, (size_t)l.size);
		return NULL;
	}
	return seg_wrap(name, header, &l, nqueues, nslots, true);
}

void shm_seg_publish(struct shm *shm)
{
	atomic_store_explicit(&shm->header->ready, 1, memory_order_release);
}

/* `head` is a private copy: what is checked here cannot change under us */
static bool seg_check(const char *name, const struct shm_header *head, off_t size, char *err, size_t errlen)
{
	if (head->magic != SHM_MAGIC)
		seg_fail(err, errlen, "shared memory %s is not jobq's (bad magic)", name);
	else if (head->version != SHM_VERSION || head->table_hash != shm_names_hash())
		seg_fail(err, errlen, "shared memory %s is of another build of jobqd (layout %u, hash %08x; mine %u, %08x); use that build's jobqctl",
			name, head->version, head->table_hash, SHM_VERSION, shm_names_hash());
	else if (!seg_owner_lives(head))
		seg_fail(err, errlen, "shared memory %s was left behind by a jobqd (pid %ld) that is dead; start jobqd", name, (long)head->owner_pid);
	else if (atomic_load_explicit(&head->ready, memory_order_relaxed) != 1)
		seg_fail(err, errlen, "shared memory %s is not ready: jobqd (pid %ld) is starting", name, (long)head->owner_pid);
	else if (head->nqueues > SEG_QUEUES_MAX || head->nslots > SEG_SLOTS_MAX)
		seg_fail(err, errlen, "shared memory %s is damaged (%u queues, %u slots)", name, head->nqueues, head->nslots);
	else {
		struct layout l = seg_layout(head->nqueues, head->nslots);
		if (head->off_global == l.global && head->off_queues == l.queues && head->off_slots == l.slots && head->size == l.size
			&& size >= 0 && (uint64_t)size == l.size)
			return true;
		seg_fail(err, errlen, "shared memory %s is damaged or truncated (%lld bytes, not %llu)", name, (long long)size,
			(unsigned long long)l.size);
	}
	return false;
}

struct shm *shm_seg_attach(const char *name, char *err, size_t errlen)
{
	struct shm_header head;
	struct stat st;
	struct shm *shm = NULL;
	int fd = shm_open(name, O_RDONLY, 0);

	if (fd < 0) {
		seg_fail(err, errlen, "shared memory %s: %s", name, strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof head || !io_pread_all(fd, &head, sizeof head, 0)) {
		seg_fail(err, errlen, "shared memory %s is truncated", name);
	} else if (seg_check(name, &head, st.st_size, err, errlen)) {
		struct layout l = seg_layout(head.nqueues, head.nslots);
		void *map = mmap(NULL, (size_t)l.size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			seg_fail(err, errlen, "shared memory %s: cannot map %llu bytes: %s", name, (unsigned long long)l.size, strerror(errno));
		else
			shm = seg_wrap(name, map, &l, head.nqueues, head.nslots, false);
	}
	(void)close(fd);
	return shm;
}

void shm_seg_detach(struct shm *shm)
{
	if (shm == NULL)
		return;
	(void)munmap(shm->header, shm->size);
	free(shm);
}

void shm_seg_unlink(struct shm *shm)
{
	if (shm->writable && shm->header->owner_pid == (int32_t)getpid())
		(void)shm_unlink(shm->name); /* gone already: what we wanted */
}

struct shm_queue *shm_queue_at(const struct shm *shm, uint32_t index)
{
	if (index >= shm->nqueues)
		return NULL;
	struct layout l = seg_layout(shm->nqueues, shm->nslots);
	return (struct shm_queue *)(void *)((char *)shm->header + l.queues) + index;
}

struct shm_slot *shm_slot_at(const struct shm *shm, uint32_t index)
{
	if (index >= shm->nslots)
		return NULL;
	struct layout l = seg_layout(shm->nqueues, shm->nslots);
	return (struct shm_slot *)(void *)((char *)shm->header + l.slots) + index;
}

uint32_t shm_queue_find(const struct shm *shm, const char *name)
{
	char text[SHM_CELL_TEXT];

	for (uint32_t i = 0; i < shm->nqueues; i++) {
		const struct shm_queue *queue = shm_queue_at(shm, i);
		if (atomic_load(&queue->used) != 0 && strcmp(shm_cell_get(&queue->name, text), name) == 0)
			return i;
	}
	return SHM_NO_QUEUE;
}
