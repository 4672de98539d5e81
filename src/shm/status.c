/*
 * shm/status.c: the status document, made from shared memory alone.
 *
 * Runs in the master (it answers `status` with it) and in jobqctl (on a read-only mapping, when the master does not
 * answer). Writes nothing, waits for nothing, asks no database. All ages are computed against one moment. Every text is
 * cleaned on its way in, so the document is valid JSON whatever the segment holds; every index is checked.
 *
 * Keys whose machinery is not built yet are null or empty, as the interface says: alerts.
 * NULL only when memory is short.
 */
#include "config.h"

#include "shm/status.h"

#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "shm/cell.h"
#include "shm/status_part.h"

json_t *shm_status_name(const struct shm_cell *cell)
{
	char raw[SHM_CELL_TEXT], text[SHM_CELL_TEXT];

	(void)shm_cell_get(cell, raw);
	(void)text_clean(text, sizeof text, raw, strlen(raw));
	return json_string(text);
}

json_t *shm_status_text(const struct shm_cell *cell)
{
	json_t *text = shm_status_name(cell);

	if (text != NULL && json_string_length(text) > 0)
		return text;
	json_decref(text);
	return json_null();
}

json_t *shm_status_count(const shm_u64 *word)
{
	uint64_t value = atomic_load(word);

	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *shm_status_time(int64_t real_us)
{
	char text[32];

	return real_us == 0 ? json_null() : json_string(clock_rfc3339(text, sizeof text, real_us));
}

double shm_status_age_s(int64_t now, int64_t then, int64_t per_s)
{
	return then == 0 || then >= now ? 0.0 : ((double)now - (double)then) / (double)per_s;
}

/* json_array_append_new, or no list at all */
static bool status_append(json_t **list, json_t *item)
{
	if (*list != NULL && json_array_append_new(*list, item) == 0)
		return true;
	json_decref(*list);
	*list = NULL;
	return false;
}

static json_t *status_config(const struct shm_global *global)
{
	return json_pack("{s:o,s:I,s:b,s:o}", "path", shm_status_name(&global->config_path),
		"generation", (json_int_t)atomic_load(&global->config_generation), "ok", atomic_load(&global->config_ok) != 0 ? 1 : 0,
		"error", shm_status_text(&global->config_error));
}

static json_t *status_database(const struct shm_global *global)
{
	uint32_t schema = atomic_load(&global->schema);

	return json_pack("{s:s,s:o,s:b,s:o,s:o}", "state", shm_db_state_name(atomic_load(&global->db_state)),
		"target", shm_status_name(&global->db_target), "embedded", atomic_load(&global->embedded) != 0 ? 1 : 0,
		"schema", schema == 0 ? json_null() : json_integer((json_int_t)schema), "last_error", shm_status_text(&global->db_error));
}

static json_t *status_unserved(const struct shm_global *global, const struct shm_status_now *now)
{
	uint32_t count = atomic_load(&global->unserved_count);
	json_t *list = json_array();

	for (uint32_t i = 0; i < count && i < SHM_UNSERVED; i++) {
		const struct shm_unserved *one = &global->unserved[i];
		if (!status_append(&list, json_pack("{s:o,s:o,s:f}", "name", shm_status_name(&one->name), "pending", shm_status_count(&one->pending),
				"oldest_pending_s", shm_status_age_s(now->real_us, atomic_load(&one->oldest_real_us), US_PER_S))))
			break;
	}
	return list;
}

static json_t *status_nodes(const struct shm_global *global)
{
	uint32_t count = atomic_load(&global->node_count);
	json_t *list = json_array();

	for (uint32_t i = 0; i < count && i < SHM_NODES; i++) {
		const struct shm_node *node = &global->nodes[i];
		if (!status_append(&list, json_pack("{s:o,s:b,s:o,s:o}", "name", shm_status_name(&node->name),
				"leader", atomic_load(&node->leader) != 0 ? 1 : 0, "last_seen", shm_status_time(atomic_load(&node->last_seen_real_us)),
				"version", shm_status_name(&node->version))))
			break;
	}
	return list;
}

static json_t *status_last_exit(const struct shm_slot *slot)
{
	int64_t at = atomic_load(&slot->exit_real_us);
	uint32_t signal = atomic_load(&slot->exit_signal);

	if (at == 0)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o}", "at", shm_status_time(at),
		"code", signal != 0 ? json_null() : json_integer((json_int_t)atomic_load(&slot->exit_code)),
		"signal", signal != 0 ? json_integer((json_int_t)signal) : json_null(), "doing", shm_status_text(&slot->exit_doing));
}

/* 0 = not measured yet */
static json_t *status_bytes(int64_t bytes)
{
	return bytes > 0 ? json_integer((json_int_t)bytes) : json_null();
}

static json_t *status_process(const struct shm *shm, const struct shm_slot *slot, const struct shm_status_now *now)
{
	uint32_t state = atomic_load(&slot->state), pid = atomic_load(&slot->pid);
	const struct shm_queue *queue = shm_queue_at(shm, atomic_load(&slot->queue)); /* SHM_NO_QUEUE is out of range */
	bool lives = pid != 0 && state != PROC_DEAD && state != PROC_CRASH_LOOP;

	return json_pack("{s:s,s:o,s:I,s:o,s:I,s:I,s:s,s:o,s:o,s:o,s:o}", "role", shm_role_name(atomic_load(&slot->role)),
		"queue", queue == NULL ? json_null() : shm_status_text(&queue->name), "slot", (json_int_t)atomic_load(&slot->number),
		"pid", lives ? json_integer((json_int_t)pid) : json_null(), "generation", (json_int_t)atomic_load(&slot->generation),
		"restarts", (json_int_t)atomic_load(&slot->restarts), "state", shm_proc_state_name(state),
		"uptime_s", lives ? json_real(shm_status_age_s(now->mono_ns, atomic_load(&slot->started_mono_ns), NS_PER_S)) : json_null(),
		"rss_bytes", lives ? status_bytes(atomic_load(&slot->rss_bytes)) : json_null(),
		"doing", lives ? shm_status_text(&slot->doing) : json_null(), "last_exit", status_last_exit(slot));
}

static json_t *status_processes(const struct shm *shm, const struct shm_status_now *now)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < shm->nslots; i++) {
		const struct shm_slot *slot = shm_slot_at(shm, i);
		if (atomic_load(&slot->state) != PROC_FREE && !status_append(&list, status_process(shm, slot, now)))
			break;
	}
	return list;
}

/* A look-up is a hit, a reading of all of them a miss. */
static json_t *status_tenants(const struct shm_global *global)
{
	uint64_t hits = atomic_load(&global->tenant_lookups), misses = atomic_load(&global->tenant_reads), all = hits + misses;

	return json_pack("{s:I,s:I,s:I,s:f}", "size", (json_int_t)atomic_load(&global->tenants), "hits", (json_int_t)hits, "misses", (json_int_t)misses,
		"hit_ratio", all > 0 ? (double)hits / (double)all : 0.0);
}

json_t *shm_status_json(const struct shm *shm)
{
	const struct shm_global *global = shm->global;
	const struct shm_status_now now = {.mono_ns = clock_mono_ns(), .real_us = clock_real_us()};
	int64_t counted = atomic_load(&global->counts_mono_ns);

	return json_pack("{s:s,s:o,s:I,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:[]}",
		"version", PACKAGE_VERSION, "node", shm_status_name(&global->node), "pid", (json_int_t)atomic_load(&global->master_pid),
		"uptime_s", shm_status_age_s(now.mono_ns, atomic_load(&global->start_mono_ns), NS_PER_S),
		"config", status_config(global), "database", status_database(global),
		"counts_age_s", counted == 0 ? json_null() : json_real(shm_status_age_s(now.mono_ns, counted, NS_PER_S)),
		"queues", shm_status_queues(shm, &now), "unserved", status_unserved(global, &now), "nodes", status_nodes(global),
		"pools", shm_status_pools(shm), "tenant_cache", status_tenants(global), "processes", status_processes(shm, &now), "alerts");
}
