/* unit_conf_load: what a good configuration becomes: defaults, layers, includes, environment, secrets, -T, JSON. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf_fixture.h"

START_TEST(an_empty_file_is_all_defaults)
{
	struct conf *c = fixture_load("");

	ck_assert_str_eq(c->path, fixture_path("c.conf"));
	ck_assert_uint_eq(c->nqueues, 0);
	ck_assert_str_eq(c->jobqd.database, "embedded");
	ck_assert_int_eq(c->jobqd.pooler, CONF_POOLER_NONE);
	ck_assert_str_eq(c->jobqd.state_dir, LOCALSTATEDIR "/lib/jobq");
	ck_assert_str_eq(c->jobqd.run_dir, "/run/test");
	ck_assert_str_eq(c->jobqd.pid_file, "/run/test/jobqd.pid");
	ck_assert_str_eq(c->jobqd.user, "");
	ck_assert_str_eq(c->jobqd.log, "stderr");
	ck_assert_int_eq(c->jobqd.log_level, (int)LOG_L_INFO);
	ck_assert_int_eq(c->jobqd.log_format, (int)LOG_F_LOGFMT);
	ck_assert_int_eq(c->jobqd.log_jobs, CONF_LOG_JOBS_FAILED);
	ck_assert_int_eq(c->jobqd.shutdown_timeout, 30 * NS_PER_S);
	ck_assert_int_eq(c->jobqd.dispatch_connections, 2);
	ck_assert_int_eq(c->jobqd.outcome_memory, 64 << 20);
	ck_assert_int_eq(c->jobqd.count_max_age, 10 * NS_PER_S);
	ck_assert_int_eq(c->jobqd.lease, 30 * NS_PER_S);
	ck_assert_int_eq(c->jobqd.poll_min, 50 * NS_PER_MS);
	ck_assert_int_eq(c->jobqd.poll_max, 5 * NS_PER_S);
	ck_assert_str_eq(c->jobqd.listen_database, "");
	ck_assert_int_eq(c->jobqd.tenant_cache_ttl, 300 * NS_PER_S);
	ck_assert_str_eq(c->tenants.source, "jobq.tenants");
	ck_assert_uint_gt(strlen(c->jobqd.node), 0);
}
END_TEST

START_TEST(a_program_and_its_environment)
{
	struct conf *c = fixture_load("[queue exec]\ncommand = \"/usr/bin/python3 '/a b.py' -v\"\nmode = once\nenv = A=file:/x y\nenv = B=\n"
				      "rlimit_cpu = 90s\nrlimit_as = 1GB\nrlimit_nofile = 64\n");
	const struct conf_queue_keys *k = &c->queues[0]->k;

	ck_assert_str_eq(k->command, "/usr/bin/python3 '/a b.py' -v");
	ck_assert_int_eq(k->mode, CONF_MODE_ONCE);
	ck_assert_str_eq(k->env, "A=file:/x y\nB="); /* literally: no reference is followed */
	ck_assert_int_eq(k->rlimit_cpu, 90 * NS_PER_S);
	ck_assert_int_eq(k->rlimit_as, 1 << 30);
	ck_assert_int_eq(k->rlimit_nofile, 64);
	ck_assert_int_eq(k->rlimit_nproc, 0);
	ck_assert_int_eq(k->max_output, 1 << 20);
	ck_assert_str_eq(fixture_value(c, "queue.exec.env"), "A=********\nB=********");
}
END_TEST

START_TEST(a_queue_has_all_defaults)
{
	struct conf *c = fixture_load("[queue null]");
	const struct conf_queue *q = conf_queue_find(c, "null");

	ck_assert_ptr_nonnull(q);
	ck_assert_ptr_null(conf_queue_find(c, "nul"));
	ck_assert_str_eq(q->k.handler, "null");
	ck_assert_int_eq(q->k.workers, 5);
	ck_assert_int_eq(q->k.concurrency, 1);
	ck_assert_int_eq(q->k.group_by, CONF_GROUP_BY_TENANT);
	ck_assert_int_eq(q->k.rate_limit.count, 0);
	ck_assert_int_eq(q->k.rate_burst, 0);
	ck_assert_int_eq(q->k.batch_size, 25);
	ck_assert_int_eq(q->k.batch_min, 5);
	ck_assert_int_eq(q->k.batch_max, 50);
	ck_assert_int_eq(q->k.buffer_max, 1000);
	ck_assert_int_eq(q->k.buffer_max_bytes, 16 << 20);
	ck_assert_int_eq(q->k.preset, CONF_PRESET_NONE);
	ck_assert_int_eq(q->k.rate_unit, CONF_RATE_UNIT_JOBS);
	ck_assert(q->k.batch_adaptive && q->k.batch_priority_flush);
	ck_assert_int_eq(q->k.tenant_rate_limit.count, 0);
	ck_assert_int_eq(q->k.tenant_concurrency, 0);
	ck_assert_int_eq(q->k.aging, 600 * NS_PER_S);
	ck_assert_int_eq(q->k.batch_target, 2 * NS_PER_S);
	ck_assert_int_eq(q->k.batch_timeout, 0);
	ck_assert_int_eq(q->k.batch_timeout_high, 0);
	ck_assert_int_eq(q->k.batch_timeout_urgent, 0);
	ck_assert_int_eq(q->k.buffer_max_age, 3600 * NS_PER_S);
	ck_assert_int_eq(q->k.max_retries, 3);
	ck_assert_int_eq(q->k.retry_backoff.kind, BACKOFF_EXPONENTIAL);
	ck_assert_int_eq(q->k.retry_backoff.first_ns, 5 * NS_PER_S);
	ck_assert_int_eq(q->k.retry_backoff.max_ns, 3600 * NS_PER_S);
	ck_assert_int_eq(q->k.job_timeout, 300 * NS_PER_S);
	ck_assert_int_eq(q->k.retain_completed, 30 * 24 * 3600 * NS_PER_S);
	ck_assert_int_eq(q->k.retain_failed, 90 * 24 * 3600 * NS_PER_S);
	ck_assert_int_eq(q->k.max_jobs_per_worker, 0);
	ck_assert_int_eq(q->k.max_rss, 0);
	ck_assert_str_eq(q->k.gateway_url, "");
	ck_assert_int_eq(q->k.on_uncertain, CONF_ON_UNCERTAIN_HOLD);
	ck_assert_ptr_null(conf_json(c, "queue.null.gateway_url"));
}
END_TEST

START_TEST(every_type_is_read)
{
	struct conf *c = fixture_load("\xef\xbb\xbf[jobqd]\r\n"
		"database = \"host=/run/postgresql dbname=shop password='a # b'\"\r\n"
		"pooler = transaction\r\nlog_level = debug\r\noutcome_memory = 2MB\r\nlease = 1min30s\r\nnode = n1 ; the first\r\n"
		"[queue texts]\r\nhandler = sms\r\ndriver = json\r\ngateway_url = https://gw.example:8443/v1/send\r\n"
		"body = {\"to\": \"{to}\", \"text\": \"{text}\"} # both\r\nheaders = Accept: application/json\r\nheaders=X-Key:  k # y\r\n"
		"rate_limit = 600/min\r\nretry_backoff = fixed 10s\r\ngroup_by = none\r\nmax_rss = 100MB\r\nmax_jobs_per_worker = off\r\n"
		"retain_completed = 0");
	const struct conf_queue_keys *k = &c->queues[0]->k;

	ck_assert_str_eq(c->jobqd.database, "host=/run/postgresql dbname=shop password='a # b'");
	ck_assert_int_eq(c->jobqd.pooler, CONF_POOLER_TRANSACTION);
	ck_assert_int_eq(c->jobqd.log_level, CONF_LOG_LEVEL_DEBUG);
	ck_assert_int_eq(c->jobqd.outcome_memory, 2 << 20);
	ck_assert_int_eq(c->jobqd.lease, 90 * NS_PER_S);
	ck_assert_str_eq(c->jobqd.node, "n1");
	ck_assert_str_eq(c->queues[0]->name, "texts");
	ck_assert_str_eq(k->handler, "sms");
	ck_assert_int_eq(k->driver, CONF_DRIVER_JSON);
	ck_assert_str_eq(k->gateway_url, "https://gw.example:8443/v1/send");
	ck_assert_str_eq(k->body, "{\"to\": \"{to}\", \"text\": \"{text}\"}");
	ck_assert_str_eq(k->headers, "Accept: application/json\nX-Key: k");
	ck_assert_int_eq(k->rate_limit.count, 600);
	ck_assert_int_eq(k->rate_limit.period_ns, 60 * NS_PER_S);
	ck_assert_int_eq(k->rate_burst, 1);
	ck_assert_int_eq(k->retry_backoff.kind, BACKOFF_FIXED);
	ck_assert_int_eq(k->group_by, CONF_GROUP_BY_NONE);
	ck_assert_int_eq(k->max_rss, 100 << 20);
	ck_assert_int_eq(k->max_jobs_per_worker, 0);
	ck_assert_int_eq(k->retain_completed, 0);
}
END_TEST

START_TEST(mail_is_encrypted_beyond_this_host)
{
	static const struct { const char *url; int tls; } cases[] = {
		{"smtp://mail.example:587", CONF_SMTP_TLS_REQUIRE}, {"smtps://mail.example", CONF_SMTP_TLS_REQUIRE},
		{"smtp://127.0.0.1.mail.example", CONF_SMTP_TLS_REQUIRE}, {"smtp://[2001:db8::1]:25", CONF_SMTP_TLS_REQUIRE},
		{"smtp://localhost.example", CONF_SMTP_TLS_REQUIRE}, {"smtp://localhost", CONF_SMTP_TLS_OFF},
		{"SMTP://LOCALHOST:25/", CONF_SMTP_TLS_OFF}, {"smtp://127.0.0.2:2525", CONF_SMTP_TLS_OFF}, {"smtp://[::1]:25", CONF_SMTP_TLS_OFF},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[200];
		ck_assert_int_gt(snprintf(text, sizeof text, "[queue email]\nsmtp_url = %s\n", cases[i].url), 0);
		const struct conf_queue_keys *k = &fixture_load(text)->queues[0]->k;
		ck_assert_msg((int)k->smtp_tls == cases[i].tls, "%s", cases[i].url);
		ck_assert_int_eq(k->max_connections, 5);
		ck_assert_int_eq(k->max_messages_per_connection, 100);
	}
	const struct conf_queue_keys *k = &fixture_load("[queue email]\nsmtp_url = smtp://localhost\nsmtp_tls = try\nsmtp_user = u\n"
		"smtp_password = p\nattachment_dir = /srv/mail")->queues[0]->k;
	ck_assert_int_eq((int)k->smtp_tls, CONF_SMTP_TLS_TRY);
	ck_assert_str_eq(k->attachment_dir, "/srv/mail");
}
END_TEST

START_TEST(built_in_bounds_give_way_to_what_is_written)
{
	struct conf *c = fixture_load("[queue null]\nbatch_size = 1\n[queue sleep]\nbatch_size = 1000\nrate_limit = 55/s\n"
		"[queue both]\nhandler = null\nbatch_max = 1024\nbuffer_max = 1024\nrate_limit = 500/15s\nrate_burst = 7");

	ck_assert_int_eq(c->queues[0]->k.batch_min, 1);
	ck_assert_int_eq(c->queues[0]->k.batch_max, 50);
	ck_assert_int_eq(c->queues[1]->k.batch_min, 5);
	ck_assert_int_eq(c->queues[1]->k.batch_max, 1000);
	ck_assert_int_eq(c->queues[1]->k.buffer_max, 1000);
	ck_assert_int_eq(c->queues[1]->k.rate_burst, 5);
	ck_assert_int_eq(c->queues[2]->k.rate_burst, 7);
	ck_assert_str_eq(fixture_value(c, "queue.sleep.batch_max"), "1000");
	ck_assert_str_eq(fixture_origin(c, "queue.sleep.batch_max"), "built in");
	ck_assert_str_eq(fixture_value(c, "queue.sleep.rate_burst"), "5");
}
END_TEST

struct three { /* the waits of a part batch, seconds */
	const char *text;
	int64_t normal, high, urgent, age;
};

static const struct three waits[] = {
	{"batch_timeout = 300s", 300, 120, 60, 3600},
	{"batch_timeout = 300s\nbatch_timeout_high = 30s", 300, 30, 30, 3600},
	{"batch_timeout = 300s\nbatch_timeout_high = off\nbatch_timeout_urgent =", 300, 120, 60, 3600},
	{"batch_timeout = 300s\nbatch_timeout_urgent = 200s", 300, 200, 200, 3600},
	{"batch_timeout = 300s\nbatch_timeout_high = 0", 300, 0, 0, 3600},
	{"batch_timeout = 2h", 7200, 2880, 1440, 7200},
	{"preset = standard", 300, 120, 60, 3600},
	{"preset = standard\nbatch_timeout = 10s", 10, 4, 2, 3600},
	{"preset = standard\nbatch_timeout = 0", 0, 0, 0, 3600},
	{"preset = standard\nbatch_timeout = 150s", 150, 120, 60, 3600},
	{"preset = standard\nbatch_timeout_high = 30s", 300, 30, 30, 3600},
	{"preset = standard\nbatch_timeout_urgent = 200s", 300, 200, 200, 3600},
	{"preset = memory_efficient\nbatch_timeout = 20min", 1200, 60, 30, 1200},
};

START_TEST(waits_fit_each_other)
{
	const struct three *want = &waits[_i];
	char text[256];
	const struct conf_queue_keys *k;

	snprintf(text, sizeof text, "[queue null]\n%s\n", want->text);
	k = &fixture_load(text)->queues[0]->k;
	ck_assert_int_eq(k->batch_timeout, want->normal * NS_PER_S);
	ck_assert_int_eq(k->batch_timeout_high, want->high * NS_PER_S);
	ck_assert_int_eq(k->batch_timeout_urgent, want->urgent * NS_PER_S);
	ck_assert_int_eq(k->buffer_max_age, want->age * NS_PER_S);
}
END_TEST

struct preset {
	const char *name;
	int64_t size, min, max, normal, high, urgent, buffer, age, mb;
};

static const struct preset presets[] = {
	{"none", 25, 5, 50, 0, 0, 0, 1000, 3600, 16},
	{"standard", 25, 5, 50, 300, 120, 60, 1000, 3600, 16},
	{"high_performance", 50, 10, 200, 60, 20, 5, 5000, 3600, 64},
	{"memory_efficient", 10, 5, 25, 120, 60, 30, 250, 600, 2},
};

START_TEST(a_preset_is_a_set_of_defaults)
{
	const struct preset *p = &presets[_i];
	char text[64], origin[64];
	const struct conf_queue_keys *k;
	struct conf *c;

	snprintf(text, sizeof text, "[queue null]\npreset = %s\n", p->name);
	snprintf(origin, sizeof origin, _i == 0 ? "built in" : "preset %s", p->name);
	c = fixture_load(text);
	k = &c->queues[0]->k;
	ck_assert_int_eq(k->preset, _i);
	ck_assert_int_eq(k->batch_size, p->size);
	ck_assert_int_eq(k->batch_min, p->min);
	ck_assert_int_eq(k->batch_max, p->max);
	ck_assert_int_eq(k->batch_timeout, p->normal * NS_PER_S);
	ck_assert_int_eq(k->batch_timeout_high, p->high * NS_PER_S);
	ck_assert_int_eq(k->batch_timeout_urgent, p->urgent * NS_PER_S);
	ck_assert_int_eq(k->buffer_max, p->buffer);
	ck_assert_int_eq(k->buffer_max_age, p->age * NS_PER_S);
	ck_assert_int_eq(k->buffer_max_bytes, p->mb << 20);
	ck_assert_str_eq(fixture_origin(c, "queue.null.batch_max"), origin);
	ck_assert_str_eq(fixture_origin(c, "queue.null.batch_timeout_high"), origin);
	ck_assert_str_eq(fixture_origin(c, "queue.null.batch_target"), "built in");
	ck_assert_str_eq(fixture_origin(c, "queue.null.preset"), "@/c.conf:2");
}
END_TEST

START_TEST(a_preset_lies_beneath_what_is_written)
{
	struct conf *c;

	fixture_env[0] = (char *)"BATCH_SIZE_THRESHOLD=40";
	fixture_env[1] = (char *)"BATCH_PERFORMANCE_TARGET_MS=1500";
	fixture_env[2] = (char *)"JOBQ_QUEUE_D_PRESET=memory_efficient";
	fixture_env[3] = (char *)"JOBQ_QUEUE_C_BATCH_SIZE=12";
	c = fixture_load("[queue *]\nhandler = null\npreset = standard\nbuffer_max = 900\n[queue a]\nbatch_size = 7\n[queue b]\npreset = none\n"
		"[queue c]\npreset = high_performance\n[queue d]\npreset = none\n[queue e]\nbatch_size = 60\nbatch_timeout = 10s\n");
	ck_assert_int_eq(c->queues[0]->k.batch_size, 7);
	ck_assert_int_eq(c->queues[0]->k.batch_max, 50);
	ck_assert_int_eq(c->queues[0]->k.buffer_max, 900);
	ck_assert_str_eq(fixture_origin(c, "queue.a.preset"), "[queue *] @/c.conf:3");
	ck_assert_str_eq(fixture_origin(c, "queue.a.buffer_max"), "[queue *] @/c.conf:4");
	ck_assert_str_eq(fixture_origin(c, "queue.a.batch_min"), "preset standard");
	ck_assert_int_eq(c->queues[1]->k.batch_size, 40); /* no preset: the old variable */
	ck_assert_int_eq(c->queues[1]->k.batch_timeout, 0);
	ck_assert_str_eq(fixture_origin(c, "queue.b.batch_size"), "environment BATCH_SIZE_THRESHOLD");
	ck_assert_int_eq(c->queues[2]->k.batch_size, 12);
	ck_assert_int_eq(c->queues[2]->k.batch_max, 200);
	ck_assert_int_eq(c->queues[2]->k.batch_target, 1500 * NS_PER_MS); /* what the preset does not set */
	ck_assert_str_eq(fixture_origin(c, "queue.c.batch_target"), "environment BATCH_PERFORMANCE_TARGET_MS");
	ck_assert_int_eq(c->queues[3]->k.batch_size, 10);
	ck_assert_str_eq(fixture_origin(c, "queue.d.preset"), "environment JOBQ_QUEUE_D_PRESET");
	ck_assert_int_eq(c->queues[4]->k.batch_max, 60); /* it gives way as a built-in bound does */
	ck_assert_int_eq(c->queues[4]->k.batch_timeout_high, 4 * NS_PER_S);
	ck_assert_str_eq(fixture_value(c, "queue.e.batch_timeout_high"), "4s");
}
END_TEST

START_TEST(pools_have_sections_of_their_own)
{
	struct conf *c;

	fixture_env[0] = (char *)"DB_POOL_MAX=7";
	fixture_env[1] = (char *)"DB_POOL_MIN=1";
	fixture_env[2] = (char *)"JOBQ_POOL_B_ACQUIRE_TIMEOUT=2s";
	c = fixture_load("[queue null]\n[pool *]\nidle_timeout = 1min\n[pool a]\ndatabase = host=h password=x\nmax = 1\n[pool b]\nmin = 2\n[pool a]\n");
	ck_assert_uint_eq(c->npools, 2); /* nobody uses the default one */
	const struct conf_pool *a = conf_pool_find(c, "a"), *b = conf_pool_find(c, "b");
	ck_assert_str_eq(a->k.database, "host=h password=x");
	ck_assert_str_eq(b->k.database, "");
	ck_assert_int_eq(a->k.max, 1);
	ck_assert_int_eq(b->k.max, 7);
	ck_assert_int_eq(b->k.min, 2);
	ck_assert_int_eq(a->k.idle_timeout, 60 * NS_PER_S);
	ck_assert_int_eq(b->k.acquire_timeout, 2 * NS_PER_S);
	ck_assert_str_eq(fixture_value(c, "pool.a.database"), "********");
	ck_assert_str_eq(fixture_origin(c, "pool.b.max"), "environment DB_POOL_MAX");
	ck_assert_str_eq(fixture_origin(c, "pool.a.idle_timeout"), "[pool *] @/c.conf:3");
	ck_assert_ptr_null(conf_pool_find(c, "default"));
	ck_assert_ptr_null(conf_pool_of(c, c->queues[0]));
}
END_TEST

#define IMPORT "allow_url = on\ntables = a\n"

START_TEST(a_queue_without_pool_has_the_default_one)
{
	struct conf *c = fixture_load("[queue import]\nworkers = 12\n" IMPORT "[queue b]\nhandler = import\npool = p\n" IMPORT "[pool p]\nmax = 5\n");

	ck_assert_uint_eq(c->npools, 2);
	ck_assert_str_eq(conf_pool_of(c, c->queues[0])->name, "default");
	ck_assert_int_eq(conf_pool_of(c, c->queues[0])->k.max, 12); /* each worker has one */
	ck_assert_str_eq(conf_pool_of(c, c->queues[1])->name, "p");
	ck_assert_int_eq(c->queues[0]->k.job_timeout, 3600 * NS_PER_S);
	ck_assert_int_eq(c->queues[0]->k.batch_size, 1);
	ck_assert_int_eq(c->queues[0]->k.batch_min, 1);
}
END_TEST

START_TEST(old_variables_are_defaults_for_every_queue)
{
	struct conf *c;

	fixture_env[0] = (char *)"BATCH_SIZE_THRESHOLD=60";
	fixture_env[1] = (char *)"BATCH_MAX_BUFFER_SIZE=2000";
	fixture_env[2] = (char *)"BATCH_TIME_THRESHOLD_SEC=20";
	fixture_env[3] = (char *)"BATCH_ENABLE_ADAPTIVE_SIZING=false";
	fixture_env[4] = (char *)"BATCH_ENABLE_PRIORITY_FLUSHING=0";
	fixture_env[5] = (char *)"BATCH_PERFORMANCE_TARGET_MS=";
	fixture_env[6] = (char *)"ENABLE_BATCH_OPTIMIZATION=perhaps"; /* of a later version, and so of no concern */
	fixture_env[7] = (char *)"DB_POOL_MAX=5";
	fixture_env[8] = (char *)"BATCH_SIZE=nonsense";
	c = fixture_load("[queue null]\n[queue sleep]\nbatch_timeout = 5s\nbatch_adaptive = on\n");
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(c->queues[i]->k.batch_size, 60);
		ck_assert_int_eq(c->queues[i]->k.batch_max, 60);
		ck_assert_int_eq(c->queues[i]->k.buffer_max, 2000);
		ck_assert(c->queues[i]->k.batch_adaptive == (i == 1));
		ck_assert(!c->queues[i]->k.batch_priority_flush);
		ck_assert_int_eq(c->queues[i]->k.batch_target, 2 * NS_PER_S);
		ck_assert_int_eq(c->queues[i]->k.batch_timeout, (i ? 5 : 20) * NS_PER_S);
		ck_assert_int_eq(c->queues[i]->k.batch_timeout_high, (i ? 2 : 8) * NS_PER_S);
	}
	ck_assert_str_eq(fixture_origin(c, "queue.null.batch_adaptive"), "environment BATCH_ENABLE_ADAPTIVE_SIZING");
	ck_assert_str_eq(fixture_value(c, "queue.null.batch_timeout"), "20s");
	fixture_env[0] = (char *)"ENABLE_PARALLEL_PROCESSING=false";
	fixture_env[1] = NULL;
	ck_assert_int_eq(fixture_load("[queue null]\n")->queues[0]->k.batch_size, 25);
}
END_TEST

START_TEST(tenants_have_a_section)
{
	struct conf *c = fixture_load("[tenants]\nsource = shop.\"Stores\"\n[queue null]\ntenant_rate_limit = 5/s\n");
	char *all;

	ck_assert_str_eq(c->tenants.source, "shop.\"Stores\"");
	ck_assert_str_eq(fixture_origin(c, "tenants.source"), "@/c.conf:2");
	ck_assert_str_eq(fixture_origin(c, "tenants"), "@/c.conf:2");
	ck_assert_ptr_null(conf_json(c, "source"));
	ck_assert_ptr_null(conf_json(c, "jobqd.source"));
	all = fixture_effective(c);
	ck_assert_ptr_nonnull(strstr(all, "\n[tenants]\nsource = shop.\"Stores\"  # "));
	free(all);
	fixture_env[0] = (char *)"JOBQ_TENANTS_SOURCE=a.b";
	ck_assert_str_eq(fixture_load("")->tenants.source, "a.b");
}
END_TEST

START_TEST(reports_have_a_section)
{
	struct conf *c = fixture_load("[report]\ninterval = 10min\n[queue null]\n");

	ck_assert_int_eq(c->report.interval, INT64_C(600000000000));
	ck_assert_str_eq(fixture_origin(c, "report.interval"), "@/c.conf:2");
	ck_assert_int_eq(c->queues[0]->k.throughput_target.count, 10);
	ck_assert_int_eq(fixture_load("[queue null]\nthroughput_target = off\n")->queues[0]->k.throughput_target.count, 0);
	ck_assert_int_eq(fixture_load("[report]\ninterval = off\n")->report.interval, 0);
	ck_assert_int_eq(fixture_load("")->report.interval, 0);
	fixture_env[0] = (char *)"JOBQ_REPORT_INTERVAL=1s";
	ck_assert_int_eq(fixture_load("")->report.interval, INT64_C(1000000000));
}
END_TEST

START_TEST(the_later_layer_wins_and_says_so)
{
	struct conf *c;

	fixture_env[0] = (char *)"JOBQ_QUEUE_A_B_MAX_RETRIES=9";
	fixture_env[1] = (char *)"JOBQ_LEASE=1min";
	fixture_env[2] = (char *)"HOME=/root";
	fixture_env[3] = (char *)"JOBQ_SOCKET=/tmp/s";
	fixture_env[4] = (char *)"JOBQ_FAULT_ONCE=x";
	c = fixture_load("[jobqd]\nlease = 10s\n[queue *]\nhandler = null\nworkers = 2\nmax_retries = 7\nsleep = 1s\n"
		"[queue a.b]\nworkers = 3\nmax_retries = 8\n[queue plain]\n[queue nap]\nhandler = sleep");
	ck_assert_int_eq(c->jobqd.lease, 60 * NS_PER_S);
	ck_assert_str_eq(fixture_origin(c, "lease"), "environment JOBQ_LEASE");
	ck_assert_str_eq(fixture_origin(c, "jobqd.lease"), "environment JOBQ_LEASE");
	ck_assert_int_eq(c->queues[0]->k.max_retries, 9);
	ck_assert_str_eq(fixture_origin(c, "queue.a.b.max_retries"), "environment JOBQ_QUEUE_A_B_MAX_RETRIES");
	ck_assert_int_eq(c->queues[0]->k.workers, 3);
	ck_assert_str_eq(fixture_origin(c, "queue.a.b.workers"), "@/c.conf:9");
	ck_assert_int_eq(c->queues[1]->k.workers, 2);
	ck_assert_str_eq(fixture_origin(c, "queue.plain.workers"), "[queue *] @/c.conf:5");
	ck_assert_str_eq(fixture_origin(c, "queue.plain.batch_size"), "built in");
	ck_assert_str_eq(c->queues[1]->k.handler, "null");
	ck_assert_str_eq(c->queues[2]->k.handler, "sleep");
	ck_assert_int_eq(c->queues[2]->k.sleep, NS_PER_S); /* of [queue *], for queues of that handler alone */
	ck_assert_ptr_null(conf_json(c, "queue.plain.sleep"));
	ck_assert_int_eq(c->queues[1]->k.sleep, 0);
}
END_TEST

START_TEST(a_list_is_taken_from_one_layer)
{
	struct conf *c;
	static const char text[] = "[queue *]\nhandler = sms\ngateway_url = http://h/\ngateway_user = u\nheaders = A: 1\nheaders = B: 2\n"
				   "[queue x]\nheaders = C: 3\n[queue y]\n[queue z]\nheaders =\n";

	c = fixture_load(text);
	ck_assert_str_eq(c->queues[0]->k.headers, "C: 3");
	ck_assert_str_eq(c->queues[1]->k.headers, "A: 1\nB: 2");
	ck_assert_str_eq(c->queues[2]->k.headers, "");
	fixture_env[0] = (char *)"JOBQ_QUEUE_Y_HEADERS=D: 4\nE: 5";
	c = fixture_load(text);
	ck_assert_str_eq(c->queues[1]->k.headers, "D: 4\nE: 5");
}
END_TEST

START_TEST(includes_are_relative_and_later_wins)
{
	struct conf *c;

	fixture_put("10.inc", "poll_max = 9s\nlease = 20s\n[queue null]\nworkers = 7\n");
	fixture_put("20.inc", "[queue null]\nworkers = 8\n[queue sleep]");
	fixture_put("one", "log_level = warn\n");
	c = fixture_load("[jobqd]\nlease = 10s\n%include *.inc\npoll_min = 60ms\n%include one # last\n%include none/*.inc");
	ck_assert_int_eq(c->jobqd.lease, 20 * NS_PER_S);
	ck_assert_str_eq(fixture_origin(c, "lease"), "@/10.inc:2");
	ck_assert_int_eq(c->jobqd.poll_max, 9 * NS_PER_S);
	ck_assert_int_eq(c->jobqd.poll_min, 60 * NS_PER_MS); /* the section is [jobqd] again behind the include */
	ck_assert_int_eq(c->jobqd.log_level, CONF_LOG_LEVEL_WARN);
	ck_assert_int_eq(c->queues[0]->k.workers, 8);
	ck_assert_uint_eq(c->nqueues, 2);
}
END_TEST

static const char sms[] = "[queue sms]\ngateway_url = http://127.0.0.1:13013/cgi-bin/sendsms\ngateway_user = u\n";

START_TEST(secrets_come_from_files_and_the_environment)
{
	struct conf *c;
	char text[1024], err[CONF_ERROR_MAX], *all;

	fixture_put("password", "se cret\n");
	fixture_put("auth", "Bearer tok\r\n");
	fixture_env[0] = (char *)"DB=postgresql://u:hidden@h/d";
	snprintf(text, sizeof text, "[jobqd]\ndatabase = env:DB\nlisten_database = host=x password=hidden\n%sgateway_password = file:%s\n", sms,
		fixture_path("password"));
	snprintf(text + strlen(text), sizeof text - strlen(text), "headers = Authorization: file:%s\nheaders = X-A: hidden\n", fixture_path("auth"));
	c = fixture_load(text);
	ck_assert_str_eq(c->jobqd.database, "postgresql://u:hidden@h/d");
	ck_assert_str_eq(c->queues[0]->k.gateway_password, "se cret");
	ck_assert_str_eq(c->queues[0]->k.headers, "Authorization: Bearer tok\nX-A: hidden");
	ck_assert_str_eq(fixture_value(c, "database"), "env:DB");
	ck_assert_str_eq(fixture_value(c, "listen_database"), "********");
	ck_assert_str_eq(fixture_value(c, "queue.sms.gateway_password"), "file:@/password");
	ck_assert_str_eq(fixture_value(c, "queue.sms.headers"), "Authorization: file:@/auth\nX-A: ********");
	all = fixture_effective(c);
	ck_assert_ptr_null(strstr(all, "hidden"));
	ck_assert_ptr_null(strstr(all, "se cret"));
	ck_assert_ptr_null(strstr(all, "tok"));
	free(all);

	ck_assert_int_eq(unlink(fixture_path("password")), 0); /* who needs no secret is not stopped by one that is not there */
	ck_assert_ptr_null(fixture_try("c.conf"));
	c = conf_load_public(fixture_path("c.conf"), fixture_environment(), err);
	ck_assert_msg(c != NULL, "%s", err);
	ck_assert_str_eq(c->jobqd.database, "env:DB");
	ck_assert_str_eq(c->jobqd.run_dir, "/run/test");
	conf_free(c);
}
END_TEST

START_TEST(a_secret_that_all_may_read_is_a_warning)
{
	char text[1024], line[1024];
	const char *log;
	size_t n;
	FILE *f;

	fixture_put("password", "hush\n");
	ck_assert_int_eq(chmod(fixture_path("password"), 0644), 0);
	snprintf(text, sizeof text, "%sgateway_password = file:%s\n", sms, fixture_path("password"));
	log = fixture_path("log");
	ck_assert_int_eq(log_open(log, LOG_F_LOGFMT, LOG_L_WARN), 0);
	ck_assert_str_eq(fixture_load(text)->queues[0]->k.gateway_password, "hush");
	f = fopen(fixture_path("log"), "r");
	ck_assert_ptr_nonnull(f);
	n = fread(line, 1, sizeof line - 1, f);
	line[n] = '\0';
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_ptr_nonnull(strstr(line, "everybody may read the secret file"));
	ck_assert_ptr_null(strstr(line, "hush"));
	ck_assert_int_eq(log_open("stderr", LOG_F_LOGFMT, LOG_L_INFO), 0);
}
END_TEST

START_TEST(the_effective_configuration_loads_again)
{
	struct conf *c = fixture_load("[jobqd]\nnode = n\n[queue *]\nworkers = 2\n[queue sms]\ngateway_url = http://h/#\n"
		"gateway_user = \" # u\\\"\"\nfrom = \"a ; b\"\nrate_limit = 7/s\nbody = {\"a\": \"b # c\"}\nbatch_size = 100\n[queue null]\n");
	char *first = fixture_effective(c), *second;
	struct conf *again;

	fixture_put("again.conf", "%s", first);
	again = fixture_try("again.conf");
	ck_assert_msg(again != NULL, "%s\n%s", fixture_err, first);
	ck_assert_str_eq(again->queues[0]->k.gateway_user, " # u\"");
	ck_assert_str_eq(again->queues[0]->k.from, "a ; b");
	ck_assert_str_eq(again->queues[0]->k.body, "{\"a\": \"b # c\"}");
	ck_assert_int_eq(again->queues[0]->k.batch_max, 100);
	ck_assert_int_eq(again->queues[1]->k.rate_burst, 0);
	ck_assert_ptr_nonnull(strstr(first, "rate_limit = 7/s  # /"));
	ck_assert_ptr_nonnull(strstr(first, "workers = 2  # [queue *] /"));
	ck_assert_ptr_nonnull(strstr(first, "rate_limit = off  # built in\n"));
	second = fixture_effective(again);
	for (char *a = first, *b = second; (a = strstr(a, " = ")) != NULL; a++, b++) { /* the same values in the same order */
		b = strstr(b, " = ");
		ck_assert_ptr_nonnull(b);
		ck_assert_uint_eq((size_t)(strstr(a, "  # ") - a), (size_t)(strstr(b, "  # ") - b));
		ck_assert_mem_eq(a, b, (size_t)(strstr(a, "  # ") - a));
	}
	free(second);
	free(first);
}
END_TEST

START_TEST(json_gives_a_key_a_section_or_all)
{
	struct conf *c = fixture_load("[queue null]\n[queue sleep]\n");
	json_t *all = conf_json(c, NULL), *one = conf_json(c, "queue.sleep.sleep"), *section = conf_json(c, "queue.null");

	ck_assert_uint_gt(json_array_size(all), json_array_size(section));
	ck_assert_uint_gt(json_array_size(section), 10);
	ck_assert_uint_eq(json_array_size(one), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(one, 0), "key")), "queue.sleep.sleep");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(one, 0), "value")), "0");
	ck_assert_ptr_null(conf_json(c, "queue.sleep.slep"));
	ck_assert_ptr_null(conf_json(c, ""));
	json_decref(all);
	json_decref(one);
	json_decref(section);
}
END_TEST

START_TEST(a_relative_path_becomes_absolute)
{
	char cwd[512], err[CONF_ERROR_MAX];
	struct conf *c;

	fixture_put("c.conf", "[jobqd]\nlease = 5s\n");
	ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
	ck_assert_int_eq(chdir(fixture_path("")), 0);
	c = conf_load("c.conf", fixture_environment(), err);
	ck_assert_msg(c != NULL, "%s", err);
	ck_assert_int_eq(c->path[0], '/');
	ck_assert_str_eq(c->path + strlen(c->path) - 7, "/c.conf");
	ck_assert_str_eq(fixture_origin(c, "lease"), "c.conf:2");
	conf_free(c);
	ck_assert_int_eq(chdir(cwd), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_load");
	TCase *tc = tcase_create("load");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, fixture_open, fixture_close);
	tcase_add_test(tc, an_empty_file_is_all_defaults);
	tcase_add_test(tc, a_queue_has_all_defaults);
	tcase_add_test(tc, a_program_and_its_environment);
	tcase_add_test(tc, every_type_is_read);
	tcase_add_test(tc, mail_is_encrypted_beyond_this_host);
	tcase_add_test(tc, built_in_bounds_give_way_to_what_is_written);
	tcase_add_loop_test(tc, waits_fit_each_other, 0, sizeof waits / sizeof waits[0]);
	tcase_add_loop_test(tc, a_preset_is_a_set_of_defaults, 0, sizeof presets / sizeof presets[0]);
	tcase_add_test(tc, a_preset_lies_beneath_what_is_written);
	tcase_add_test(tc, pools_have_sections_of_their_own);
	tcase_add_test(tc, a_queue_without_pool_has_the_default_one);
	tcase_add_test(tc, old_variables_are_defaults_for_every_queue);
	tcase_add_test(tc, tenants_have_a_section);
	tcase_add_test(tc, reports_have_a_section);
	tcase_add_test(tc, the_later_layer_wins_and_says_so);
	tcase_add_test(tc, a_list_is_taken_from_one_layer);
	tcase_add_test(tc, includes_are_relative_and_later_wins);
	tcase_add_test(tc, secrets_come_from_files_and_the_environment);
	tcase_add_test(tc, a_secret_that_all_may_read_is_a_warning);
	tcase_add_test(tc, the_effective_configuration_loads_again);
	tcase_add_test(tc, json_gives_a_key_a_section_or_all);
	tcase_add_test(tc, a_relative_path_becomes_absolute);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
