/*
 * master/embed.c: supervises the private PostgreSQL: the state machine that docs/processes.md draws.
 *
 * Runs in the master's step; speaks no SQL, waits for nothing. It owns slot 1 of shared memory. A postmaster that is ours dies
 * by SIGCHLD; one that was adopted is looked at. A death is followed by a start with backoff, for ever: the database being
 * away is a state. Only an initdb that fails at the first start ends the daemon, since nothing can come of it.
 */
#include "config.h"

#include "master/embed.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobq/exit.h"
#include "master/embed_parts.h"
#include "master/pidfile.h"
#include "master/reap.h"
#include "master/slot.h"
#include "master/spawn.h"
#include "master/watch.h"
#include "shm/cell.h"
#include "shm/seg.h"

#define RETRY_NS (2 * NS_PER_S)
#define STOP_NS (60 * NS_PER_S)      /* for a fast shutdown's checkpoint */
#define DISPATCH_NS (15 * NS_PER_S)  /* the dispatcher does not wait longer for the first start */
#define SOCKET_NAME "/.s.PGSQL.5432" /* and ".lock" behind it */

static const char *const bin_patterns[] = {"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql-*/bin"};
#define BIN_PATTERNS (sizeof bin_patterns / sizeof bin_patterns[0])

static char *conninfo(const struct embed *e, const char *database, const char *user)
{
	char *host = master_embed_conf_quote(e->socket_dir);
	char *text = xasprintf("host=%s port=5432 dbname=%s user=%s", host, database, user);

	free(host);
	return text;
}

/* the programs that fit the data; an exit code */
static int find_programs(struct embed *e, char *err, size_t errlen)
{
	char bin[1024], other[1024];
	int data = master_embed_data_version(e->data_dir);

	if (data < 0) {
		(void)snprintf(err, errlen, "%s is there but is not a PostgreSQL data directory; move it away", e->data_dir);
		return JOBQ_EXIT_CONFIG;
	}
	master_embed_find(bin_patterns, BIN_PATTERNS, data, bin, sizeof bin);
	if (*bin != '\0') {
		e->bin_dir = xstrdup(bin);
		return JOBQ_EXIT_OK;
	}
	master_embed_find(bin_patterns, BIN_PATTERNS, 0, other, sizeof other);
	if (data == 0)
		(void)snprintf(err, errlen, "database = embedded, but no PostgreSQL 15 or newer is installed: apt-get install postgresql-15, or set "
		               "database to a server of your own");
	else if (*other == '\0')
		(void)snprintf(err, errlen, "%s was made by PostgreSQL %d, and none is installed: apt-get install postgresql-%d", e->data_dir, data, data);
	else
		(void)snprintf(err, errlen, "%s was made by PostgreSQL %d, but what is installed is %d (%s): apt-get install postgresql-%d, or upgrade "
		               "the data with pg_upgrade", e->data_dir, data, master_embed_version(other), other, data);
	return JOBQ_EXIT_CONFIG;
}

static int check_paths(const struct embed *e, char *err, size_t errlen)
{
	if (strlen(e->socket_dir) + strlen(SOCKET_NAME) > IO_SOCKET_PATH_MAX) {
		(void)snprintf(err, errlen, "run_dir is too long for PostgreSQL's socket %s%s (at most %d bytes)", e->socket_dir, SOCKET_NAME,
		               IO_SOCKET_PATH_MAX);
		return JOBQ_EXIT_CONFIG;
	}
	if (strpbrk(e->socket_dir, ",\"\n") != NULL) {
		(void)snprintf(err, errlen, "run_dir may hold no comma, quote or newline when the database is embedded: %s", e->socket_dir);
		return JOBQ_EXIT_CONFIG;
	}
	if ((mkdir(e->socket_dir, 0700) != 0 && errno != EEXIST) || chmod(e->socket_dir, 0700) != 0) {
		(void)snprintf(err, errlen, "cannot make %s: %s", e->socket_dir, strerror(errno));
		return JOBQ_EXIT_PERMISSION;
	}
	return JOBQ_EXIT_OK;
}

int master_embed_open(struct master *m, char *err, size_t errlen)
{
	struct embed *e = xcalloc(1, sizeof *e);

	m->embed = e;
	e->data_dir = xasprintf("%s/data", m->state_dir);
	e->tmp_dir = xasprintf("%s/data.tmp", m->state_dir);
	e->log_path = xasprintf("%s/postgresql.log", m->state_dir);
	e->socket_dir = xasprintf("%s/pg", m->run_dir);
	e->admin_maintenance = conninfo(e, "postgres", "jobq_admin connect_timeout=10");
	e->admin_database = conninfo(e, "jobq", "jobq_admin connect_timeout=10");
	e->owner_database = conninfo(e, "jobq", "jobq_owner");
	e->database = conninfo(e, "jobq", "jobq_worker");
	int rc = find_programs(e, err, errlen);
	return rc == JOBQ_EXIT_OK ? check_paths(e, err, errlen) : rc;
}

void master_embed_close(struct master *m)
{
	struct embed *e = m->embed;

	if (e == NULL)
		return;
	free(e->bin_dir);
	free(e->data_dir);
	free(e->tmp_dir);
	free(e->log_path);
	free(e->socket_dir);
	free(e->admin_maintenance);
	free(e->admin_database);
	free(e->owner_database);
	free(e->database);
	free(e);
	m->embed = NULL;
}

/* --- slot 1 */

static void slot_begins(struct master *m, const struct embed *e)
{
	struct shm_slot *slot = shm_slot_at(m->shm, SLOT_POSTGRES);

	master_slot_own(m, SLOT_POSTGRES, ROLE_POSTGRES);
	atomic_store(&slot->pid, (uint32_t)e->pid);
	atomic_store(&slot->started_mono_ns, e->started_ns);
	atomic_store(&slot->rss_bytes, master_watch_rss(e->pid));
	atomic_store(&slot->beat_mono_ns, e->started_ns);
	atomic_store(&slot->restarts, e->restarts);
	shm_cell_set(&slot->doing, "");
	master_slot_obituary(slot, &e->last);
	atomic_store(&slot->state, PROC_STARTING);
}

static void slot_state(struct master *m, uint32_t state, const char *doing)
{
	struct shm_slot *slot = shm_slot_at(m->shm, SLOT_POSTGRES);
	char old[SHM_CELL_TEXT];

	if (strcmp(shm_cell_get(&slot->doing, old), doing) != 0)
		shm_cell_set(&slot->doing, doing);
	if (atomic_load(&slot->state) != state)
		atomic_store(&slot->state, state);
}

/* --- its life */

static void postgres_died(struct master *m, struct embed *e, int status, bool known)
{
	char cause[64] = "unknown cause (it was adopted)", tail[256];
	struct shm_slot *slot = shm_slot_at(m->shm, SLOT_POSTGRES);
	struct master_death death = {.now_ns = clock_mono_ns(), .lived_ns = clock_mono_ns() - e->started_ns, .code = -1,
	                             .worked = e->state == EMBED_UP, .counted = !e->stopping};
	char doing[SHM_CELL_TEXT];

	master_reap_fill(&e->last, status, shm_cell_get(&slot->doing, doing));
	if (known)
		(void)master_reap_cause(&e->last, cause);
	master_embed_log_tail(e, tail, sizeof tail);
	if (e->stopping)
		log_info("postgres stopped: pid=%ld %s", (long)e->pid, cause);
	else
		log_warn("postgres died: %s; pid=%ld uptime=%.3fs; last line of %s: %s", cause, (long)e->pid,
		         (double)death.lived_ns / (double)NS_PER_S, e->log_path, tail);
	e->pid = 0;
	e->adopted = false;
	e->state = e->stopping ? EMBED_STOPPED : EMBED_DOWN;
	e->due_ns = death.now_ns + master_backoff_died(&e->backoff, &death);
	e->restarts++;
	master_slot_obituary(slot, &e->last);
	slot_state(m, e->backoff.hold != MASTER_HOLD_NONE ? PROC_CRASH_LOOP : PROC_DEAD, "");
}

static void initdb_ended(struct master *m, struct embed *e, int status)
{
	char err[512] = "", tail[256];
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && master_embed_init_finish(e, err, sizeof err);

	e->state = EMBED_DOWN;
	e->due_ns = 0;
	if (good) {
		log_info("initdb has made %s", e->data_dir);
		return;
	}
	if (m->phase != PHASE_RUN || e->stopping) {
		log_info("initdb was cut short by the stop; it is redone at the next start");
		return;
	}
	master_embed_log_tail(e, tail, sizeof tail);
	log_error("initdb failed: %s (see %s)", *err != '\0' ? err : tail, e->log_path);
	e->due_ns = clock_mono_ns() + RETRY_NS;
	if (!m->serving) {
		if (m->daemon)
			(void)fprintf(stderr, "jobqd: initdb failed: %s (see %s)\n", *err != '\0' ? err : tail, e->log_path);
		m->exit_code = JOBQ_EXIT_RUNTIME;
		m->marks.stop = m->marks.stop_now = true;
	}
}

static void boot_ended(struct master *m, struct embed *e, int status)
{
	if (e->state != EMBED_BOOT)
		return; /* PostgreSQL died meanwhile */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		e->due_ns = clock_mono_ns() + RETRY_NS;
		return;
	}
	log_info("PostgreSQL is ready: pid=%ld socket=%s", (long)e->pid, e->socket_dir);
	e->state = EMBED_UP;
	e->was_up = true;
	master_backoff_worked(&e->backoff);
	slot_state(m, PROC_READY, "");
}

bool master_embed_reaped(struct master *m, pid_t pid, int status)
{
	struct embed *e = m->embed;

	if (pid == e->pid && !e->adopted) {
		postgres_died(m, e, status, true);
	} else if (pid == e->helper) {
		e->helper = 0;
		if (e->state == EMBED_INIT)
			initdb_ended(m, e, status);
		else
			boot_ended(m, e, status);
	} else {
		return false;
	}
	return true;
}

static void step_down(struct master *m, struct embed *e)
{
	char err[512];

	if (e->stopping) {
		e->state = EMBED_STOPPED;
		return;
	}
	if (clock_mono_ns() < e->due_ns)
		return;
	e->due_ns = clock_mono_ns() + RETRY_NS; /* if this try comes to nothing */
	if (master_embed_data_version(e->data_dir) == 0) {
		if (m->phase != PHASE_RUN)
			return;
		log_info("initdb makes %s", e->data_dir);
		e->helper = master_embed_init(m);
		e->state = e->helper > 0 ? EMBED_INIT : EMBED_DOWN;
	} else if (master_embed_adopt(e)) {
		log_info("PostgreSQL is already running, adopted: pid=%ld", (long)e->pid);
		e->state = EMBED_START;
	} else if (!master_embed_conf_write(e, err, sizeof err)) {
		log_error("%s", err);
	} else if ((e->pid = master_embed_start(m)) > 0) {
		log_info("PostgreSQL starts: pid=%ld data=%s", (long)e->pid, e->data_dir);
		e->state = EMBED_START;
	} else {
		e->pid = 0;
	}
	if (e->state == EMBED_START) {
		e->started_ns = clock_mono_ns();
		slot_begins(m, e);
	}
}

static void step_start(struct master *m, struct embed *e)
{
	char doing[SHM_CELL_TEXT];
	bool ready = master_embed_ready(e, doing, sizeof doing);

	slot_state(m, PROC_STARTING, doing);
	if (!ready)
		return;
	e->state = EMBED_BOOT;
	e->due_ns = 0;
}

static void step_boot(struct master *m, struct embed *e)
{
	if (e->helper != 0 || e->stopping || clock_mono_ns() < e->due_ns)
		return;
	pid_t pid = master_spawn_fork(m);
	if (pid == 0) {
		master_spawn_helper();
		master_spawn_leave(master_embed_boot(e));
	}
	if (pid > 0)
		e->helper = pid;
	else
		e->due_ns = clock_mono_ns() + RETRY_NS;
}

static void step_stopping(struct embed *e)
{
	if (e->helper != 0)
		(void)kill(e->state == EMBED_INIT ? -e->helper : e->helper, SIGKILL);
	if (e->pid == 0 || e->killed || clock_mono_ns() < e->stop_deadline_ns)
		return;
	log_error("PostgreSQL did not stop within %d s: immediate shutdown, it will recover at its next start", (int)(STOP_NS / NS_PER_S));
	e->killed = true;
	(void)kill(e->pid, SIGQUIT);
}

void master_embed_step(struct master *m)
{
	struct embed *e = m->embed;

	if (e->pid != 0 && e->adopted && !master_pidfile_alive(e->pid))
		postgres_died(m, e, 0, false);
	if (e->state == EMBED_INIT && m->phase != PHASE_RUN && e->helper != 0)
		(void)kill(-e->helper, SIGKILL);
	if (e->stopping)
		step_stopping(e);
	if (e->state == EMBED_DOWN && e->helper == 0)
		step_down(m, e);
	else if (e->state == EMBED_START)
		step_start(m, e);
	else if (e->state == EMBED_BOOT)
		step_boot(m, e);
}

void master_embed_stop(struct master *m)
{
	struct embed *e = m->embed;

	if (e->stopping)
		return;
	e->stopping = true;
	e->stop_deadline_ns = clock_mono_ns() + STOP_NS;
	if (e->pid == 0)
		return;
	log_info("stopping PostgreSQL: pid=%ld", (long)e->pid);
	slot_state(m, PROC_DRAINING, "stopping");
	(void)kill(e->pid, SIGINT);
}

bool master_embed_gone(const struct master *m)
{
	return m->embed->state == EMBED_STOPPED && m->embed->helper == 0 && m->embed->pid == 0;
}

bool master_embed_may_dispatch(const struct master *m)
{
	return m->embed->was_up || clock_mono_ns() - m->started_ns >= DISPATCH_NS;
}

bool master_embed_busy(const struct embed *e)
{
	return e->stopping || e->state == EMBED_INIT || e->state == EMBED_START || (e->state == EMBED_BOOT && e->helper != 0);
}

const char *master_embed_state(const struct embed *e)
{
	static const char *const names[] = {"down", "init", "start", "boot", "up", "stopped"};

	return names[e->state];
}

const char *master_embed_database(const struct embed *e)
{
	return e->database;
}

const char *master_embed_owner_database(const struct embed *e)
{
	return e->owner_database;
}
