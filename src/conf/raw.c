/*
 * conf/raw.c: the list of settings as written (see raw.h).
 *
 * Pure; runs where a configuration is read. Owns the settings until conf_raw_free. Invariant: every setting has a key of this
 * version. Out of memory ends the process (base/mem.h).
 */
#include "config.h"

#include "conf/raw.h"

#include <stdlib.h>

#include "base/mem.h"

struct conf_setting *conf_raw_add(struct conf_raw *raw, const struct conf_key *key, enum conf_layer layer, const char *queue,
	const char *text, const char *where)
{
	struct conf_setting *setting = xcalloc(1, sizeof *setting);

	setting->key = key;
	setting->layer = layer;
	setting->queue = queue;
	setting->text = text;
	setting->where = where;
	setting->origin = layer == CONF_LAYER_STAR ? conf_keep_printf(raw->keep, "[%s *] %s", conf_sections[key->section].name, where) : where;
	STAILQ_INSERT_TAIL(&raw->settings, setting, next);
	return setting;
}

void conf_raw_add_preset(struct conf_raw *raw, const char *queue, int preset)
{
	const char *origin = conf_keep_printf(raw->keep, "preset %s", conf_table_choice_text("preset", preset));

	for (size_t i = 0; i < conf_npresets; i++) {
		const struct conf_preset *row = &conf_presets[i];

		if (row->preset == preset)
			conf_raw_add(raw, &conf_table[row->key], CONF_LAYER_PRESET, queue, row->text, NULL)->origin = origin;
	}
}

void conf_raw_free(struct conf_raw *raw)
{
	struct conf_setting *setting;

	while ((setting = STAILQ_FIRST(&raw->settings)) != NULL) {
		STAILQ_REMOVE_HEAD(&raw->settings, next);
		free(setting);
	}
}
