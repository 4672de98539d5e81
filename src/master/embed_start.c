/*
 * master/embed_start.c: forks initdb and the postmaster, finds one that already runs, reads what it says of itself.
 *
 * Runs in the master. initdb works in data.tmp, which becomes data only when it has succeeded: an interrupted one is thrown
 * away and redone. It dies with the master and holds the pid file's lock, so no second initdb meets it. The postmaster is the
 * opposite: a session of its own, nothing inherited, meant to survive. Programs get a small environment of their own: ours
 * may hold secrets.
 */
#include "config.h"

#include "master/embed_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "jobq/exit.h"
#include "master/embed_pid.h"
#include "master/pidfile.h"
#include "master/spawn.h"

#define PID_FILE_MAX 8192

static char *const environment[] = {
	(char[]){"PATH=/usr/local/bin:/usr/bin:/bin"},
	(char[]){"LANG=C.UTF-8"},
	(char[]){"LC_ALL=C.UTF-8"},
	NULL,
};

/* in the fork: output into the log, no input, default signals; never returns */
static _Noreturn void run_program(const struct embed *e, const char *name, char *const *argv)
{
	int log = open(e->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char *path = xasprintf("%s/%s", e->bin_dir, name);

	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) {
		log_error("%s: cannot open its log %s: %s", name, e->log_path, strerror(errno));
		_exit(JOBQ_EXIT_PERMISSION);
	}
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL); /* what is ignored would stay ignored */
	(void)umask(0077);
	(void)execve(path, argv, environment);
	(void)fprintf(stderr, "jobqd: cannot run %s: %s\n", path, strerror(errno));
	_exit(JOBQ_EXIT_RUNTIME);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

pid_t master_embed_init(struct master *m)
{
	const struct embed *e = m->embed;
	pid_t pid = master_spawn_fork(m);

	if (pid != 0)
		return pid;
	(void)setsid(); /* a terminal's interrupt is ours to pass on; the master kills the group */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (m->lock_fd >= 0)
		(void)fcntl(m->lock_fd, F_SETFD, 0); /* it and its children hold the lock: no second master before they are gone */
	if (nftw(e->tmp_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
		log_error("cannot remove %s, left by an interrupted initdb: %s", e->tmp_dir, strerror(errno));
		_exit(JOBQ_EXIT_PERMISSION);
	}
	char *const argv[] = {
		(char[]){"initdb"}, (char[]){"-D"}, e->tmp_dir, (char[]){"-U"}, (char[]){"jobq_admin"}, (char[]){"--encoding=UTF8"},
		(char[]){"--locale=C.UTF-8"}, (char[]){"--data-checksums"}, (char[]){"--auth-local=peer"}, (char[]){"--auth-host=reject"},
		(char[]){"--no-instructions"}, NULL,
	};
	run_program(e, "initdb", argv);
}

bool master_embed_init_finish(struct embed *e, char *err, size_t errlen)
{
	static const char include[] = "\ninclude = 'jobq.conf' # jobqd's settings, then local.conf\n";
	char *path = xasprintf("%s/postgresql.conf", e->tmp_dir);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	bool good = fd >= 0 && io_write_all(fd, include, sizeof include - 1) && fsync(fd) == 0;

	if (fd >= 0)
		good = close(fd) == 0 && good;
	good = good && rename(e->tmp_dir, e->data_dir) == 0;
	if (!good)
		(void)snprintf(err, errlen, "cannot finish %s: %s", e->data_dir, strerror(errno));
	free(path);
	return good;
}

pid_t master_embed_start(struct master *m)
{
	const struct embed *e = m->embed;
	pid_t pid = master_spawn_fork(m);

	if (pid != 0)
		return pid;
	(void)setsid();
	char *const argv[] = {(char[]){"postgres"}, (char[]){"-D"}, e->data_dir, NULL};
	run_program(e, "postgres", argv);
}

static bool read_pid_file(const struct embed *e, struct embed_pid *out)
{
	char *path = xasprintf("%s/postmaster.pid", e->data_dir);
	struct buf text = {0};
	bool good = io_read_file(path, PID_FILE_MAX, &text) == 0 && master_embed_pid_parse(buf_str(&text), text.len, out);

	buf_free(&text);
	free(path);
	return good;
}

/* Is this pid a postgres that works in our data directory? */
static bool is_ours(const struct embed *e, pid_t pid)
{
	char path[64], cwd[1024], *real = realpath(e->data_dir, NULL);

	(void)snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
	ssize_t n = readlink(path, cwd, sizeof cwd - 1);
	bool ours = real != NULL && n > 0 && (size_t)n < sizeof cwd - 1;
	if (ours) {
		cwd[n] = '\0';
		ours = strcmp(cwd, real) == 0;
	}
	free(real);
	return ours && master_pidfile_alive(pid);
}

/* A pid file whose number somebody else has by now (or a zombie) would keep PostgreSQL from starting for ever. Its own guard
 * is the shared memory segment: nobody attached means nobody left. */
static void remove_recycled(const struct embed *e, const struct embed_pid *said)
{
	struct shmid_ds segment;

	if ((kill(said->pid, 0) != 0 && errno == ESRCH) || (said->shm_id >= 0 && shmctl(said->shm_id, IPC_STAT, &segment) == 0 && segment.shm_nattch > 0))
		return; /* dead: PostgreSQL sees that itself; attached: backends of a killed postmaster still live */
	char *path = xasprintf("%s/postmaster.pid", e->data_dir);
	log_warn("%s names pid %ld, which is not PostgreSQL any more: removed", path, (long)said->pid);
	(void)unlink(path);
	free(path);
}

bool master_embed_adopt(struct embed *e)
{
	struct embed_pid said;

	if (!read_pid_file(e, &said))
		return false;
	if (!is_ours(e, said.pid)) {
		remove_recycled(e, &said);
		return false;
	}
	e->pid = said.pid;
	e->adopted = true;
	return true;
}

bool master_embed_ready(const struct embed *e, char *doing, size_t size)
{
	struct embed_pid said;
	bool read = read_pid_file(e, &said) && said.pid == e->pid;

	(void)text_copy(doing, size, read ? said.status : "");
	return read && strcmp(said.status, "ready") == 0;
}

void master_embed_log_tail(const struct embed *e, char *dst, size_t size)
{
	char text[2048];
	int fd = open(e->log_path, O_RDONLY | O_CLOEXEC);
	off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	off_t from = end > (off_t)sizeof text ? end - (off_t)sizeof text : 0;
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof text, from) : 0;

	if (fd >= 0)
		(void)close(fd);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	ssize_t begin = n > 0 ? n : 0;
	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	(void)text_clean(dst, size, text + begin, n > begin ? (size_t)(n - begin) : 0);
}
