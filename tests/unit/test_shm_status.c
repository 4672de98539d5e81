/*
 * unit_shm_status: the status document against the keys that the interface promises, its numbers against what was put
 * into the segment, its order, and its validity whatever the texts in the segment are.
 */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "shm/cell.h"
#include "shm/hist.h"
#include "shm/limit.h"
#include "shm/status.h"

#define MONO (1000 * NS_PER_S)
#define REAL (INT64_C(1700000000) * US_PER_S)

static struct shm *shm;

static void setup(void)
{
	char name[64], dir[64], err[512];

	(void)snprintf(dir, sizeof dir, "/tmp/unit-shm-status-%ld", (long)getpid());
	shm_seg_name(name, dir);
	shm = shm_seg_create(name, 5, 6, err, sizeof err);
	ck_assert_msg(shm != NULL, "%s", err);
	clock_set(MONO, MONO, REAL);
}

static void teardown(void)
{
	clock_unset();
	shm_seg_unlink(shm);
	shm_seg_detach(shm);
}

static struct shm_queue *queue(uint32_t index, const char *name, uint32_t state, int64_t oldest_s)
{
	struct shm_queue *q = shm_queue_at(shm, index);

	shm_cell_set(&q->name, name);
	shm_cell_set(&q->handler, name);
	atomic_store(&q->used, 1);
	atomic_store(&q->state, state);
	atomic_store(&q->oldest_pending_real_us, oldest_s == 0 ? 0 : REAL - oldest_s * US_PER_S);
	return q;
}

static struct shm_slot *process(uint32_t index, uint32_t role, uint32_t queue_index, uint32_t number, uint32_t state)
{
	struct shm_slot *s = shm_slot_at(shm, index);

	atomic_store(&s->role, role);
	atomic_store(&s->queue, queue_index);
	atomic_store(&s->number, number);
	atomic_store(&s->pid, 100 + index);
	atomic_store(&s->state, state);
	atomic_store(&s->started_mono_ns, MONO - 5 * NS_PER_S);
	return s;
}

/* what stands at "a.b.0.c" */
static json_t *at(json_t *doc, const char *path)
{
	char copy[128], *save = NULL;

	text_copy(copy, sizeof copy, path);
	for (char *part = strtok_r(copy, ".", &save); part != NULL && doc != NULL; part = strtok_r(NULL, ".", &save))
		doc = json_is_array(doc) ? json_array_get(doc, (size_t)atoi(part)) : json_object_get(doc, part);
	ck_assert_msg(doc != NULL, "no %s", path);
	return doc;
}

static void number_is(json_t *doc, const char *path, double want)
{
	double got = json_number_value(at(doc, path));

	ck_assert_msg(json_is_number(at(doc, path)) && got > want - 1e-9 && got < want + 1e-9, "%s is %f, not %f", path, got, want);
}

static void text_is(json_t *doc, const char *path, const char *want)
{
	ck_assert_str_eq(json_string_value(at(doc, path)), want);
}

static void null_is(json_t *doc, const char *path)
{
	ck_assert_msg(json_is_null(at(doc, path)), "%s is not null", path);
}

/* the keys of docs (interfaces, `jobqctl status --json`), all of them */
static const char *const promised[] = {
	"version", "node", "pid", "uptime_s", "config.path", "config.generation", "config.ok", "config.error", "database.state",
	"database.target", "database.embedded", "database.schema", "database.last_error", "counts_age_s", "queues.0.name", "queues.0.handler",
	"queues.0.state", "queues.0.workers.want", "queues.0.workers.ready", "queues.0.pending", "queues.0.scheduled", "queues.0.in_flight",
	"queues.0.held", "queues.0.oldest_pending_s", "queues.0.completed", "queues.0.failed", "queues.0.retried", "queues.0.rescued",
	"queues.0.throughput_per_s", "queues.0.batch.size", "queues.0.batch.min", "queues.0.batch.max", "queues.0.batch.last",
	"queues.0.batch.avg_ms", "queues.0.batch.p50_ms", "queues.0.batch.p95_ms", "queues.0.batch.p99_ms", "queues.0.buffer.entries",
	"queues.0.buffer.max", "queues.0.buffer.bytes", "queues.0.buffer.utilization", "queues.0.buffer.healthy", "queues.0.pickup_ms.p50",
	"queues.0.pickup_ms.p95", "queues.0.pickup_ms.p99", "queues.0.rate.limit_per_s", "queues.0.rate.effective_per_s",
	"queues.0.rate.exceeded", "queues.0.pause.tenant", "queues.0.pause.by", "queues.0.pause.reason", "queues.0.pause.since",
	"queues.0.pause.until", "queues.0.last_error", "unserved.0.name", "unserved.0.pending", "unserved.0.oldest_pending_s", "nodes.0.name",
	"nodes.0.leader", "nodes.0.last_seen", "nodes.0.version", "pools", "tenant_cache.size", "tenant_cache.hits", "tenant_cache.misses",
	"tenant_cache.hit_ratio", "processes.0.role", "processes.0.queue", "processes.0.slot", "processes.0.pid", "processes.0.generation",
	"processes.0.restarts", "processes.0.state", "processes.0.uptime_s", "processes.0.rss_bytes", "processes.0.doing",
	"processes.0.last_exit.at", "processes.0.last_exit.code", "processes.0.last_exit.signal", "processes.0.last_exit.doing", "alerts",
};

static void fill_global(void)
{
	struct shm_global *g = shm->global;

	shm_cell_set(&g->node, "node1");
	shm_cell_set(&g->config_path, "/etc/jobq/jobqd.conf");
	shm_cell_set(&g->db_target, "localhost/shop");
	atomic_store(&g->master_pid, 99);
	atomic_store(&g->start_mono_ns, MONO - 60 * NS_PER_S);
	atomic_store(&g->config_generation, 3);
	atomic_store(&g->config_ok, 1);
	atomic_store(&g->db_state, DB_CONNECTED);
	atomic_store(&g->schema, 1);
	atomic_store(&g->counts_mono_ns, MONO - 2 * NS_PER_S);
	atomic_store(&g->unserved_count, 1);
	shm_cell_set(&g->unserved[0].name, "emial");
	atomic_store(&g->unserved[0].pending, 3);
	atomic_store(&g->unserved[0].oldest_real_us, REAL - 9 * US_PER_S);
	atomic_store(&g->node_count, 1);
	shm_cell_set(&g->nodes[0].name, "node1");
	shm_cell_set(&g->nodes[0].version, "0.1.0");
	atomic_store(&g->nodes[0].leader, 1);
	atomic_store(&g->nodes[0].last_seen_real_us, REAL);
}

static void fill_queue(void)
{
	struct shm_queue *q = queue(0, "sms", QUEUE_RUNNING, 12);

	atomic_store(&q->want_workers, 5);
	atomic_store(&q->pending, 40);
	atomic_store(&q->scheduled, 7);
	atomic_store(&q->in_flight, 25);
	atomic_store(&q->held, 2);
	atomic_store(&q->counters[COUNTER_completed], 1000);
	atomic_store(&q->counters[COUNTER_failed], 3);
	atomic_store(&q->counters[COUNTER_retried], 4);
	atomic_store(&q->counters[COUNTER_rescued], 5);
	atomic_store(&q->counters[COUNTER_rate_exceeded], 6);
	atomic_store(&q->throughput_milli, 48500);
	atomic_store(&q->batch_size, 25);
	atomic_store(&q->batch_min, 5);
	atomic_store(&q->batch_max, 50);
	atomic_store(&q->batch_last, 20);
	atomic_store(&q->buffer_entries, 960);
	atomic_store(&q->buffer_bytes, 4096);
	atomic_store(&q->buffer_max, 1000);
	for (int i = 0; i < 100; i++) {
		shm_hist_add(&q->batch_us, i < 95 ? 2000 : 100000);
		shm_hist_add(&q->pickup_us, 1000);
	}
	atomic_store(&q->limit_interval_ns, 333333334);
	atomic_store(&q->paused, 1);
	shm_cell_set(&q->pause_by, "root");
	atomic_store(&q->pause_since_real_us, REAL);
	shm_cell_set(&q->last_error, "gateway: refused");
}

static void fill_processes(void)
{
	struct shm_slot *worker = process(0, ROLE_WORKER, 0, 2, PROC_READY);

	atomic_store(&worker->generation, 8);
	atomic_store(&worker->restarts, 7);
	atomic_store(&worker->rss_bytes, 5 << 20);
	shm_cell_set(&worker->doing, "batch 7: 25 jobs");
	atomic_store(&worker->exit_real_us, REAL - US_PER_S);
	atomic_store(&worker->exit_signal, 9);
	shm_cell_set(&worker->exit_doing, "batch 6");
	process(1, ROLE_WORKER, 0, 1, PROC_STARTING);
	process(2, ROLE_DISPATCHER, SHM_NO_QUEUE, 0, PROC_CRASH_LOOP);
}

START_TEST(tenant_pause_is_shown)
{
	struct shm_queue *q = queue(0, "sms", QUEUE_RUNNING, 0);

	atomic_store(&q->paused_tenants, 2);
	atomic_store(&q->pause_since_real_us, REAL);
	shm_cell_set(&q->pause_by, "ann");
	shm_cell_set(&q->pause_tenant, "acme");
	json_t *doc = shm_status_json(shm);
	text_is(doc, "queues.0.state", "running");
	text_is(doc, "queues.0.pause.tenant", "acme");
	text_is(doc, "queues.0.pause.by", "ann");
	json_decref(doc);
	atomic_store(&q->paused, 1); /* the queue's own is the one that counts */
	doc = shm_status_json(shm);
	text_is(doc, "queues.0.state", "paused");
	null_is(doc, "queues.0.pause.tenant");
	json_decref(doc);
}
END_TEST

START_TEST(every_promised_key_is_there)
{
	fill_global();
	fill_queue();
	fill_processes();
	json_t *doc = shm_status_json(shm);
	ck_assert_ptr_nonnull(doc);
	for (size_t i = 0; i < sizeof promised / sizeof *promised; i++)
		(void)at(doc, promised[i]);
	json_decref(doc);
}
END_TEST

START_TEST(numbers_are_true)
{
	fill_global();
	fill_queue();
	fill_processes();
	json_t *doc = shm_status_json(shm);

	text_is(doc, "version", PACKAGE_VERSION);
	number_is(doc, "pid", 99);
	number_is(doc, "uptime_s", 60);
	number_is(doc, "counts_age_s", 2);
	text_is(doc, "database.state", "connected");
	null_is(doc, "database.last_error");
	text_is(doc, "queues.0.state", "paused");
	number_is(doc, "queues.0.workers.want", 5);
	number_is(doc, "queues.0.workers.ready", 1);
	number_is(doc, "queues.0.oldest_pending_s", 12);
	number_is(doc, "queues.0.throughput_per_s", 48.5);
	number_is(doc, "queues.0.completed", 1000);
	number_is(doc, "queues.0.batch.avg_ms", (95 * 2.0 + 5 * 100.0) / 100);
	number_is(doc, "queues.0.batch.p50_ms", 2.047);
	number_is(doc, "queues.0.batch.p95_ms", 2.047);
	number_is(doc, "queues.0.batch.p99_ms", 106.495);
	number_is(doc, "queues.0.pickup_ms.p99", 1.023);
	number_is(doc, "queues.0.buffer.utilization", 0.96);
	ck_assert(json_is_false(at(doc, "queues.0.buffer.healthy")));
	number_is(doc, "queues.0.rate.limit_per_s", 3);
	number_is(doc, "queues.0.rate.effective_per_s", 3);
	number_is(doc, "queues.0.rate.exceeded", 6);
	text_is(doc, "queues.0.pause.since", "2023-11-14T22:13:20.000Z");
	null_is(doc, "queues.0.pause.until");
	null_is(doc, "queues.0.gate");
	number_is(doc, "queues.0.counters.completed", 1000);
	number_is(doc, "unserved.0.oldest_pending_s", 9);
	number_is(doc, "processes.0.slot", 2);
	text_is(doc, "processes.0.queue", "sms");
	number_is(doc, "processes.0.uptime_s", 5);
	null_is(doc, "processes.0.last_exit.code");
	number_is(doc, "processes.0.last_exit.signal", 9);
	null_is(doc, "processes.1.last_exit");
	text_is(doc, "processes.2.state", "crash-loop");
	null_is(doc, "processes.2.queue");
	null_is(doc, "processes.2.pid");
	number_is(doc, "tenant_cache.hits", 0);
	json_decref(doc);
}
END_TEST

START_TEST(an_empty_segment_is_a_document)
{
	json_t *doc = shm_status_json(shm);

	ck_assert_ptr_nonnull(doc);
	ck_assert_uint_eq(json_array_size(at(doc, "queues")), 0);
	ck_assert_uint_eq(json_array_size(at(doc, "processes")), 0);
	null_is(doc, "counts_age_s"); /* never counted */
	null_is(doc, "database.schema");
	json_decref(doc);
}
END_TEST

START_TEST(worst_first)
{
	static const char *const order[] = {"e-loop", "d-gate", "c-paused", "b-old", "a-fine"};

	queue(0, "a-fine", QUEUE_RUNNING, 0);
	queue(1, "b-old", QUEUE_RUNNING, 900);
	atomic_store(&queue(2, "c-paused", QUEUE_RUNNING, 0)->paused, 1);
	struct shm_queue *gate = queue(3, "d-gate", QUEUE_RUNNING, 0);
	atomic_store(&gate->gate_state, SHM_GATE_SHUT);
	shm_cell_set(&gate->gate_reason, "401 of the gateway");
	atomic_store(&gate->gate_until_mono_ns, MONO + 30 * NS_PER_S);
	queue(4, "e-loop", QUEUE_CRASH_LOOP, 1);
	json_t *doc = shm_status_json(shm);
	for (size_t i = 0; i < 5; i++)
		ck_assert_str_eq(json_string_value(json_object_get(json_array_get(at(doc, "queues"), i), "name")), order[i]);
	text_is(doc, "queues.1.gate.reason", "401 of the gateway");
	number_is(doc, "queues.1.gate.retry_in_s", 30);
	ck_assert(json_is_false(at(doc, "queues.1.gate.probing")));
	null_is(doc, "queues.4.rate.limit_per_s");
	json_decref(doc);
	atomic_store(&gate->gate_state, SHM_GATE_PROBE); /* still worse than a pause, and with its reason */
	atomic_store(&gate->gate_until_mono_ns, MONO - NS_PER_S);
	doc = shm_status_json(shm);
	text_is(doc, "queues.1.name", "d-gate");
	text_is(doc, "queues.1.gate.reason", "401 of the gateway");
	number_is(doc, "queues.1.gate.retry_in_s", 0);
	ck_assert(json_is_true(at(doc, "queues.1.gate.probing")));
	json_decref(doc);
}
END_TEST

static void scribble(struct shm_cell *cell, uint64_t word)
{
	for (uint32_t i = 0; i < SHM_CELL_WORDS; i++)
		atomic_store(&cell->words[i], word);
}

START_TEST(a_scribbled_segment_is_valid_json)
{
	fill_global();
	fill_queue();
	fill_processes();
	scribble(&shm->global->node, UINT64_C(0xfffefdfcfbfaf9f8));
	scribble(&shm_queue_at(shm, 0)->name, UINT64_C(0x22c0805c0a1b5bed));
	atomic_store(&shm->global->unserved_count, UINT32_MAX);
	atomic_store(&shm->global->node_count, UINT32_MAX);
	atomic_store(&shm->global->db_state, 77);
	atomic_store(&shm_slot_at(shm, 0)->queue, 4000000);
	atomic_store(&shm_slot_at(shm, 0)->role, 4000000);
	atomic_store(&shm_slot_at(shm, 0)->exit_real_us, INT64_MIN);
	atomic_store(&shm_queue_at(shm, 0)->pending, UINT64_MAX);
	atomic_store(&shm_queue_at(shm, 0)->oldest_pending_real_us, INT64_MIN);
	json_t *doc = shm_status_json(shm);
	ck_assert_ptr_nonnull(doc);
	char *text = json_dumps(doc, JSON_COMPACT);
	ck_assert_ptr_nonnull(text);
	ck_assert(text_is_utf8(text, strlen(text)));
	json_t *again = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(again);
	ck_assert_uint_eq(json_array_size(at(doc, "unserved")), SHM_UNSERVED);
	ck_assert_uint_eq(json_array_size(at(doc, "nodes")), SHM_NODES);
	text_is(doc, "database.state", "?");
	null_is(doc, "processes.0.queue");
	json_decref(again);
	json_decref(doc);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm_status");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, tenant_pause_is_shown);
	tcase_add_test(all, every_promised_key_is_there);
	tcase_add_test(all, numbers_are_true);
	tcase_add_test(all, an_empty_segment_is_a_document);
	tcase_add_test(all, worst_first);
	tcase_add_test(all, a_scribbled_segment_is_valid_json);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
