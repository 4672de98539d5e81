/*
 * conf/raw.h: a configuration as it is written, before defaults and types. Private to conf.
 *
 * conf_read and conf_env fill it: settings in the order in which they were met (later wins within a layer), and the queues
 * and pools that have a section, in the order of the file.
 */
#ifndef JOBQ_CONF_RAW_H
#define JOBQ_CONF_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "conf/conf.h"
#include "conf/errors.h"
#include "conf/keep.h"
#include "conf/table.h"

/* later wins */
enum conf_layer { CONF_LAYER_OLD_ENV, CONF_LAYER_PRESET, CONF_LAYER_STAR, CONF_LAYER_SECTION, CONF_LAYER_ENVIRONMENT };

struct conf_setting {
	STAILQ_ENTRY(conf_setting) next;
	const struct conf_key *key;
	enum conf_layer layer;
	const char *queue; /* or pool; NULL in [jobqd] and [tenants], and for all of them */
	const char *text;
	const char *where;  /* "file:line", "environment JOBQ_X"; NULL: nobody wrote it, a preset gives it */
	const char *origin; /* as where, with "[queue *] " or "[pool *] " before it; "preset standard" */
	bool bad;           /* reported already: counts as not given */
	const char *secret; /* SECRET and LIST: resolved, once it was asked for */
};

struct conf_raw {
	STAILQ_HEAD(conf_settings, conf_setting) settings;
	struct conf_raw_named {
		const char *name, *where;
	} queues[CONF_QUEUES_MAX], pools[CONF_POOLS_MAX];
	size_t nqueues, npools;
	struct conf_keep *keep;     /* of the configuration: texts and origins */
	struct conf_errors *errors;
	char *const *environment;
	bool without_secrets;
};

/* Both texts are kept by the caller (conf_keep). */
struct conf_setting *conf_raw_add(struct conf_raw *raw, const struct conf_key *key, enum conf_layer layer, const char *queue,
	const char *text, const char *where);
void conf_raw_add_preset(struct conf_raw *raw, const char *queue, int preset); /* all that it gives to that queue */
void conf_raw_free(struct conf_raw *raw); /* the settings; texts stay with keep */

#endif
