/*
 * shm/report_trend.c: the parts of the report that speak of time: minutes, trends, decisions.
 *
 * Pure readers of rings. Entries are sums, so a minute is the difference of two neighbours; one that a restart or a suspended machine made
 * longer counts with its real length. A trend needs two full minutes on each side, at most ten; a change of less than a tenth is
 * steady. Fails only for want of memory: NULL, which the caller's json_pack passes on.
 */
#include "config.h"

#include "shm/report_part.h"

#include "base/clock.h"
#include "shm/decision.h"
#include "shm/metrics.h"
#include "shm/status_part.h"

#define SIDE_MOST 10  /* minutes on each side of a trend */
#define SIDE_LEAST 2
#define STEADY 0.1
#define DECISIONS 20

/* sums never go back; a reader of a torn moment must not see a negative */
static double grown(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) : 0.0;
}

struct report_span report_span(const struct trend *from, const struct trend *to)
{
	struct report_span span = {
		.s = (double)(to->at_mono_ns - from->at_mono_ns) / (double)NS_PER_S, .jobs = grown(from->completed, to->completed),
		.sent = grown(from->sent, to->sent), .errors = grown(from->errors, to->errors), .exceeded = grown(from->exceeded, to->exceeded),
		.batches = grown(from->batches, to->batches), .busy_s = grown(from->busy_us, to->busy_us) / 1e6,
		.active_s = grown(from->active_s, to->active_s), .backlog_s = grown(from->backlog_s, to->backlog_s),
		.backlog_jobs = grown(from->backlog_jobs, to->backlog_jobs)};

	span.tries = span.jobs + span.errors;
	return span;
}

double report_busy(const struct report_span *span, double worker_slots)
{
	double busy = span->s > 0 && worker_slots > 0 ? span->busy_s / (span->s * worker_slots) : 0.0;

	return busy < 1.0 ? busy : 1.0; /* batches of handlers whose jobs overlap do so too */
}

static double batch_ms(const struct report_span *span)
{
	return span->batches > 0 ? span->busy_s * 1000.0 / span->batches : 0.0;
}

json_t *report_minutes_json(const struct report_minutes *m)
{
	json_t *list = json_array();

	for (size_t i = 1; i < m->n; i++) {
		struct report_span span = report_span(&m->t[i - 1], &m->t[i]);
		if (span.s < 1.0) /* the minute that has just begun */
			continue;
		json_t *one = json_pack("{s:o,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:f}",
			"at", shm_status_time(m->t[i].at_mono_ns / NS_PER_US + m->real_minus_mono_us), "seconds", shm_metrics_round(span.s),
			"jobs_per_s", shm_metrics_round(span.jobs / span.s), "errors", span.errors, "exceeded", span.exceeded,
			"batch_ms", shm_metrics_round(batch_ms(&span)), "busy", shm_metrics_round(report_busy(&span, m->worker_slots)),
			"pending", (json_int_t)m->t[i].pending, "buffer_peak", (double)m->t[i].buffer_peak / 100.0);
		if (json_array_append_new(list, one) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *trend_json(double was, double is)
{
	double least = was < is ? was : is, most = was < is ? is : was;
	const char *direction = most - least <= STEADY * most ? "steady" : is > was ? "rising" : "falling";

	return json_pack("{s:f,s:f,s:s}", "was", shm_metrics_round(was), "is", shm_metrics_round(is), "direction", direction);
}

json_t *report_trends_json(const struct report_minutes *m)
{
	size_t full = m->n > 1 ? m->n - 2 : 0; /* the last entry is now: not a whole minute */
	size_t side = full / 2 < SIDE_MOST ? full / 2 : SIDE_MOST;

	if (side < SIDE_LEAST)
		return json_null();
	const struct trend *end = &m->t[m->n - 2], *middle = end - side, *begin = middle - side;
	struct report_span was = report_span(begin, middle), is = report_span(middle, end);
	if (was.s <= 0 || is.s <= 0)
		return json_null();
	return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "minutes", (json_int_t)side,
		"jobs_per_s", trend_json(was.jobs / was.s, is.jobs / is.s), "batch_ms", trend_json(batch_ms(&was), batch_ms(&is)),
		"errors_per_min", trend_json(was.errors * 60.0 / was.s, is.errors * 60.0 / is.s),
		"exceeded_per_min", trend_json(was.exceeded * 60.0 / was.s, is.exceeded * 60.0 / is.s),
		"busy", trend_json(report_busy(&was, m->worker_slots), report_busy(&is, m->worker_slots)),
		"pending", trend_json((double)middle->pending, (double)end->pending));
}

json_t *report_decisions_json(const struct shm_queue *queue)
{
	json_t *list = json_array();
	struct decision d;

	for (uint64_t i = 0; i < DECISIONS && shm_decision_read(queue, i, &d); i++) {
		json_t *one = json_pack("{s:o,s:s,s:s,s:f,s:f,s:s,s:s,s:o,s:o}", "at", shm_status_time(d.at_real_us), "what", shm_tuned_name(d.what),
			"unit", shm_tuned_unit(d.what), "from", shm_metrics_round(d.from), "to", shm_metrics_round(d.to),
			"reason", shm_tuning_name(d.reason), "text", shm_tuning_text(d.reason),
			"batch_ms", d.run_ns > 0 ? json_real(shm_metrics_round((double)d.run_ns / 1e6)) : json_null(),
			"jobs_per_s", d.score > 0 ? json_real(shm_metrics_round(d.score)) : json_null());
		if (json_array_append_new(list, one) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
