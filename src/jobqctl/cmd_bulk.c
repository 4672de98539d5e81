/*
 * jobqctl/cmd_bulk.c: the commands on many jobs: retry, cancel, resolve.
 *
 * First what it is about: ids as given, or a count by filter. Above 100 a person is asked; where there is nobody to ask
 * (--json, no terminal) only --yes goes on. Then rounds of at most 500, paced by --rate, in order of id from the last one
 * seen: a job is met once however it looks afterwards, and jobs that come in meanwhile (ids above the count's) are left
 * alone. A round that fails ends it, and what was done until then is printed all the same.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "jobqctl/ctl.h"
#include "jobqctl/doc.h"
#include "jobqctl/ids.h"

#define ROUND_MAX 500
#define ASK_ABOVE 100

struct bulk {
	struct ctl *ctl;
	const char *will;   /* "cancelled" */
	json_int_t left;    /* --limit: so many more; -1 = all */
	json_int_t round;   /* jobs a request */
	int64_t pace_ns;    /* at least so long from the start of one round to the next; 0 = no limit */
	int64_t next_ns;
	json_t *results;    /* all of them, in order */
};

static int pace(struct bulk *bulk)
{
	const char *text = args_value(&bulk->ctl->args, "rate");
	struct rate rate;

	bulk->round = ROUND_MAX;
	if (text == NULL)
		return CTL_OK;
	if (!units_rate(text, &rate) || rate.count <= 0)
		return ctl_fail(CTL_USAGE, "--rate: \"%s\" is not a rate; write 100/s or 600/min", text);
	double per_s = units_per_second(rate);
	bulk->round = per_s >= ROUND_MAX ? ROUND_MAX : per_s < 1 ? 1 : (json_int_t)per_s;
	bulk->pace_ns = (int64_t)((double)bulk->round / per_s * (double)NS_PER_S);
	bulk->next_ns = clock_mono_ns();
	return CTL_OK;
}

static void wait_turn(struct bulk *bulk)
{
	struct timespec until = {.tv_sec = bulk->next_ns / NS_PER_S, .tv_nsec = bulk->next_ns % NS_PER_S};

	if (bulk->pace_ns == 0)
		return;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		;
	int64_t now = clock_mono_ns();
	bulk->next_ns = (now > bulk->next_ns + bulk->pace_ns ? now : bulk->next_ns) + bulk->pace_ns; /* lateness is not made good */
}

/* true: go on */
static bool agreed(const struct bulk *bulk, json_int_t count, int *code)
{
	char answer[16];

	*code = CTL_OK;
	if (count <= ASK_ABOVE || args_value(&bulk->ctl->args, "yes") != NULL)
		return true;
	if (bulk->ctl->args.json || isatty(STDIN_FILENO) != 1) {
		*code = ctl_fail(CTL_ERROR, "%lld jobs would be %s; say --yes when that is what you want", (long long)count, bulk->will);
		return false;
	}
	printf("%lld jobs will be %s. Go on? [y/N] ", (long long)count, bulk->will);
	if (fflush(stdout) == 0 && fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	*code = ctl_fail(CTL_ERROR, "nothing was done");
	return false;
}

/* One request; its results are added to bulk's. *got: how many there were; last: the last id. */
static int one_round(struct bulk *bulk, json_t *args, size_t *got)
{
	json_t *result;

	wait_turn(bulk);
	int code = ctl_call(bulk->ctl, args, &result);
	if (code != CTL_OK)
		return code;
	json_t *list = json_object_get(result, "results");
	*got = json_array_size(list);
	if (*got > 0 && json_array_extend(bulk->results, list) != 0)
		code = ctl_fail(CTL_ERROR, "out of memory");
	json_decref(result);
	return code;
}

static json_t *copy_with(json_t *args, const char *key, json_t *value)
{
	json_t *copy = json_copy(args);

	if (json_object_set_new(copy, key, value) != 0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

static int by_ids(struct bulk *bulk, json_t *ids, json_t *args)
{
	size_t total = json_array_size(ids), at = 0, got;
	int code = CTL_OK;

	while (code == CTL_OK && at < total) {
		json_t *some = json_array();
		for (json_int_t n = 0; n < bulk->round && at < total; n++)
			if (json_array_append(some, json_array_get(ids, at++)) != 0)
				return ctl_fail(CTL_ERROR, "out of memory");
		code = one_round(bulk, copy_with(args, "ids", some), &got);
	}
	return code;
}

static int by_filter(struct bulk *bulk, json_t *filter, const char *last_id)
{
	const char *after = "0";
	size_t got = 0;
	int code;

	do {
		json_int_t limit = bulk->left >= 0 && bulk->left < bulk->round ? bulk->left : bulk->round;
		if (limit == 0)
			return CTL_OK;
		code = one_round(bulk, json_pack("{s:O,s:I,s:s,s:s}", "filter", filter, "limit", limit, "after_id", after, "last_id", last_id), &got);
		if (code != CTL_OK || got == 0)
			return code;
		if (bulk->left >= 0)
			bulk->left -= (json_int_t)got < bulk->left ? (json_int_t)got : bulk->left;
		const char *seen = doc_text(json_array_get(bulk->results, json_array_size(bulk->results) - 1), "id");
		if (!ctl_is_id(seen) || atoll(seen) <= atoll(after))
			return ctl_fail(CTL_ERROR, "jobqd does not go on after job %s; stopped there", after);
		after = seen;
	} while (strcmp(after, last_id) != 0);
	return CTL_OK;
}

/* "pending 98, unknown 2", or for few jobs a line each */
static void print_results(const struct bulk *bulk, bool each)
{
	json_t *counts = json_object();
	const json_t *one;
	json_t *count;
	const char *word;
	size_t i, n = 0;

	json_array_foreach(bulk->results, i, one) {
		const char *result = doc_text(one, "result");
		if (each)
			printf("%s %s\n", doc_text(one, "id"), result);
		(void)json_object_set_new(counts, result, json_integer(json_integer_value(json_object_get(counts, result)) + 1));
	}
	if (!each) {
		json_object_foreach(counts, word, count)
			printf("%s%s %lld", n++ > 0 ? ", " : "", word, (long long)json_integer_value(count));
		printf(n > 0 ? "\n" : "no job matches\n");
	}
	json_decref(counts);
}

static int report(const struct bulk *bulk, bool each, int code)
{
	if (bulk->ctl->args.json) {
		json_t *doc = json_pack("{s:I,s:O}", "count", (json_int_t)json_array_size(bulk->results), "results", bulk->results);
		int written = ctl_json(doc);
		json_decref(doc);
		return code != CTL_OK ? code : written;
	}
	if (code == CTL_OK || json_array_size(bulk->results) > 0)
		print_results(bulk, each);
	int written = ctl_done();
	return code != CTL_OK ? code : written;
}

static int print_count(const struct bulk *bulk, json_int_t count)
{
	if (bulk->ctl->args.json) {
		json_t *doc = json_pack("{s:I}", "count", count);
		int code = ctl_json(doc);
		json_decref(doc);
		return code;
	}
	printf("%lld jobs would be %s\n", (long long)count, bulk->will);
	return ctl_done();
}

static int run_ids(struct bulk *bulk)
{
	bool dry = args_value(&bulk->ctl->args, "dry-run") != NULL;
	json_t *ids, *none = json_object();
	int code = json_object_size(bulk->ctl->args.sent) > 0 ? ctl_fail(CTL_USAGE, "ids and filters do not go together") : ids_read(bulk->ctl, &ids);

	if (code == CTL_OK) {
		json_int_t count = (json_int_t)json_array_size(ids);
		if (dry)
			code = print_count(bulk, count);
		else if (agreed(bulk, count, &code))
			code = report(bulk, count <= ASK_ABOVE, by_ids(bulk, ids, none));
		json_decref(ids);
	}
	json_decref(none);
	return code;
}

static int run_filter(struct bulk *bulk)
{
	json_t *filter = bulk->ctl->args.sent, *result;
	const char *limit = args_value(&bulk->ctl->args, "limit");
	int64_t most = -1;

	if (json_object_size(filter) == 0)
		return ctl_fail(CTL_USAGE, "which jobs? give ids, - or a filter; see jobqctl %s --help", bulk->ctl->args.command->verb);
	if (bulk->ctl->args.command->id == COMMAND_RETRY && json_object_get(filter, "status") == NULL
		&& json_object_set_new(filter, "status", json_string("failed")) != 0)
		return ctl_fail(CTL_ERROR, "out of memory");
	if (limit != NULL)
		(void)units_int(limit, 1, INT32_MAX, &most); /* args.c has checked it */
	bulk->left = most;
	int code = ctl_call(bulk->ctl, json_pack("{s:O,s:b}", "filter", filter, "dry_run", 1), &result);
	if (code != CTL_OK)
		return code;
	json_int_t count = doc_int(result, "count");
	if (most >= 0 && count > most)
		count = most;
	if (args_value(&bulk->ctl->args, "dry-run") != NULL)
		code = print_count(bulk, count);
	else if (agreed(bulk, count, &code))
		code = report(bulk, false, ctl_is_id(doc_text(result, "last_id")) ? by_filter(bulk, filter, doc_text(result, "last_id")) : CTL_OK);
	json_decref(result);
	return code;
}

static int retry_or_cancel(struct ctl *ctl, const char *will)
{
	struct bulk bulk = {.ctl = ctl, .will = will, .left = -1, .results = json_array()};
	int code = pace(&bulk);

	if (code == CTL_OK)
		code = ctl->args.nwords > 0 ? run_ids(&bulk) : run_filter(&bulk);
	json_decref(bulk.results);
	return code;
}

int cmd_retry(struct ctl *ctl)
{
	return retry_or_cancel(ctl, "tried again");
}

int cmd_cancel(struct ctl *ctl)
{
	return retry_or_cancel(ctl, "cancelled");
}

int cmd_resolve(struct ctl *ctl)
{
	static const char *const verdicts[] = {"done", "failed", "retry"};
	struct bulk bulk = {.ctl = ctl, .round = ROUND_MAX, .results = json_array()};
	const char *verdict = NULL;
	int given = 0, code = ctl_words(ctl, 1, SIZE_MAX);
	json_t *ids;

	for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
		if (args_value(&ctl->args, verdicts[i]) != NULL) {
			verdict = verdicts[i];
			given++;
		}
	if (code == CTL_OK && given != 1)
		code = ctl_fail(CTL_USAGE, "say one of --done, --failed and --retry: what is the verdict?");
	if (code == CTL_OK && json_object_set_new(ctl->args.sent, "verdict", json_string(verdict)) != 0)
		code = ctl_fail(CTL_ERROR, "out of memory");
	if (code == CTL_OK)
		code = ids_read(ctl, &ids);
	if (code == CTL_OK) {
		code = report(&bulk, true, by_ids(&bulk, ids, ctl->args.sent));
		json_decref(ids);
	}
	json_decref(bulk.results);
	return code;
}
