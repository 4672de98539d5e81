/*
 * handlers/email_file.c: what an attachment holds: base64 of the payload, or a file beneath attachment_dir.
 *
 * Runs in workers. The path is a tenant's: the kernel itself (openat2, RESOLVE_BENEATH) keeps it beneath the directory, whatever
 * links, dots and renames it goes through, and only regular files are read, so neither a FIFO nor a device can hold the worker up.
 * Sizes are bounded before anything is read, and a file that grows meanwhile is cut off there. Fails with a reason that does not repeat
 * the path.
 */
#include "config.h"

#include "handlers/email_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum email_got email_file_fail(enum email_got what, char *err, size_t errlen, const char *why, int number)
{
	if (snprintf(err, errlen, "%s%s%s", why, number != 0 ? ": " : "", number != 0 ? strerror(number) : "") < 0)
		err[0] = '\0';
	return what;
}

enum email_got email_file_base64(const char *text, size_t len, size_t max, struct buf *out, char *err, size_t errlen)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	gint state = 0;
	guint save = 0;
	size_t letters = 0, blanks = 0, pad = 0;

	for (size_t i = 0; i < len; i++) {
		bool letter = text[i] != '\0' && strchr(alphabet, text[i]) != NULL;
		letters += letter;
		pad += text[i] == '=';
		blanks += text[i] == '\n' || text[i] == '\r';
		if (letter && pad > 0)
			return email_file_fail(EMAIL_NEVER, err, errlen, "its data_base64 goes on behind its end", 0);
	}
	if (letters + pad + blanks != len || (letters + pad) % 4 != 0 || pad > 2)
		return email_file_fail(EMAIL_NEVER, err, errlen, "its data_base64 is not base64 (RFC 4648, 4)", 0);
	if (letters / 4 * 3 + 3 > max)
		return email_file_fail(EMAIL_NEVER, err, errlen, "the attachments are too large for one message", 0);
	buf_reserve(out, letters / 4 * 3 + 3);
	out->len += g_base64_decode_step(text, len, (guchar *)out->data + out->len, &state, &save);
	return EMAIL_GOT;
}

static enum email_got email_file_refused(int number, char *err, size_t errlen)
{
	bool later = number == EAGAIN || number == EMFILE || number == ENFILE || number == ENOMEM || number == EIO || number == ESTALE
		|| number == EINTR;

	if (number == EXDEV)
		return email_file_fail(EMAIL_NEVER, err, errlen, "its file is not beneath attachment_dir", 0);
	return email_file_fail(later ? EMAIL_LATER : EMAIL_NEVER, err, errlen, "its file cannot be opened", number);
}

/* An open regular file of at most `max` bytes; -1 with *got and err. */
static int email_file_open(const char *dir, const char *path, size_t max, struct stat *st, enum email_got *got, char *err, size_t errlen)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0) {
		*got = email_file_fail(EMAIL_LATER, err, errlen, "attachment_dir cannot be opened", errno);
		return -1;
	}
	long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
	int number = errno;
	(void)close(root); /* nothing was written */
	if (fd < 0) {
		*got = email_file_refused(number, err, errlen);
		return -1;
	}
	*got = EMAIL_GOT;
	if (fstat((int)fd, st) != 0)
		*got = email_file_refused(errno, err, errlen);
	else if (!S_ISREG(st->st_mode))
		*got = email_file_fail(EMAIL_NEVER, err, errlen, "its file is no regular file", 0);
	else if ((uintmax_t)st->st_size > max)
		*got = email_file_fail(EMAIL_NEVER, err, errlen, "the attachments are too large for one message", 0);
	if (*got == EMAIL_GOT)
		return (int)fd;
	(void)close((int)fd);
	return -1;
}

enum email_got email_file_read(const char *dir, const char *path, size_t max, struct buf *out, char *err, size_t errlen)
{
	struct stat st;
	enum email_got got = EMAIL_GOT;

	if (*dir == '\0')
		return email_file_fail(EMAIL_NEVER, err, errlen, "it names a file, but the queue has no attachment_dir", 0);
	int fd = email_file_open(dir, path, max, &st, &got, err, errlen);
	if (fd < 0)
		return got;
	size_t want = (size_t)st.st_size, done = 0;
	buf_reserve(out, want + 1);
	while (done < want) {
		ssize_t n = read(fd, out->data + out->len, want - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			got = email_file_refused(errno, err, errlen);
		if (n <= 0)
			break; /* 0: it has become shorter; what is there is the file */
		out->len += (size_t)n;
		done += (size_t)n;
	}
	(void)close(fd);
	return got;
}
