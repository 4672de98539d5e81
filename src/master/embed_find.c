/*
 * master/embed_find.c: where PostgreSQL's programs are, and which version made the data.
 *
 * Used by the master at its start. Distributions keep every major version in a directory of its own, so the version is read
 * from the path and nothing is run. Data is only ever opened by the version that made it. Fails by finding nothing.
 */
#include "config.h"

#include "master/embed_parts.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/text.h"
#include "base/units.h"

#define OLDEST 15

/* the last run of digits in the path: /usr/lib/postgresql/15/bin, /usr/pgsql-16/bin */
int master_embed_version(const char *bin_dir)
{
	size_t end = strlen(bin_dir);

	while (end > 0 && (bin_dir[end - 1] < '0' || bin_dir[end - 1] > '9'))
		end--;
	size_t begin = end;
	while (begin > 0 && bin_dir[begin - 1] >= '0' && bin_dir[begin - 1] <= '9')
		begin--;
	return end - begin == 0 || end - begin > 3 ? 0 : atoi(bin_dir + begin);
}

static bool has_programs(const char *bin_dir)
{
	char path[1024];
	bool all = true;

	for (int i = 0; i < 2; i++) {
		int n = snprintf(path, sizeof path, "%s/%s", bin_dir, i == 0 ? "postgres" : "initdb");

		all = all && n > 0 && (size_t)n < sizeof path && access(path, X_OK) == 0;
	}
	return all;
}

void master_embed_find(const char *const *patterns, size_t n, int wanted, char *dst, size_t size)
{
	int best = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		glob_t found;

		if (glob(patterns[i], 0, NULL, &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++) {
			int version = master_embed_version(found.gl_pathv[j]);

			if (version < OLDEST || version <= best || (wanted != 0 && version != wanted) || !has_programs(found.gl_pathv[j]))
				continue;
			best = version;
			(void)text_copy(dst, size, found.gl_pathv[j]);
		}
		globfree(&found);
	}
}

int master_embed_data_version(const char *data_dir)
{
	char path[1024];
	struct buf text = {0};
	struct stat st;
	int64_t version = -1;

	if (stat(data_dir, &st) != 0)
		return 0;
	int n = snprintf(path, sizeof path, "%s/PG_VERSION", data_dir);
	if (n > 0 && (size_t)n < sizeof path && io_read_file(path, 16, &text) == 0) {
		while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
			text.len--;
		if (!units_int(buf_str(&text), 1, 1000, &version))
			version = -1;
	}
	buf_free(&text);
	return (int)version;
}
