/*
 * conf/sample.c: the sample configuration, etc/jobqd.conf (see conf.h).
 *
 * Pure; runs in src/conf/generate.c and in the test that holds the file. Owns what the sample sets. Invariant: every key of
 * this version stands in it once, with its help, its default and what a reload does with it; what is not set is commented out,
 * and the file loads as it is. Directories are those of a build with /var and /run, so it is the same text on every machine.
 */
#include "config.h"

#include "conf/conf.h"

#include <string.h>

#include "base/buf.h"
#include "conf/line.h"
#include "conf/print.h"
#include "conf/table.h"
#include "conf/value.h"
#include "conf/words.h"

#define WIDTH 98

static const struct {
	const char *key, *value;
} sms[] = { /* what the sample's queue sms sets */
	{"rate_limit", "50/s"},
	{"driver", "kannel"},
	{"gateway_url", "http://127.0.0.1:13013/cgi-bin/sendsms"},
	{"gateway_user", "jobq"},
};

static const char *setting(const char *key)
{
	for (size_t i = 0; i < sizeof sms / sizeof sms[0]; i++)
		if (strcmp(sms[i].key, key) == 0)
			return sms[i].value;
	return NULL;
}

/* A paragraph as a comment. */
static void comment(struct buf *out, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (column > 0 && column + 1 + word > WIDTH) {
			buf_putc(out, '\n');
			column = 0;
		}
		buf_puts(out, column ? " " : "# ");
		buf_add(out, text, word);
		column += word + 1;
		text += word;
		text += strspn(text, " ");
	}
	buf_putc(out, '\n');
}

static void print_key(struct buf *out, const struct conf_key *key, const char *handler, const char *value)
{
	char range[CONF_RANGE_MAX], def[256];
	const char *usual = handler == NULL ? key->def : conf_table_default(key, handler);

	buf_putc(out, '\n');
	comment(out, key->help);
	conf_value_range(key, range);
	buf_printf(out, "# %s%s%s\n", range, *range ? "; " : "", conf_words_reload(key));
	conf_table_expand(usual, "/var", "/run", def, sizeof def);
	if (value != NULL) {
		buf_printf(out, "%s = ", key->name);
		conf_line_quote(out, value);
		buf_putc(out, '\n');
		return;
	}
	if (usual[0] == '=')
		buf_printf(out, "# (default: %s)\n", usual + 2);
	buf_printf(out, "#%s =%s%s\n", key->name, *def ? " " : "", def);
}

static void print_section(struct buf *out, enum conf_section section, const char *handler)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *key = &conf_table[i];

		if (key->section != section || !key->now || (handler == NULL) != (key->handlers[0] == '\0'))
			continue;
		if (handler == NULL)
			print_key(out, key, NULL, NULL);
		else if (conf_table_applies(key, handler))
			print_key(out, key, handler, strcmp(handler, "sms") == 0 ? setting(key->name) : NULL);
	}
}

static const char head[] =
	"# jobqd.conf: the configuration of jobqd. See jobqd.conf(5).\n"
	"#\n"
	"# What is commented out is the default. Check the file with `jobqd -t`, see what holds and why with `jobqd -T`,\n"
	"# and let a running jobqd read it again with `jobqctl reload`: a wrong file changes nothing.\n"
	"#\n"
	"#   key = value            to the end of the line, or to a # or ; behind a blank; or in double quotes\n"
	"#   %include conf.d/*.conf relative to this file\n"
	"#   durations 250ms 10s 5min 2h30m 30d, sizes 64kB 16MB 1GB, rates 50/s 600/min 500/15s, on and off\n"
	"#   secrets   file:/etc/jobq/gateway.password, env:GATEWAY_PASSWORD, or the secret itself\n"
	"#\n"
	"# Later wins: built in, preset, [queue *], [queue NAME], the environment (JOBQ_LEASE, JOBQ_QUEUE_SMS_RATE_LIMIT).\n"
	"\n";

void conf_print_sample(FILE *out)
{
	struct buf text = {0};

	buf_puts(&text, head);
	buf_puts(&text, "[jobqd]\n");
	print_section(&text, CONF_IN_JOBQD, NULL);
	buf_puts(&text, "\n# Where tenants come from.\n[tenants]\n");
	print_section(&text, CONF_IN_TENANTS, NULL);
	buf_puts(&text, "\n# Reports in the log.\n[report]\n");
	print_section(&text, CONF_IN_REPORT, NULL);
	buf_puts(&text, "\n# Defaults for all queues; each may have its own in its section.\n[queue *]\n");
	print_section(&text, CONF_IN_QUEUE, NULL);
	for (size_t i = 0; i < conf_nhandlers; i++) {
		const struct conf_handler *handler = &conf_handlers[i];

		if (!handler->now)
			continue;
		buf_printf(&text, "\n# Handler %s: %s.\n%s[queue %s]\n", handler->name, handler->help,
			strcmp(handler->name, "sms") == 0 ? "" : "#", handler->name);
		if (strcmp(handler->name, "sms") == 0)
			print_key(&text, &conf_table[CONF_K_QUEUE_rate_limit], "sms", setting("rate_limit"));
		print_section(&text, CONF_IN_QUEUE, handler->name);
	}
	buf_printf(&text, "\n# Pools: %s.\n#[pool main]\n", conf_sections[CONF_IN_POOL].help);
	print_section(&text, CONF_IN_POOL, NULL);
	conf_print_buf(&text, out);
}
