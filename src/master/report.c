/*
 * master/report.c: writes the report into the log, one line a queue, at the interval that the configuration asks for.
 *
 * Runs in the master, once a second, and makes the report from shared memory alone (shm/report.h), so a database that is away or a
 * dispatcher that hangs does not hide how things stood. A reload with another interval counts anew from the last report. Fails
 * softly: a report for which there is no memory is left out.
 */
#include "config.h"

#include "master/report.h"

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/master.h"
#include "shm/report.h"

static double number(const json_t *doc, const char *part, const char *key)
{
	return json_number_value(json_object_get(part != NULL ? json_object_get(doc, part) : doc, key));
}

static void put_target(struct buf *line, const json_t *targets, const char *name, const char *measured, const char *words)
{
	const json_t *one = json_object_get(targets, name), *is = json_object_get(one, measured), *target = json_object_get(one, "target");

	if (!json_is_number(is))
		return;
	buf_printf(line, ", %s %.1f", words, json_number_value(is));
	if (json_is_number(target))
		buf_printf(line, " (target %.1f%s)", json_number_value(target), json_is_false(json_object_get(one, "met")) ? ", missed" : "");
}

static void put_queue(struct buf *line, const json_t *queue)
{
	const json_t *targets = json_object_get(queue, "targets"), *used = json_object_get(json_object_get(queue, "limit"), "used");
	const char *bound = json_string_value(json_object_get(json_object_get(queue, "capacity"), "bound_by"));

	buf_printf(line, "%.1f jobs/s over %.0f min, %.0f jobs, %.0f errors, pending %.0f",
		number(json_object_get(targets, "throughput_per_s"), NULL, "measured"), number(queue, NULL, "span_s") / 60.0,
		number(queue, NULL, "jobs"), number(queue, NULL, "errors"), number(queue, NULL, "pending"));
	put_target(line, targets, "throughput_per_s", "under_backlog", "jobs/s under backlog");
	put_target(line, targets, "batch_ms", "measured", "ms a batch");
	buf_printf(line, ", batch size %.0f, workers %.0f%% busy, at work %.0f%% of the time", number(queue, "batch", "size"),
		number(queue, "workers", "busy") * 100.0, number(queue, "time", "active") * 100.0);
	if (json_is_number(used))
		buf_printf(line, ", %.0f%% of the rate limit used, exceeded %.0f times", json_number_value(used) * 100.0, number(queue, "limit", "exceeded"));
	buf_printf(line, ", buffer at most %.0f%% full", number(queue, "buffer", "peak") * 100.0);
	if (bound != NULL)
		buf_printf(line, ", held by its %s", bound);
}

static void report(const struct master *m)
{
	json_t *doc = shm_report_json(m->shm), *queue;
	const char *name;

	json_object_foreach(json_object_get(doc, "queues"), name, queue) {
		struct buf line = {0};
		put_queue(&line, queue);
		log_info("report: queue %s: %s", name, buf_str(&line));
		buf_free(&line);
	}
	json_decref(doc);
}

void master_report_tick(struct master *m, int64_t now_ns)
{
	int64_t every = m->conf->report.interval;

	if (m->reported_ns == 0)
		m->reported_ns = m->started_ns;
	if (every <= 0 || now_ns - m->reported_ns < every || m->phase != PHASE_RUN)
		return;
	m->reported_ns = now_ns;
	report(m);
}
