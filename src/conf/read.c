/*
 * conf/read.c: files, sections and includes (see read.h).
 *
 * Runs where a configuration is read; blocks on files. Owns the stack of open includes during one call. Invariant: a setting
 * that reaches the list has a key of this version in its right section, is UTF-8 without control characters, and stands once
 * in a section of a file. An included file begins in the section of its %include; what it opens ends with it. After a problem
 * it reads on, so that one run reports them all.
 */
#include "config.h"

#include "conf/read.h"

#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/line.h"
#include "conf/near.h"

#define WHERE_MAX (PATH_MAX + 16)

struct place { /* the section that is being read */
	enum { PLACE_NONE, PLACE_SKIP, PLACE_PLAIN, PLACE_STAR, PLACE_NAMED } kind;
	enum conf_section section; /* of the last three */
	const char *queue; /* NAMED: the queue's or pool's name */
};

struct seen { /* a key of a section of a file */
	UT_hash_handle hh;
	const char *where;
	char id[];
};

struct file { /* one that is open, and who includes it */
	const struct file *parent;
	const char *path;
	unsigned depth, number;
	dev_t dev;
	ino_t ino;
};

struct reader {
	struct conf_raw *raw;
	struct seen *seen;
	unsigned files;
};

static void read_file(struct reader *r, const char *path, const struct file *parent, const char *where, struct place place);

/* [queue NAME] or [pool NAME], for the first time or again. */
static void open_named(struct reader *r, struct place *place, const char *name, const char *where)
{
	struct conf_raw *raw = r->raw;
	bool pool = place->section == CONF_IN_POOL;
	struct conf_raw_named *list = pool ? raw->pools : raw->queues;
	size_t *n = pool ? &raw->npools : &raw->nqueues, most = pool ? CONF_POOLS_MAX - 1 : CONF_QUEUES_MAX;
	const char *what = conf_sections[place->section].name;

	if (strcmp(name, "*") == 0) {
		place->kind = PLACE_STAR;
		return;
	}
	if (!text_is_queue_name(name)) {
		conf_errors_add(raw->errors, where, strcmp(name, "system") == 0 ? "the %1$s name \"%2$s\" is reserved" :
			"\"%2$s\" is not a %1$s name: a small letter, then up to 62 of a-z 0-9 _ . -", what, name);
		return;
	}
	place->kind = PLACE_NAMED;
	for (size_t i = 0; i < *n; i++)
		if (strcmp(list[i].name, name) == 0) {
			place->queue = list[i].name;
			return;
		}
	if (*n == most) {
		conf_errors_add(raw->errors, where, "%s \"%s\" is one too many: at most %zu", what, name, most);
		place->kind = PLACE_SKIP;
		return;
	}
	place->queue = conf_keep_text(raw->keep, name, strlen(name));
	list[*n].name = place->queue;
	list[(*n)++].where = conf_keep_text(raw->keep, where, strlen(where));
}

static void open_section(struct reader *r, struct place *place, const char *name, const char *arg, const char *where)
{
	struct conf_errors *errors = r->raw->errors;
	char near[CONF_NEAR_MAX];
	size_t i = 0;

	while (i < CONF_SECTION_COUNT && strcmp(conf_sections[i].name, name) != 0)
		i++;
	*place = (struct place){.kind = PLACE_SKIP, .section = (enum conf_section)i};
	if (i == CONF_SECTION_COUNT)
		conf_errors_add(errors, where, "unknown section \"%s\"%s", name, conf_near_section(name, near, sizeof near));
	else if (!conf_sections[i].now)
		conf_errors_add(errors, where, "section \"%s\" is not in this version", name);
	else if (!conf_sections[i].named && *arg != '\0')
		conf_errors_add(errors, where, "section [%s] takes no name", name);
	else if (conf_sections[i].named && *arg == '\0')
		conf_errors_add(errors, where, "section [%s] needs a name: [%s NAME], or [%s *] for all", name, name, name);
	else if (i == CONF_IN_QUEUE || i == CONF_IN_POOL)
		open_named(r, place, arg, where);
	else
		place->kind = PLACE_PLAIN;
}

/* Tells that the key is wrong here, and where it is right. */
static void wrong_key(struct reader *r, const struct place *place, const char *name, const char *where)
{
	const char *of = conf_sections[place->section].name, *which = "";
	char near[CONF_NEAR_MAX];

	if (place->kind != PLACE_PLAIN)
		which = place->kind == PLACE_STAR ? " *" : conf_keep_printf(r->raw->keep, " %s", place->queue);
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_section_row *other = &conf_sections[conf_table[i].section];

		if (strcmp(conf_table[i].name, name) == 0 && other->now) {
			conf_errors_add(r->raw->errors, where, "key \"%s\" does not belong in [%s%s] but in [%s%s]", name, of, which,
				other->name, other->named ? " NAME" : "");
			return;
		}
	}
	conf_errors_add(r->raw->errors, where, "unknown key \"%s\" in [%s%s]%s", name, of, which,
		conf_near_key(place->section, name, near, sizeof near));
}

/* True if the key stands for the first time in this section of this file. */
static bool is_first(struct reader *r, const struct file *file, const struct place *place, const char *name, const char *where)
{
	struct seen *seen;
	char id[192];
	int n = snprintf(id, sizeof id, "%u %d %d %s %s", file->number, (int)place->kind, (int)place->section, place->queue ? place->queue : "", name);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len >= sizeof id)
		len = sizeof id - 1;
	HASH_FIND(hh, r->seen, id, len, seen);
	if (seen != NULL) {
		conf_errors_add(r->raw->errors, where, "key \"%s\" is given twice; first at %s", name, seen->where);
		return false;
	}
	seen = xmalloc(sizeof *seen + len + 1);
	memcpy(seen->id, id, len + 1);
	seen->where = where;
	HASH_ADD_KEYPTR(hh, r->seen, seen->id, len, seen);
	return true;
}

static void add_key(struct reader *r, const struct file *file, const struct place *place, const struct conf_line *line,
	const char *where)
{
	struct conf_raw *raw = r->raw;
	const struct conf_key *key;

	where = conf_keep_text(raw->keep, where, strlen(where));
	if (place->kind == PLACE_NONE)
		conf_errors_add(raw->errors, where, "key \"%s\" stands before the first [section]", line->name);
	if (place->kind == PLACE_NONE || place->kind == PLACE_SKIP)
		return;
	key = conf_table_key(place->section, line->name);
	if (key == NULL) {
		wrong_key(r, place, line->name, where);
	} else if (!key->now) {
		conf_errors_add(raw->errors, where, "key \"%s\" is not in this version", line->name);
	} else if (conf_table_several(key) || is_first(r, file, place, line->name, where)) {
		conf_raw_add(raw, key, place->kind == PLACE_STAR ? CONF_LAYER_STAR : CONF_LAYER_SECTION, place->queue,
			conf_keep_text(raw->keep, line->arg, strlen(line->arg)), where);
	}
}

static void include(struct reader *r, const struct file *file, const char *pattern, const char *where, struct place place)
{
	struct conf_errors *errors = r->raw->errors;
	char *dir = xstrdup(file->path), *full;
	glob_t found;
	int rc;

	full = *pattern == '/' ? xstrdup(pattern) : xasprintf("%s/%s", dirname(dir), pattern);
	rc = glob(full, GLOB_ERR, NULL, &found);
	if (rc == GLOB_NOMATCH || (rc == GLOB_ABORTED && errno == ENOENT)) {
		if (strpbrk(pattern, "*?[") == NULL)
			conf_errors_add(errors, where, "cannot include %s: %s", full, strerror(ENOENT));
	} else if (rc != 0) {
		conf_errors_add(errors, where, "cannot include %s: %s", full, rc == GLOB_NOSPACE ? "out of memory" : strerror(errno));
	} else {
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(r, found.gl_pathv[i], file, where, place);
	}
	if (rc == 0)
		globfree(&found);
	free(full);
	free(dir);
}

static void read_line(struct reader *r, const struct file *file, char *text, size_t len, unsigned number, struct place *place)
{
	struct conf_errors *errors = r->raw->errors;
	const char *problem = conf_line_problem(text, len);
	char where[WHERE_MAX];
	struct conf_line line;

	if (snprintf(where, sizeof where, "%s:%u", file->path, number) < 0)
		where[0] = '\0';
	if (problem != NULL) {
		conf_errors_add(errors, where, "the line %s", problem);
		return;
	}
	line = conf_line_parse(text);
	if (line.kind == CONF_LINE_BAD)
		conf_errors_add(errors, where, "%s", line.arg);
	else if (line.kind == CONF_LINE_SECTION)
		open_section(r, place, line.name, line.arg, where);
	else if (line.kind == CONF_LINE_INCLUDE)
		include(r, file, line.arg, where, *place);
	else if (line.kind == CONF_LINE_KEY)
		add_key(r, file, place, &line, where);
}

static void read_text(struct reader *r, const struct file *file, struct buf *buf, struct place place)
{
	static const char bom[] = "\xef\xbb\xbf";
	char *at, *end;

	buf_putc(buf, '\n');
	at = buf->data;
	end = buf->data + buf->len;
	if (buf->len >= 3 && memcmp(at, bom, 3) == 0)
		at += 3;
	for (unsigned number = 1; at < end; number++) {
		char *eol = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)(eol - at);

		if (len > 0 && at[len - 1] == '\r')
			len--;
		at[len] = '\0';
		read_line(r, file, at, len, number, &place);
		at = eol + 1;
	}
}

/* False: it must not be read, and the problem is told. */
static bool may_open(struct reader *r, struct file *file, const char *where)
{
	struct conf_errors *errors = r->raw->errors;
	struct stat st;

	if (stat(file->path, &st) != 0) {
		conf_errors_add(errors, where, "cannot read %s: %s", file->path, strerror(errno));
		return false;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	if (S_ISDIR(st.st_mode) || (file->parent != NULL && !S_ISREG(st.st_mode))) {
		conf_errors_add(errors, where, "cannot read %s: not a regular file", file->path);
		return false;
	}
	for (const struct file *open = file->parent; open != NULL; open = open->parent)
		if (open->dev == file->dev && open->ino == file->ino) {
			conf_errors_add(errors, where, "%s includes itself", file->path);
			return false;
		}
	if (file->depth > CONF_INCLUDE_DEPTH || r->files >= CONF_INCLUDE_FILES) {
		conf_errors_add(errors, where, "cannot include %s: %s", file->path, file->depth > CONF_INCLUDE_DEPTH ?
			"files are included more than 8 deep" : "more than 256 files");
		return false;
	}
	return true;
}

static void read_file(struct reader *r, const char *path, const struct file *parent, const char *where, struct place place)
{
	struct file file = {.parent = parent, .path = path, .depth = parent ? parent->depth + 1 : 0};
	struct buf buf = {0};

	if (!may_open(r, &file, where))
		return;
	file.number = r->files++;
	if (io_read_file(path, CONF_FILE_MAX, &buf) != 0)
		conf_errors_add(r->raw->errors, where, "cannot read %s: %s", path,
			errno == EFBIG ? "larger than 1 MB" : strerror(errno));
	else
		read_text(r, &file, &buf, place);
	if (buf.data != NULL)
		explicit_bzero(buf.data, buf.len);
	buf_free(&buf);
}

void conf_read_file(struct conf_raw *raw, const char *path)
{
	struct reader reader = {.raw = raw};
	struct seen *seen, *next;

	read_file(&reader, path, NULL, path, (struct place){.kind = PLACE_NONE});
	HASH_ITER(hh, reader.seen, seen, next) {
		HASH_DEL(reader.seen, seen);
		free(seen);
	}
}
