/*
 * jobqctl/client.c: one request, one reply.
 *
 * The socket does not block; every wait is a poll with what is left of the deadline. A reply that is not what the protocol
 * says (too long, no JSON, another shape) is an error with a text, never believed. After any failure but the daemon's own
 * "no" the connection is closed, so that a late answer cannot be taken for the next one's.
 */
#include "config.h"

#include "jobqctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"

#define REPLY_MAX (64u << 20)
#define READ_SIZE 65536u

void client_init(struct client *client, const char *path)
{
	memset(client, 0, sizeof *client);
	client->path = path;
	client->timeout_ms = 10000;
	client->fd = -1;
}

static void disconnect(struct client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	client->fd = -1;
	buf_reset(&client->in);
}

void client_close(struct client *client)
{
	disconnect(client);
	buf_free(&client->in);
	free(client->error);
	client->error = NULL;
}

__attribute__((format(printf, 3, 4))) static enum client_result failed(struct client *client, enum client_result result, const char *format, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = xstrdup("out of memory");
	va_end(ap);
	free(client->error);
	client->error = text;
	if (result != CLIENT_ERROR || client->code[0] == '\0')
		disconnect(client);
	return result;
}

static const char *reason(int code)
{
	switch (code) {
	case ENOENT: return "no such file";
	case ECONNREFUSED: return "connection refused";
	case EACCES: return "permission denied";
	default: return strerror(code);
	}
}

static enum client_result reach(struct client *client)
{
	if (client->fd >= 0)
		return CLIENT_OK;
	client->fd = io_unix_connect(client->path);
	if (client->fd >= 0)
		return CLIENT_OK;
	client->connect_errno = errno;
	if (errno == EAGAIN)
		return failed(client, CLIENT_SILENT, "jobqd at %s does not take connections", client->path);
	return failed(client, CLIENT_AWAY, "cannot reach jobqd at %s: %s (%s)", client->path, reason(client->connect_errno),
		client->connect_errno == EACCES ? "its group may read: ask for membership" : "is it running? systemctl status jobqd");
}

/* 1 ready, 0 the deadline has passed, -1 error */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - clock_mono_ns();
		if (left <= 0)
			return 0;
		struct pollfd pfd = {.fd = fd, .events = events};
		int rc = poll(&pfd, 1, (int)((left + NS_PER_MS - 1) / NS_PER_MS));
		if (rc > 0 || (rc < 0 && errno != EINTR))
			return rc;
	}
}

static enum client_result broken(struct client *client, const char *what)
{
	client->code[0] = '\0';
	return failed(client, CLIENT_ERROR, "jobqd at %s %s", client->path, what);
}

static enum client_result silent(struct client *client)
{
	return failed(client, CLIENT_SILENT, "jobqd at %s has not answered within %d s (is it stopped, or very busy?)", client->path,
		(client->timeout_ms + 999) / 1000);
}

static enum client_result send_line(struct client *client, const char *data, size_t len, int64_t deadline)
{
	while (len > 0) {
		ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return broken(client, "closed the connection");
		} else {
			int rc = wait_for(client->fd, POLLOUT, deadline);
			if (rc <= 0)
				return rc == 0 ? silent(client) : broken(client, "closed the connection");
		}
	}
	return CLIENT_OK;
}

/* Reads until `in` holds a line; *len is its length without the newline. */
static enum client_result read_line(struct client *client, size_t *len, int64_t deadline)
{
	size_t seen = 0;

	for (;;) {
		const char *end = client->in.len > seen ? memchr(client->in.data + seen, '\n', client->in.len - seen) : NULL;
		if (end != NULL) {
			*len = (size_t)(end - client->in.data);
			return CLIENT_OK;
		}
		seen = client->in.len;
		if (seen > REPLY_MAX)
			return broken(client, "answers more than 64 MB");
		int rc = wait_for(client->fd, POLLIN, deadline);
		if (rc <= 0)
			return rc == 0 ? silent(client) : broken(client, "closed the connection");
		buf_reserve(&client->in, READ_SIZE);
		ssize_t n = recv(client->fd, client->in.data + seen, READ_SIZE, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return broken(client, "closed the connection");
		if (n > 0)
			client->in.len += (size_t)n;
	}
}

static enum client_result understand(struct client *client, json_t *reply, json_t **result)
{
	const char *code = json_string_value(json_object_get(reply, "code"));
	const char *error = json_string_value(json_object_get(reply, "error"));

	if (json_is_true(json_object_get(reply, "ok"))) {
		*result = json_incref(json_object_get(reply, "result"));
		if (*result == NULL)
			*result = json_null();
		return CLIENT_OK;
	}
	if (!json_is_false(json_object_get(reply, "ok")) || code == NULL || error == NULL)
		return broken(client, "does not speak this protocol; use the jobqctl of its version");
	(void)text_copy(client->code, sizeof client->code, code);
	return failed(client, CLIENT_ERROR, "%s", error);
}

static enum client_result exchange(struct client *client, const char *line, size_t len, json_t **result)
{
	int64_t deadline = clock_mono_ns() + client->timeout_ms * NS_PER_MS;
	enum client_result rc = send_line(client, line, len, deadline);
	size_t got = 0;

	if (rc == CLIENT_OK)
		rc = read_line(client, &got, deadline);
	if (rc != CLIENT_OK)
		return rc;
	json_t *reply = json_loadb(client->in.data, got, 0, NULL);
	buf_drop(&client->in, got + 1);
	rc = json_is_object(reply) ? understand(client, reply, result) : broken(client, "answers what is not JSON");
	json_decref(reply);
	return rc;
}

enum client_result client_call(struct client *client, const char *verb, json_t *args, json_t **result)
{
	enum client_result rc = reach(client);
	json_t *request = json_pack("{s:i,s:s,s:o}", "v", 1, "cmd", verb, "args", args != NULL ? args : json_object());
	char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;

	*result = NULL;
	client->code[0] = '\0';
	if (line == NULL)
		rc = broken(client, "cannot be asked: the request is not UTF-8");
	if (rc == CLIENT_OK) {
		size_t len = strlen(line);
		line[len] = '\n'; /* in place of the NUL */
		rc = exchange(client, line, len + 1, result);
	}
	free(line);
	json_decref(request);
	return rc;
}
