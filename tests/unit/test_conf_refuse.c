/* unit_conf_refuse: what a wrong configuration is told: every problem, where it stands, and the nearest right word. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf_fixture.h"

struct expect {
	const char *text, *why;
};

#define EXEC "[queue exec]\ncommand = /x\n"
#define SMS "[queue sms]\ngateway_url = http://h/\ngateway_user = u\n"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static const struct expect cases[] = {
	/* words */
	{"[jobqd]\nleese = 5s", "@/c.conf:2: unknown key \"leese\" in [jobqd]; did you mean \"lease\"?"},
	{"[queue null]\nworker = 5", "@/c.conf:2: unknown key \"worker\" in [queue null]; did you mean \"workers\"?"},
	{"[queue *]\nzzzzzzzz = 5", "@/c.conf:2: unknown key \"zzzzzzzz\" in [queue *]"},
	{"[queue *]\nlease = 5s", "@/c.conf:2: key \"lease\" does not belong in [queue *] but in [jobqd]"},
	{"[jobqd]\nworkers = 5", "@/c.conf:2: key \"workers\" does not belong in [jobqd] but in [queue NAME]"},
	{"[queue null]\npreset = standart", "@/c.conf:2: preset: \"standart\" is not one of none, standard, high_performance, memory_efficient; did you mean \"standard\"?"},
	{"[jobqd]\nsource = a.b", "@/c.conf:2: key \"source\" does not belong in [jobqd] but in [tenants]"},
	{"[tenants]\nlease = 5s", "@/c.conf:2: key \"lease\" does not belong in [tenants] but in [jobqd]"},
	{"[tenants]\nsorce = a.b", "@/c.conf:2: unknown key \"sorce\" in [tenants]; did you mean \"source\"?"},
	{"[tenants x]", "@/c.conf:1: section [tenants] takes no name"},
	{"[tenants]\nsource = a.b\n[tenants]\nsource = c.d", "@/c.conf:4: key \"source\" is given twice; first at @/c.conf:2"},
	{"[jobqd]\narchive = on", "@/c.conf:2: key \"archive\" is not in this version"},
	{"[queu null]\nx = y", "@/c.conf:1: unknown section \"queu\"; did you mean \"queue\"?"},
	{"[web]\nlisten = 127.0.0.1:8077\n[cron x]", "@/c.conf:1: section \"web\" is not in this version\n"
		"@/c.conf:3: section \"cron\" is not in this version"},
	{"[pool]", "@/c.conf:1: section [pool] needs a name: [pool NAME], or [pool *] for all"},
	{"[pool A]", "@/c.conf:1: \"A\" is not a pool name: a small letter, then up to 62 of a-z 0-9 _ . -"},
	{"[queue import]", "@/c.conf:1: queue \"import\" needs tables, the tables that it may write\n"
		"@/c.conf:1: queue \"import\" needs import_dir, the directory that files come from, or allow_url"},
	{"[queue import]\nallow_url = on\ntables = a, \"b,c\".d, e f", "@/c.conf:3: tables: \"e f\" is not a table's name, as name or schema.name"},
	{"[queue import]\nallow_url = on\ntables = a,,b", "@/c.conf:3: tables: \"\" is not a table's name, as name or schema.name"},
	{"[queue import]\nallow_url = on\ntables = a\npool = shopp\n[pool shop]", "@/c.conf:4: pool: there is no section [pool shopp]; did you mean \"shop\"?"},
	{"[queue import]\nallow_url = on\ntables = a\npool = shop\n[pool shop]\nmax = 4",
		"@/c.conf:1: workers: 5 are more than the 4 connections of [pool shop] (max, @/c.conf:6); each needs one of its own"},
	{"[queue null]\npool = shop\n[pool shop]", "@/c.conf:2: key \"pool\" belongs to handler import, sync, sql, but queue \"null\" has handler \"null\""},
	{"[pool a]\ndatabase = embedded", "@/c.conf:2: database: a pool has a conninfo or URI; leave it out for jobqd's own database"},
	{"[pool a]\nmin = 5\nmax = 4", "@/c.conf:2: min 5 (@/c.conf:2) is above max 4 (@/c.conf:3)"},
	{"[pool a]\nmaxx = 4", "@/c.conf:2: unknown key \"maxx\" in [pool a]; did you mean \"max\"?"},
	{"[pool a]\nmax = 0", "@/c.conf:2: max: 0 is too small: 1 to 1000 connections"},
	{"[queue]", "@/c.conf:1: section [queue] needs a name: [queue NAME], or [queue *] for all"},
	{"[jobqd x]", "@/c.conf:1: section [jobqd] takes no name"},
	{"[queue system]", "@/c.conf:1: the queue name \"system\" is reserved"},
	{"[queue SMS]", "@/c.conf:1: \"SMS\" is not a queue name: a small letter, then up to 62 of a-z 0-9 _ . -"},
	{"lease = 5s", "@/c.conf:1: key \"lease\" stands before the first [section]"},
	{"[jobqd]\nlease 5s", "@/c.conf:2: expected `key = value`, `[section]`, `%include FILE` or a comment"},
	{"[jobqd]\nlease = 5s\n[queue null]\n[jobqd]\nlease = 6s", "@/c.conf:5: key \"lease\" is given twice; first at @/c.conf:2"},
	{"[jobqd]\nnode = \"a\x01\"", "@/c.conf:2: the line holds a control character"},
	{"[jobqd]\nnode = \xe4", "@/c.conf:2: the line is not UTF-8"},
	{"[queue smss]", "@/c.conf:1: the handler is the queue's name, but \"smss\" is not one of null, sleep, sms, email, import, sync, exec, http, sql; did you mean \"sms\"? (set `handler`)"},
	{"[queue a]\nhandler = slep", "@/c.conf:2: handler \"slep\" is not one of null, sleep, sms, email, import, sync, exec, http, sql; did you mean \"sleep\"?"},
	{"[queue *]\nhandler = ai\n[queue a]\n[queue b]", "@/c.conf:2: handler \"ai\" is not in this version"},
	{"[queue sync]", "@/c.conf:1: queue \"sync\" needs tables, those that its jobs may sync\n"
		"@/c.conf:1: queue \"sync\" needs tenant_column, which says whose a row is"},
	{"[queue sync]\ntables = a\ntenant_column = b\nheaders = X: 1", "@/c.conf:4: headers: queue \"sync\" needs allow_hosts too, or any host that a "
		"tenant names would see them"},
	{"[queue sql]", "@/c.conf:1: queue \"sql\" needs function, the function that gets its jobs, as schema.name"},
	{"[queue sql]\nfunction = take", "@/c.conf:2: function \"take\" is not of the form schema.name"},
	{"[queue sql]\nfunction = a.b.c", "@/c.conf:2: function \"a.b.c\" is not of the form schema.name"},
	{"[queue http]", "@/c.conf:1: queue \"http\" needs url, the URL of its web hook"},
	{"[queue http]\nurl = ftp://x/", "@/c.conf:2: url is not an http:// or https:// URL"},
	{"[queue http]\nurl = http://u:p@x/", "@/c.conf:2: url holds a user or password; they have keys of their own"},
	{"[queue http]\nurl = http://x/\nsecret = whsec_short", "@/c.conf:3: secret is not base64 of 24 to 64 bytes; make one: "
		"echo whsec_$(openssl rand -base64 32)"},
	{"[queue http]\nurl = http://x/\nsecret = " SECRET " " SECRET " " SECRET, "@/c.conf:3: secret holds more than two secrets"},
	{"[queue http]\nurl = http://x/\nheaders = Webhook-Id: 1", "@/c.conf:3: headers: the handler http sets webhook-id itself"},
	{"[queue null]\nsleep = 1s", "@/c.conf:2: key \"sleep\" belongs to handler sleep, but queue \"null\" has handler \"null\""},
	/* values */
	{"[jobqd]\nlease = 1s", "@/c.conf:2: lease: 1s is too small: 2s to 10min"},
	{"[jobqd]\nlease = 11min", "@/c.conf:2: lease: 11min is too large: 2s to 10min"},
	{"[jobqd]\nlease = 30", "@/c.conf:2: lease: \"30\" is not a duration, such as 250ms, 10s, 5min or 2h30m"},
	{"[jobqd]\nlease =", "@/c.conf:2: lease: needs a value (default 30s)"},
	{"[jobqd]\nlease = off", "@/c.conf:2: lease: \"off\" is not a duration, such as 250ms, 10s, 5min or 2h30m"},
	{"[jobqd]\nlog_level = inf", "@/c.conf:2: log_level: \"inf\" is not one of error, warn, info, debug; did you mean \"info\"?"},
	{"[jobqd]\nlog = file", "@/c.conf:2: log: \"file\" is not stderr, syslog or an absolute path"},
	{"[jobqd]\nstate_dir = var", "@/c.conf:2: state_dir: \"var\" is not an absolute path"},
	{"[jobqd]\ndatabase =", "@/c.conf:2: database: needs a value (default embedded)"},
	{"[jobqd]\ndatabase = ********", "@/c.conf:2: database: the value is masked; write the secret itself, file:PATH or env:NAME"},
	{"[jobqd]\nnode = a b", "@/c.conf:2: node: at most 63 bytes, without blanks and double quotes"},
	{"[jobqd]\nuser = no-such-user-here", "@/c.conf:2: user: there is no user \"no-such-user-here\""},
	{"[jobqd]\ngroup = no-such-group-here", "@/c.conf:2: group: there is no group \"no-such-group-here\""},
	{"[queue null]\nworkers = 65", "@/c.conf:2: workers: 65 is too large: 1 to 64 processes"},
	{"[queue null]\nworkers = five", "@/c.conf:2: workers: \"five\" is not a whole number"},
	{"[queue null]\nrate_limit = 50", "@/c.conf:2: rate_limit: \"50\" is not a rate, such as 50/s, 600/min or 500/15s"},
	{"[queue null]\nrate_unit = words", "@/c.conf:2: rate_unit: \"words\" is not one of jobs, segments, recipients"},
	{"[queue null]\nrate_unit = segments", "@/c.conf:2: rate_unit: the jobs of handler \"null\" have no segments; those of sms have"},
	{"[queue null]\ntenant_concurrency = 0", "@/c.conf:2: tenant_concurrency: 0 is too small: 1 to 1000000 jobs"},
	{"[queue null]\naging = off", "@/c.conf:2: aging: \"off\" is not a duration, such as 250ms, 10s, 5min or 2h30m"},
	{"[queue null]\nbatch_timeout = 2d", "@/c.conf:2: batch_timeout: 2d is too large: 0 to 1d"},
	{"[report]\ninterval = 500ms", "@/c.conf:2: interval: 500ms is too small: 1s to 30d"},
	{"[report]\ninterval = 0", "@/c.conf:2: interval: 0 is too small: 1s to 30d"},
	{"[report x]", "@/c.conf:1: section [report] takes no name"},
	{"[tenants]\nsource =", "@/c.conf:2: source: needs a value (default jobq.tenants)"},
	{"[tenants]\nsource = stores", "@/c.conf:2: source: \"stores\" is not schema.name; a part that is not plain letters, digits and _ goes in double quotes"},
	{"[tenants]\nsource = a.b; DROP TABLE x", "@/c.conf:2: source: \"a.b; DROP TABLE x\" is not schema.name; a part that is not plain letters, digits and _ goes in double quotes"},
	{"[queue null]\nbuffer_max_bytes = 5XB", "@/c.conf:2: buffer_max_bytes: \"5XB\" is not a size, such as 64kB, 16MB or 1GB"},
	{"[queue null]\nretry_backoff = slow", "@/c.conf:2: retry_backoff: \"slow\" is not a backoff, such as exponential 5s..1h, linear 10s..10min or fixed 10s"},
	{"[queue *]\nworkers = 0\n[queue null]\n[queue sleep]", "@/c.conf:2: workers: 0 is too small: 1 to 64 processes"},
	{"[queue exec]\nmode = persistent", "@/c.conf:1: queue \"exec\" needs command, the absolute path of its program"},
	{"[queue exec]\ncommand = python3 x.py", "@/c.conf:2: command: \"python3\" is not an absolute path"},
	{"[queue exec]\ncommand = /x 'a", "@/c.conf:2: command: a single quote is not closed"},
	{EXEC "mode = single", "@/c.conf:3: mode: of the handler exec it is persistent, batch or once"},
	{EXEC "rlimit_cpu = 1500ms", "@/c.conf:3: rlimit_cpu is counted in whole seconds"},
	{EXEC "env = A: b", "@/c.conf:3: env: expected NAME=value, the name of letters, digits and _"},
	{EXEC "env = 1A=b", "@/c.conf:3: env: expected NAME=value, the name of letters, digits and _"},
	{EXEC "env = A=********", "@/c.conf:3: env: the value is masked; write the value itself"},
	{EXEC "rlimit_nofile = 2", "@/c.conf:3: rlimit_nofile: 2 is too small: 3 to 1048576 descriptors"},
	{"[queue null]\ncommand = /x", "@/c.conf:2: key \"command\" belongs to handler exec, but queue \"null\" has handler \"null\""},
	/* values that do not fit each other */
	{"[jobqd]\npoll_min = 6s", "@/c.conf:2: poll_min is above poll_max (5s, built in)"},
	{"[queue null]\nbatch_min = 30", "@/c.conf:2: batch_min 30 (@/c.conf:2) is above batch_size 25 (built in)"},
	{"[queue null]\nbatch_size = 60\nbatch_max = 50", "@/c.conf:2: batch_size 60 (@/c.conf:2) is above batch_max 50 (@/c.conf:3)"},
	{"[queue null]\nbuffer_max = 10", "@/c.conf:2: batch_max 50 (built in) is above buffer_max 10 (@/c.conf:2)"},
	{"[queue null]\nconcurrency = 64", "@/c.conf:2: concurrency: 64 batches of 25 are more than the 1024 jobs that a worker can hold"},
	{"[queue null]\nconcurrency = 10\nbatch_max = 103", "@/c.conf:3: batch_max: 10 batches of up to 103 are more than the 1024 jobs that a worker can hold"},
	{"[queue null]\nbatch_timeout_high = 5s", "@/c.conf:2: batch_timeout_high 5s (@/c.conf:2) is above batch_timeout 0 (built in)"},
	{"[queue null]\nbatch_timeout = 9s\nbatch_timeout_high = 5s\nbatch_timeout_urgent = 6s", "@/c.conf:4: batch_timeout_urgent 6s (@/c.conf:4) is above batch_timeout_high 5s (@/c.conf:3)"},
	{"[queue *]\nbatch_timeout_high = 5s\n[queue null]\n[queue sleep]", "@/c.conf:2: batch_timeout_high 5s ([queue *] @/c.conf:2) is above batch_timeout 0 (built in)"},
	{"[queue null]\nbatch_timeout = 9s\nbuffer_max_age = 8s", "@/c.conf:2: batch_timeout 9s (@/c.conf:2) is above buffer_max_age 8s (@/c.conf:3)"},
	{"[queue null]\npreset = memory_efficient\nbuffer_max = 20", "@/c.conf:3: batch_max 25 (preset memory_efficient) is above buffer_max 20 (@/c.conf:3)"},
	{"[queue null]\npreset = standard\nbatch_timeout_urgent = 301s", "@/c.conf:3: batch_timeout_urgent 301s (@/c.conf:3) is above batch_timeout_high 5min (preset standard)"},
	{"[queue null]\nrate_burst = 10", "@/c.conf:2: rate_burst: queue \"null\" has no rate_limit; set that too"},
	{"[queue a]\nhandler=null\nworkers=64\n[queue b]\nhandler=null\nworkers=64\n[queue c]\nhandler=null\nworkers=64\n[queue d]\nhandler=null\n"
		"workers=64\n[queue null]", "@/c.conf:13: workers: queue \"null\" brings the workers of all queues to 261; at most 256"},
	/* the sms handler */
	{"[queue sms]", "@/c.conf:1: queue \"sms\" needs gateway_url, the URL of its SMS gateway\n"
		"@/c.conf:1: queue \"sms\" needs gateway_user, as its driver is kannel"},
	{"[queue sms]\ngateway_user = u\ngateway_url = ftp://h/", "@/c.conf:3: gateway_url is not an http:// or https:// URL"},
	{"[queue sms]\ngateway_user = u\ngateway_url = http:///x", "@/c.conf:3: gateway_url names no host"},
	{"[queue sms]\ngateway_user = u\ngateway_url = http://a:b@h/", "@/c.conf:3: gateway_url holds a user or password; they have keys of their own"},
	{"[queue sms]\ngateway_user = u\ngateway_url = http://h/a b", "@/c.conf:3: gateway_url holds a character that must be percent-encoded"},
	{"[queue sms]\ngateway_url = http://h/\ndriver = json", "@/c.conf:3: queue \"sms\" needs body, the template of what its driver json posts"},
	{SMS "headers = X", "@/c.conf:4: headers: expected `Name: value`, the name of letters, digits and -"},
	{SMS "headers = A B: c", "@/c.conf:4: headers: expected `Name: value`, the name of letters, digits and -"},
	{SMS "headers = A: ********", "@/c.conf:4: headers: the value is masked; write the value itself, file:PATH or env:NAME"},
	/* the email handler */
	{"[queue email]", "@/c.conf:1: queue \"email\" needs smtp_url, the URL of its mail server"},
	{"[queue email]\nsmtp_url = mail.example", "@/c.conf:2: smtp_url is not an smtp:// or smtps:// URL"},
	{"[queue email]\nsmtp_url = smtp://:25", "@/c.conf:2: smtp_url names no host"},
	{"[queue email]\nsmtp_url = smtp://u:p@h", "@/c.conf:2: smtp_url holds a user or password; use smtp_user and smtp_password"},
	{"[queue email]\nsmtp_url = smtp://h/x", "@/c.conf:2: smtp_url is more than a host and a port"},
	{"[queue email]\nsmtp_url = smtp://h:0", "@/c.conf:2: smtp_url has a port that is not a number from 1 to 65535"},
	{"[queue email]\nsmtp_url = smtps://h:25x", "@/c.conf:2: smtp_url has a port that is not a number from 1 to 65535"},
	{"[queue email]\nsmtp_url = smtp://h\nsmtp_user = u", "@/c.conf:3: smtp_user and smtp_password go together"},
	{"[queue email]\nsmtp_url = smtp://h\nsmtp_password = p", "@/c.conf:3: smtp_user and smtp_password go together"},
	{"[queue email]\nsmtp_url = smtp://127.0.0.1.example\nsmtp_user = u\nsmtp_password = p\nsmtp_tls = try",
		"@/c.conf:5: smtp_tls must be require, as there is an smtp_password and the mail server is not on this host"},
	{"[queue email]\nsmtp_url = smtp://h\nmax_messages_per_connection = 0", "@/c.conf:3: max_messages_per_connection: 0 is too small: 1 to 1000000 messages"},
	{"[queue email]\nsmtp_url = smtp://h\nattachment_dir = mail", "@/c.conf:3: attachment_dir: \"mail\" is not an absolute path"},
	/* secrets */
	{SMS "gateway_password = file:etc/x", "@/c.conf:4: gateway_password: cannot use the secret file etc/x: write its absolute path"},
	{SMS "gateway_password = file:/none", "@/c.conf:4: gateway_password: cannot use the secret file /none: No such file or directory"},
	{SMS "gateway_password = file:/dev/null", "@/c.conf:4: gateway_password: cannot use the secret file /dev/null: not a regular file"},
	{SMS "gateway_password = env:NO_SUCH", "@/c.conf:4: gateway_password: cannot use the environment variable NO_SUCH: it is not set"},
	{SMS "headers = A: env:NO_SUCH", "@/c.conf:4: headers: cannot use the environment variable NO_SUCH: it is not set"},
	/* includes */
	{"%include none.conf", "@/c.conf:1: cannot include @/none.conf: No such file or directory"},
	{"%include c.conf", "@/c.conf:1: @/c.conf includes itself"},
	{"%include /dev/null", "@/c.conf:1: cannot read /dev/null: not a regular file"},
	{"%include .", "@/c.conf:1: cannot read @/.: not a regular file"},
	/* several */
	{"[jobqd]\nlease = 1s\nx\n[nothing]\n[queue null]\nworkers = 0\nhandler = zzz\n[queue sms]\n",
		"@/c.conf:3: expected `key = value`, `[section]`, `%include FILE` or a comment\n@/c.conf:4: unknown section \"nothing\"\n"
		"@/c.conf:2: lease: 1s is too small: 2s to 10min\n@/c.conf:6: workers: 0 is too small: 1 to 64 processes\n"
		"@/c.conf:7: handler \"zzz\" is not one of null, sleep, sms, email, import, sync, exec, http, sql\n@/c.conf:8: queue \"sms\" needs gateway_url, the URL of its SMS gateway\n"
		"@/c.conf:8: queue \"sms\" needs gateway_user, as its driver is kannel"},
};

START_TEST(wrong_files_are_refused_with_every_reason)
{
	fixture_refuse(cases[_i].text, cases[_i].why);
}
END_TEST

static const struct expect variables[] = {
	{"JOBQ_LEESE=5s", "environment JOBQ_LEESE: fits no key; did you mean \"JOBQ_LEASE\"?"},
	{"JOBQ_QUEUE_OTHER_WORKERS=5", "environment JOBQ_QUEUE_OTHER_WORKERS: fits no key (JOBQ_KEY for [jobqd], JOBQ_QUEUE_NAME_KEY for a queue that has a section)"},
	{"JOBQ_QUEUE_A_B_WORKERS=5", "environment JOBQ_QUEUE_A_B_WORKERS: fits two keys: workers of [queue a-b] and workers of [queue a.b]; set them in the file"},
	{"JOBQ_TENANTS_SOURCE=x", "environment JOBQ_TENANTS_SOURCE: source: \"x\" is not schema.name; a part that is not plain letters, digits and _ goes in double quotes"},
	{"BATCH_SIZE_THRESHOLD=many", "environment BATCH_SIZE_THRESHOLD: \"many\" is not a whole number"},
	{"BATCH_SIZE_THRESHOLD=0", "environment BATCH_SIZE_THRESHOLD: batch_size: 0 is too small: 1 to 1024 jobs"},
	{"BATCH_TIME_THRESHOLD_SEC=5min", "environment BATCH_TIME_THRESHOLD_SEC: \"5min\" is not a whole number of seconds"},
	{"BATCH_TIME_THRESHOLD_SEC=86401", "environment BATCH_TIME_THRESHOLD_SEC: batch_timeout: 86401s is too large: 0 to 1d"},
	{"BATCH_PERFORMANCE_TARGET_MS=1.5", "environment BATCH_PERFORMANCE_TARGET_MS: \"1.5\" is not a whole number of milliseconds"},
	{"BATCH_ENABLE_ADAPTIVE_SIZING=maybe\n", "environment BATCH_ENABLE_ADAPTIVE_SIZING: \"maybe\\n\" is not true or false"},
	{"BATCH_MAX_BUFFER_SIZE=20", "environment BATCH_MAX_BUFFER_SIZE: batch_max 50 (built in) is above buffer_max 20 (environment BATCH_MAX_BUFFER_SIZE)"},
	{"JOBQ_LEASE=1s", "environment JOBQ_LEASE: lease: 1s is too small: 2s to 10min"},
	{"JOBQ_LEASE=", "environment JOBQ_LEASE: lease: needs a value (default 30s)"},
	{"JOBQ_NODE=a\nb", "environment JOBQ_NODE: the value holds a control character"},
	{"JOBQ_WEB_LISTEN=1", "environment JOBQ_WEB_LISTEN: key \"listen\" is not in this version"},
	{"JOBQ_ARCHIVE=on", "environment JOBQ_ARCHIVE: key \"archive\" is not in this version"},
	{"JOBQ_QUEUE_NULL_SLEEP=1s", "environment JOBQ_QUEUE_NULL_SLEEP: key \"sleep\" belongs to handler sleep, but queue \"null\" has handler \"null\""},
	{"JOBQ_QUEUE_NULL_HEADERS=A: b\nC", "environment JOBQ_QUEUE_NULL_HEADERS: headers: expected `Name: value`, the name of letters, digits and -\n"
		"environment JOBQ_QUEUE_NULL_HEADERS: key \"headers\" belongs to handler sms, sync, http, but queue \"null\" has handler \"null\""},
};

START_TEST(wrong_variables_are_refused)
{
	fixture_env[0] = (char *)variables[_i].text;
	fixture_refuse("[queue a-b]\nhandler = null\n[queue a.b]\nhandler = null\n[queue null]", variables[_i].why);
}
END_TEST

START_TEST(more_problems_than_fit_are_counted)
{
	struct buf buf = {0};

	buf_puts(&buf, "[jobqd]\n");
	for (int i = 0; i < 100; i++)
		buf_printf(&buf, "key_%d_that_is_none = 1\n", i);
	fixture_put("c.conf", "%s", buf_str(&buf));
	buf_free(&buf);
	ck_assert_ptr_null(fixture_try("c.conf"));
	ck_assert_uint_lt(strlen(fixture_err), CONF_ERROR_MAX);
	ck_assert_int_eq(strncmp(fixture_err, "@/c.conf:2: unknown key \"key_0_that_is_none\"", 43), 0);
	ck_assert_ptr_nonnull(strstr(fixture_err, "\n(and "));
	ck_assert_str_eq(fixture_err + strlen(fixture_err) - 6, " more)");
}
END_TEST

START_TEST(too_many_queues_are_refused)
{
	struct buf buf = {0};

	buf_puts(&buf, "[queue *]\nhandler = null\nworkers = 1\n");
	for (int i = 0; i < CONF_QUEUES_MAX; i++)
		buf_printf(&buf, "[queue q%d]\n", i);
	ck_assert_uint_eq(fixture_load(buf_str(&buf))->nqueues, CONF_QUEUES_MAX);
	buf_puts(&buf, "[queue more]\nworkers = 2\n");
	fixture_refuse(buf_str(&buf), "@/c.conf:68: queue \"more\" is one too many: at most 64");
	buf_free(&buf);
}
END_TEST

START_TEST(sizes_are_bounded)
{
	struct buf buf = {0};

	buf_puts(&buf, "#");
	for (int i = 0; i < 8192; i++)
		buf_putc(&buf, 'x');
	fixture_refuse(buf_str(&buf), "@/c.conf:1: the line is longer than 8192 bytes");
	buf_free(&buf);
	for (int i = 0; i < 16385; i++)
		buf_puts(&buf, "# of a megabyte this is the 16384th part, and one is too many.\n\n");
	fixture_refuse(buf_str(&buf), "@/c.conf: cannot read @/c.conf: larger than 1 MB");
	buf_free(&buf);
}
END_TEST

START_TEST(includes_are_bounded)
{
	fixture_put("a.inc", "%%include b.inc\n");
	fixture_put("b.inc", "\n%%include a.inc\n");
	fixture_refuse("%include a.inc", "@/b.inc:2: @/a.inc includes itself");
	for (int i = 0; i < 9; i++) {
		char name[24];

		snprintf(name, sizeof name, "%d.deep", i);
		fixture_put(name, "%%include %d.deep\n", i + 1);
	}
	fixture_put("9.deep", "[jobqd]\n");
	fixture_refuse("%include 0.deep", "@/7.deep:1: cannot include @/8.deep: files are included more than 8 deep");
	fixture_refuse("%include 2.deep\n%include 3.deep\n[jobqd]\nlease = x",
		"@/c.conf:4: lease: \"x\" is not a duration, such as 250ms, 10s, 5min or 2h30m");
}
END_TEST

START_TEST(run_dir_must_leave_room_for_sockets)
{
	char text[512], dir[128], why[512];

	fixture_run_dir = false;
	memset(dir, 'd', sizeof dir);
	dir[0] = '/';
	dir[90] = '\0';
	snprintf(text, sizeof text, "[jobqd]\nrun_dir = %s\n", dir);
	ck_assert_str_eq(fixture_load(text)->jobqd.run_dir, dir);
	dir[90] = 'd';
	dir[91] = '\0';
	snprintf(text, sizeof text, "[jobqd]\nrun_dir = %s\n", dir);
	snprintf(why, sizeof why, "@/c.conf:2: run_dir: %s has 91 bytes; at most 90, as the path of a socket in it may have 107", dir);
	fixture_refuse(text, why);
	snprintf(text, sizeof text, "[jobqd]\nrun_dir = %s\ndatabase = host=h", dir); /* no socket of PostgreSQL in it */
	ck_assert_str_eq(fixture_load(text)->jobqd.run_dir, dir);
}
END_TEST

START_TEST(a_secret_is_never_told)
{
	fixture_put("two", "tell\nnobody\n");
	fixture_put("none", "\n");
	fixture_env[0] = (char *)"PW=tell\x01nobody";
	fixture_put("c.conf", SMS "gateway_password = file:%s\n", fixture_path("two"));
	ck_assert_ptr_null(fixture_try("c.conf"));
	ck_assert_str_eq(fixture_err, "@/c.conf:4: gateway_password: cannot use the secret file @/two: holds a control character");
	fixture_put("c.conf", SMS "gateway_password = file:%s\n", fixture_path("none"));
	ck_assert_ptr_null(fixture_try("c.conf"));
	ck_assert_str_eq(fixture_err, "@/c.conf:4: gateway_password: cannot use the secret file @/none: it is empty");
	fixture_refuse(SMS "gateway_password = env:PW\n",
		"@/c.conf:4: gateway_password: cannot use the environment variable PW: holds a control character");
}
END_TEST

START_TEST(a_file_that_is_not_there_is_told)
{
	ck_assert_ptr_null(fixture_try("none.conf"));
	ck_assert_str_eq(fixture_err, "@/none.conf: cannot read @/none.conf: No such file or directory");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_refuse");
	TCase *tc = tcase_create("refuse");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, fixture_open, fixture_close);
	tcase_add_loop_test(tc, wrong_files_are_refused_with_every_reason, 0, sizeof cases / sizeof cases[0]);
	tcase_add_loop_test(tc, wrong_variables_are_refused, 0, sizeof variables / sizeof variables[0]);
	tcase_add_test(tc, more_problems_than_fit_are_counted);
	tcase_add_test(tc, too_many_queues_are_refused);
	tcase_add_test(tc, sizes_are_bounded);
	tcase_add_test(tc, includes_are_bounded);
	tcase_add_test(tc, run_dir_must_leave_room_for_sockets);
	tcase_add_test(tc, a_secret_is_never_told);
	tcase_add_test(tc, a_file_that_is_not_there_is_told);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
