/*
 * jobqctl/cmd_enqueue.c: `jobqctl enqueue`: one job, or one a line of a file.
 *
 * A file is checked to its end before the first line is sent; standard input is checked chunk by chunk as it comes, so it
 * may be endless. A chunk (500 lines, or 4 MB) is one statement in the database: all of it or nothing. When one fails, the
 * message says which lines it was and how far all is in, so that the rest can be sent again.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jobqctl/ctl.h"
#include "jobqctl/doc.h"
#include "jobqctl/jobline.h"

#define CHUNK_JOBS 500u
#define CHUNK_BYTES (4u << 20)
#define LINE_BYTES (8u << 20) /* a request is at most 16 MB, and quoting may double a line */

struct load { /* a file being enqueued */
	struct ctl *ctl;
	const char *name;
	FILE *file;
	struct buf chunk;         /* "[{…},{…}" */
	size_t line;              /* the last one read; 1.. */
	size_t first, last, jobs; /* of the chunk */
	size_t sent, existed;     /* jobs that are in, and those of them that were there before */
	size_t in_to;             /* all lines up to this one are in */
	json_t *results;          /* --json: of all chunks */
	bool dry;                 /* checking only */
};

static int tell(struct load *load)
{
	if (load->in_to == 0)
		return ctl_fail(CTL_ERROR, "nothing of %s is enqueued", load->name);
	return ctl_fail(CTL_ERROR, "lines 1 to %zu of %s are enqueued (%zu jobs), nothing after them", load->in_to, load->name, load->sent);
}

static int bad_line(struct load *load, const char *why)
{
	(void)ctl_fail(CTL_ERROR, "%s:%zu: %s", load->name, load->line, why);
	return tell(load);
}

static int keep_results(struct load *load, const json_t *result)
{
	const json_t *list = json_object_get(result, "results");
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		load->existed += json_is_false(json_object_get(one, "created"));
		if (load->results == NULL)
			continue;
		json_t *copy = json_copy(one);
		if (json_object_set_new(copy, "n", json_integer((json_int_t)(load->sent + i + 1))) != 0
			|| json_array_append_new(load->results, copy) != 0)
			return ctl_fail(CTL_ERROR, "out of memory");
	}
	return CTL_OK;
}

static int flush(struct load *load)
{
	json_t *result;
	int code;

	if (load->jobs == 0)
		return CTL_OK;
	if (!load->dry) {
		buf_putc(&load->chunk, ']');
		code = ctl_call(load->ctl, json_pack("{s:s%}", "jobs", buf_str(&load->chunk), load->chunk.len), &result);
		if (code != CTL_OK) {
			(void)ctl_fail(code, "%s:%zu-%zu: not enqueued", load->name, load->first, load->last);
			(void)tell(load);
			return code;
		}
		code = keep_results(load, result);
		json_decref(result);
		if (code != CTL_OK)
			return code;
		load->sent += load->jobs;
		load->in_to = load->last;
	}
	load->jobs = 0;
	buf_reset(&load->chunk);
	return CTL_OK;
}

static int take_line(struct load *load, const char *line, size_t len)
{
	char err[512];

	if (len > LINE_BYTES)
		return bad_line(load, "longer than 8 MB");
	if (strspn(line, " \t\r\n") == len)
		return CTL_OK; /* an empty line is none */
	buf_putc(&load->chunk, load->jobs == 0 ? '[' : ',');
	if (jobline_add(&load->chunk, line, len, load->ctl->args.sent, err, sizeof err) != 0)
		return bad_line(load, err);
	if (load->jobs++ == 0)
		load->first = load->line;
	load->last = load->line;
	return load->jobs >= CHUNK_JOBS || load->chunk.len >= CHUNK_BYTES ? flush(load) : CTL_OK;
}

static int pass(struct load *load)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int code = CTL_OK;

	load->line = 0;
	while (code == CTL_OK && (len = getline(&line, &room, load->file)) >= 0) {
		load->line++;
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		code = take_line(load, line, (size_t)len);
	}
	if (code == CTL_OK && ferror(load->file) != 0)
		code = ctl_fail(CTL_ERROR, "%s: %s", load->name, strerror(errno));
	if (code == CTL_OK)
		code = flush(load);
	free(line);
	return code;
}

static int report(struct load *load)
{
	if (load->results != NULL) {
		json_t *doc = json_pack("{s:O}", "results", load->results);
		int code = ctl_json(doc);
		json_decref(doc);
		return code;
	}
	printf("%zu jobs enqueued", load->sent - load->existed);
	if (load->existed > 0)
		printf(", %zu existed already", load->existed);
	putchar('\n');
	return ctl_done();
}

static int enqueue_file(struct ctl *ctl, const char *path)
{
	bool from_stdin = strcmp(path, "-") == 0;
	struct load load = {.ctl = ctl, .name = from_stdin ? "stdin" : path, .file = from_stdin ? stdin : fopen(path, "re")};
	struct stat st;
	int code = CTL_OK;

	if (load.file == NULL || fstat(fileno(load.file), &st) != 0)
		return ctl_fail(CTL_ERROR, "%s: %s", path, strerror(errno));
	if (ctl->args.json)
		load.results = json_array();
	if (S_ISREG(st.st_mode) && ftello(load.file) == 0) {
		load.dry = true;
		code = pass(&load);
		load.dry = false;
		if (code == CTL_OK && fseeko(load.file, 0, SEEK_SET) != 0)
			code = ctl_fail(CTL_ERROR, "%s: %s", path, strerror(errno));
	}
	if (code == CTL_OK)
		code = pass(&load);
	if (code == CTL_OK)
		code = report(&load);
	if (!from_stdin)
		(void)fclose(load.file); /* was only read */
	json_decref(load.results);
	buf_free(&load.chunk);
	return code;
}

static int enqueue_one(struct ctl *ctl, const char *payload)
{
	struct buf text = {0};
	char err[512];
	json_t *result;

	buf_putc(&text, '[');
	if (jobline_single(&text, payload, ctl->args.sent, err, sizeof err) != 0) {
		buf_free(&text);
		return ctl_fail(CTL_USAGE, "the payload is %s", err);
	}
	buf_putc(&text, ']');
	int code = ctl_call(ctl, json_pack("{s:s%}", "jobs", buf_str(&text), text.len), &result);
	buf_free(&text);
	if (code != CTL_OK)
		return code;
	const json_t *one = json_array_get(json_object_get(result, "results"), 0);
	if (ctl->args.json) {
		code = ctl_json(result);
	} else {
		if (json_is_false(json_object_get(one, "created")))
			(void)ctl_fail(CTL_OK, "this unique key has an unfinished job already");
		printf("%s\n", doc_text(one, "id"));
		code = ctl_done();
	}
	json_decref(result);
	return code;
}

int cmd_enqueue(struct ctl *ctl)
{
	const char *file = args_value(&ctl->args, "file");
	int code = ctl_words(ctl, file == NULL ? 1 : 0, file == NULL ? 2 : 1);

	if (code != CTL_OK)
		return code;
	if (ctl->args.nwords > 0 && json_object_set_new(ctl->args.sent, "queue", json_string(ctl->args.words[0])) != 0)
		return ctl_fail(CTL_USAGE, "the queue's name is not UTF-8");
	return file != NULL ? enqueue_file(ctl, file) : enqueue_one(ctl, ctl->args.nwords == 2 ? ctl->args.words[1] : NULL);
}
