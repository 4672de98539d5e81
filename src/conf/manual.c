/*
 * conf/manual.c: the manual page docs/jobqd.conf.5, from the table (see manual.h).
 *
 * Pure; runs in src/conf/generate.c and in the test that holds the file. Owns the prose around the keys. Invariant: every key
 * of this version stands in it with its type, default, range and what a reload does. Directories are those of a build with
 * /var and /run. Cannot fail but for the output.
 */
#include "config.h"

#include "conf/manual.h"

#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/print.h"
#include "conf/table.h"
#include "conf/value.h"
#include "conf/words.h"

/* Text with what roff would take for its own escaped; `word` becomes bold. */
static void roff(struct buf *out, const char *text)
{
	bool bold = false;

	for (; *text != '\0'; text++) {
		if (*text == '`') {
			bold = !bold;
			buf_puts(out, bold ? "\\fB" : "\\fR");
		} else if (*text == '\\') {
			buf_puts(out, "\\e");
		} else if (*text == '-') {
			buf_puts(out, "\\-");
		} else if (*text == '\'') {
			buf_puts(out, "\\(aq");
		} else {
			buf_putc(out, *text);
		}
	}
}

static void print_default(struct buf *out, const struct conf_key *key, const char *def)
{
	char expanded[256];

	if (*def == '=') {
		roff(out, def + 2);
	} else if (*def == '\0') {
		buf_puts(out, "not set");
	} else {
		buf_puts(out, "\\fB");
		roff(out, conf_table_expand(def, "/var", "/run", expanded, sizeof expanded));
		buf_puts(out, "\\fR");
	}
	for (size_t i = 0; i < conf_nhandlers; i++) {
		const char *other = conf_table_default(key, conf_handlers[i].name);

		if (conf_handlers[i].now && strcmp(other, def) != 0)
			buf_printf(out, " (%s: %s)", conf_handlers[i].name, other);
	}
}

static void print_key(struct buf *out, const struct conf_key *key)
{
	char range[CONF_RANGE_MAX];

	buf_printf(out, ".TP\n\\fB%s\\fR (%s)\n", key->name, conf_words_type(key->type));
	roff(out, key->help);
	buf_puts(out, "\n.br\nDefault: ");
	print_default(out, key, key->def);
	conf_value_range(key, range);
	if (*range != '\0') {
		buf_puts(out, "; ");
		roff(out, range);
	}
	buf_puts(out, "; ");
	roff(out, conf_words_reload(key));
	buf_puts(out, ".\n");
}

static void print_keys(struct buf *out, enum conf_section section, const char *handler)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *key = &conf_table[i];
		bool common = key->handlers[0] == '\0';

		if (key->section == section && key->now && (handler ? !common && conf_table_applies(key, handler) : common))
			print_key(out, key);
	}
}

static const char head[] =
	".\\\" made from include/tbl/config.def by `make conf-generated`\n"
	".TH JOBQD.CONF 5 \"\" jobq \"jobq manual\"\n"
	".SH NAME\n"
	"jobqd.conf \\- configuration of the job\\-processing daemon jobqd\n"
	".SH DESCRIPTION\n"
	".BR jobqd (8)\n"
	"reads this file at its start and when it is told to reload. A file with an error is refused as a whole, with every\n"
	"problem named by file and line, and a running jobqd keeps what it has.\n"
	".B jobqd \\-t\n"
	"checks the file,\n"
	".B jobqd \\-T\n"
	"prints what holds and where each value comes from, with secrets masked.\n"
	"Directories are given here as a build with /var and /run has them.\n"
	".SH FORMAT\n"
	"UTF\\-8 text of at most 1 MB, its lines of at most 8192 bytes:\n"
	".PP\n"
	".nf\n"
	"[section]\n"
	"[queue NAME]\n"
	"key = value\n"
	"%include GLOB\n"
	"# comment\n"
	"; comment\n"
	".fi\n"
	".PP\n"
	"A value ends with the line, or at white space followed by # or ; outside double quotes. A value that begins with a\n"
	"double quote is quoted as a whole; inside it \\e\" stands for \" and \\e\\e for \\e.\n"
	"An included file is looked for beside the one that includes it, begins in the section of that line, and may include\n"
	"others, 8 deep. A key may stand once in a section of a file; of two files the later one wins. An empty value, and\n"
	".B off\n"
	"for a number, a duration, a size or a rate, means not set where a key has no default.\n"
	".TP\n"
	".B duration\n"
	"250ms 10s 5min 2h30m 30d; a bare number is refused, but for 0.\n"
	".TP\n"
	".B size\n"
	"64kB 16MB 1GB; a bare number is bytes, 1 kB is 1024 bytes.\n"
	".TP\n"
	".B rate\n"
	"50/s 600/min 500/15s.\n"
	".TP\n"
	".B on or off\n"
	"on true yes 1, off false no 0.\n"
	".TP\n"
	".B secret\n"
	"file:PATH (absolute; one newline at its end is not part of it), env:NAME, or the secret itself.\n"
	"Values of headers may be references as well.\n"
	".SH ORDER\n"
	"Later wins: what is built in, variables of other systems (see\n"
	".BR \"OLD VARIABLES\" ),\n"
	"the preset, [queue *], [queue NAME], the environment; the preset itself is looked up in the last three. What is built in and\n"
	"what a preset gives fit themselves to what is written: a batch_size beyond batch_max raises it.\n"
	"A key of [jobqd] is the variable\n"
	".BR JOBQ_ KEY,\n"
	"one of a queue that has a section\n"
	".BR JOBQ_QUEUE_ NAME _ KEY,\n"
	"in upper case, with an underscore for all that is no letter or digit: JOBQ_QUEUE_SMS_RATE_LIMIT.\n"
	"A key of [tenants] is JOBQ_TENANTS_ KEY, one of [report] JOBQ_REPORT_ KEY.\n"
	"A list is one item a line. A variable that fits no key, or two, is an error.\n";

static const char old_head[] =
	".SH \"OLD VARIABLES\"\n"
	"Variables that other systems gave these settings; they are defaults for every queue or pool, beneath all others. Their values are\n"
	"bare. An empty variable is as one that is not there.\n";

static const char tail[] =
	".SH SEE ALSO\n"
	".BR jobqd (8),\n"
	".BR jobqctl (1)\n";

static void print_presets(struct buf *out)
{
	buf_puts(out, ".SH PRESETS\nWhat\n.B preset\nsets for a queue, when neither the file nor a variable does:\n.PP\n.nf\n");
	for (size_t i = 0; i < conf_npresets; i++) {
		const struct conf_preset *row = &conf_presets[i];

		if (i == 0 || conf_presets[i - 1].preset != row->preset)
			buf_printf(out, "%s\\fB%s\\fR\n", i == 0 ? "" : "\n", conf_table_choice_text("preset", row->preset));
		buf_printf(out, "    %s = %s\n", conf_table[row->key].name, row->text);
	}
	buf_puts(out, ".fi\n");
}

static void print_old(struct buf *out)
{
	static const char *const form[] = {[CONF_OLD_COUNT] = "a number", [CONF_OLD_SECONDS] = "seconds", [CONF_OLD_MS] = "milliseconds",
		[CONF_OLD_FLAG] = "true or false"};
	const char *comma = "";

	buf_puts(out, old_head);
	for (size_t i = 0; i < conf_nold_env; i++)
		if (conf_old_env[i].now)
			buf_printf(out, ".TP\n\\fB%s\\fR\n%s, %s\n", conf_old_env[i].name, conf_table[conf_old_env[i].key].name,
				form[conf_old_env[i].form]);
	buf_puts(out, ".PP\nThese are of settings that this version does not have; they are passed over:\n");
	for (size_t i = 0; i < conf_nold_env; i++)
		if (!conf_old_env[i].now) {
			buf_printf(out, "%s\\fB%s\\fR", comma, conf_old_env[i].name);
			comma = ",\n";
		}
	buf_puts(out, ".\n");
}

void conf_manual_print(FILE *out)
{
	struct buf text = {0};

	buf_puts(&text, head);
	buf_puts(&text, ".SH \"SECTION [jobqd]\"\n");
	print_keys(&text, CONF_IN_JOBQD, NULL);
	buf_puts(&text, ".SH \"SECTION [tenants]\"\n");
	print_keys(&text, CONF_IN_TENANTS, NULL);
	buf_puts(&text, ".SH \"SECTION [report]\"\n");
	print_keys(&text, CONF_IN_REPORT, NULL);
	buf_printf(&text,
		".SH \"SECTION [queue NAME]\"\nAt most %d queues, with at most %d workers together. Names are a small letter, then up to 62 of\n"
		"a\\-z 0\\-9 _ . \\-;\n.B system\nis reserved.\n.B [queue *]\ngives defaults for all queues.\n",
		CONF_QUEUES_MAX, CONF_WORKERS_MAX);
	print_keys(&text, CONF_IN_QUEUE, NULL);
	for (size_t i = 0; i < conf_nhandlers; i++) {
		if (!conf_handlers[i].now)
			continue;
		buf_printf(&text, ".SS \"Handler %s\"\nThis handler %s.\n", conf_handlers[i].name, conf_handlers[i].help);
		print_keys(&text, CONF_IN_QUEUE, conf_handlers[i].name);
	}
	buf_printf(&text,
		".SH \"SECTION [pool NAME]\"\nConnections for handlers that use a database; a queue names its pool with\n.BR pool .\nEvery queue has its own\n"
		"connections of a pool, which its workers share out among themselves. A queue that names none uses the pool\n.BR default ,\n"
		"whose database is that of jobqd, unless a section of that name says otherwise. At most %d pools.\n.B [pool *]\ngives defaults for all.\n",
		CONF_POOLS_MAX - 1);
	print_keys(&text, CONF_IN_POOL, NULL);
	print_presets(&text);
	print_old(&text);
	buf_puts(&text, tail);
	conf_print_buf(&text, out);
}
