/*
 * conf/layer.c: which setting wins, and its value in the struct (see layer.h).
 *
 * Runs where a configuration is read; blocks on files of secrets, and reads only those that win. Writes conf and its private
 * part. Invariant: after conf_layer_apply every field holds a value of its type (the default where the setting is wrong), and
 * each wrong setting was reported once, however many queues it is for.
 */
#include "config.h"

#include "conf/layer.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/near.h"
#include "conf/secret.h"
#include "conf/value.h"

static bool is_for(const struct conf_setting *s, const struct conf_key *key, const char *queue)
{
	return s->key == key && (s->queue == NULL || s->queue == queue);
}

/* The setting that wins; NULL: none. Sets set->bad when a wrong one was passed over. */
static struct conf_setting *pick(const struct conf_raw *raw, struct conf_set *set, const struct conf_key *key, const char *queue)
{
	struct conf_setting *s, *best = NULL;

	STAILQ_FOREACH(s, &raw->settings, next) {
		if (!is_for(s, key, queue))
			continue;
		if (s->bad)
			set->bad = true;
		else if (best == NULL || s->layer >= best->layer)
			best = s;
	}
	return best;
}

static void report(struct conf_raw *raw, struct conf_setting *s, const char *why)
{
	conf_errors_add(raw->errors, s->where, "%s: %s", s->key->name, why);
	s->bad = true;
}

/* The value of a SECRET, or an item of a LIST, behind its reference. NULL: told. */
static const char *resolve(struct conf_raw *raw, struct conf_setting *s)
{
	const char *value = s->text, *secret;
	char why[CONF_WHY_MAX];

	if (s->secret != NULL || s->bad)
		return s->secret;
	if (s->key->type == CONF_T_VARS) /* as it is written: no reference, so no secret gets into an environment */
		return s->secret = s->text;
	if (s->key->type == CONF_T_LIST && *value != '\0') {
		value = strchr(value, ':') + 1;
		value += strspn(value, " \t");
	}
	if (raw->without_secrets && conf_secret_is_reference(value))
		secret = value;
	else
		secret = conf_secret_resolve(value, raw->environment, s->where, raw->keep, why);
	if (secret == NULL)
		report(raw, s, why);
	else if (s->key->type == CONF_T_LIST && *value != '\0')
		s->secret = conf_keep_printf(raw->keep, "%.*s: %s", (int)strcspn(s->text, ":"), s->text, secret);
	else
		s->secret = secret;
	return s->secret;
}

/* All items of the layer that wins, one a line: as written into *text, resolved as the result. */
static const char *join(struct conf_raw *raw, struct conf_set *set, const struct conf_setting *best, const char *queue,
	const char **text)
{
	struct buf written = {0}, resolved = {0};
	struct conf_setting *s;
	const char *result;

	STAILQ_FOREACH(s, &raw->settings, next) {
		const char *item;

		if (!is_for(s, best->key, queue) || s->layer != best->layer || s->bad || *s->text == '\0')
			continue;
		item = resolve(raw, s);
		if (item == NULL) {
			set->bad = true;
			continue;
		}
		buf_printf(&written, "%s%s", written.len ? "\n" : "", s->text);
		buf_printf(&resolved, "%s%s", resolved.len ? "\n" : "", item);
	}
	*text = conf_keep_text(raw->keep, buf_str(&written), written.len);
	result = conf_keep_text(raw->keep, buf_str(&resolved), resolved.len);
	if (resolved.data != NULL)
		explicit_bzero(resolved.data, resolved.len);
	buf_free(&resolved);
	buf_free(&written);
	return result;
}

static void fill_key(struct conf_raw *raw, struct conf_set *set, void *base, const struct conf_key *key, const char *queue,
	const char *handler)
{
	struct conf_value *v = &set->v[conf_table_index(key)];
	struct conf_setting *s = pick(raw, set, key, queue);
	const char *value = NULL;
	char why[CONF_WHY_MAX], expanded[256], owners[128];

	if (s != NULL && !conf_table_applies(key, handler)) {
		if (s->layer > CONF_LAYER_STAR) {
			conf_errors_add(raw->errors, s->where, "key \"%s\" belongs to handler %s, but queue \"%s\" has handler \"%s\"",
				key->name, conf_table_owners(key, owners, sizeof owners), queue, handler);
			set->bad = true;
		}
		s = NULL;
	}
	if (s != NULL) {
		*v = (struct conf_value){.text = s->text, .origin = s->origin, .where = s->where};
		value = s->text;
		if (conf_table_several(key))
			value = join(raw, set, s, queue, &v->text);
		else if (key->type == CONF_T_SECRET && (value = resolve(raw, s)) == NULL)
			set->bad = true;
	}
	if (value == NULL) {
		conf_table_expand(conf_table_default(key, handler), LOCALSTATEDIR, RUNSTATEDIR, expanded, sizeof expanded);
		value = conf_keep_text(raw->keep, expanded, strlen(expanded));
		if (conf_table_applies(key, handler))
			*v = (struct conf_value){.text = value, .origin = CONF_BUILT_IN};
	}
	if (!conf_value_set(key, value, base, why)) { /* only the default of a build with odd directories */
		conf_errors_add(raw->errors, set->where, "%s: %s", key->name, why);
		set->bad = true;
	}
}

static void fill(struct conf_raw *raw, struct conf_set *set, void *base, enum conf_section section, const char *queue,
	const char *handler)
{
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_table[i].section == section && conf_table[i].now)
			fill_key(raw, set, base, &conf_table[i], queue, handler);
}

/* Adds the default pool when a queue wants it and the file has no section for it. */
static void want_default_pool(const struct conf *conf, struct conf_raw *raw)
{
	bool wanted = false;

	for (size_t i = 0; i < conf->nqueues; i++)
		wanted = wanted || (!conf->private->queues[i].bad && *conf->queues[i]->k.pool == '\0' &&
			conf_table_applies(&conf_table[CONF_K_QUEUE_pool], conf->queues[i]->k.handler));
	for (size_t i = 0; i < raw->npools; i++)
		if (strcmp(raw->pools[i].name, CONF_POOL_DEFAULT) == 0)
			return;
	if (wanted)
		raw->pools[raw->npools++] = (struct conf_raw_named){.name = CONF_POOL_DEFAULT, .where = conf->path};
}

static void fill_pools(struct conf *conf, struct conf_raw *raw)
{
	want_default_pool(conf, raw);
	conf->pools = xcalloc(raw->npools + 1, sizeof *conf->pools);
	conf->private->pools = xcalloc(raw->npools + 1, sizeof *conf->private->pools);
	for (size_t i = 0; i < raw->npools; i++) {
		struct conf_pool *pool = xcalloc(1, sizeof *pool);

		pool->name = raw->pools[i].name;
		conf->private->pools[i].where = raw->pools[i].where;
		conf->pools[conf->npools++] = pool;
		fill(raw, &conf->private->pools[i], &pool->k, CONF_IN_POOL, pool->name, "");
	}
}

/* NULL: the queue has none that this version knows, which is told. */
static const char *handler_of(struct conf_raw *raw, struct conf_set *set, const char *queue)
{
	struct conf_setting *s = pick(raw, set, &conf_table[CONF_K_QUEUE_handler], queue);
	const char *name = s != NULL && *s->text != '\0' ? s->text : queue;
	const struct conf_handler *handler = conf_table_handler(name);
	char near[CONF_NEAR_MAX], list[128];

	if (s == NULL && set->bad) /* a wrong one was passed over */
		return NULL;
	if (handler != NULL && handler->now)
		return name;
	set->bad = true;
	if (handler != NULL)
		conf_errors_add(raw->errors, s ? s->where : set->where, "handler \"%s\" is not in this version", name);
	else
		conf_errors_add(raw->errors, s ? s->where : set->where, "%s \"%s\" is not one of %s%s%s",
			s ? "handler" : "the handler is the queue's name, but", name, conf_table_handlers(list, sizeof list),
			conf_near_handler(name, near, sizeof near), s ? "" : " (set `handler`)");
	if (s != NULL && s->layer == CONF_LAYER_STAR)
		s->bad = true; /* once is enough */
	return NULL;
}

/* A preset is looked up as any key is; what it gives lies beneath what is written. */
static void use_preset(struct conf_raw *raw, struct conf_set *set, const char *queue)
{
	const struct conf_setting *s = pick(raw, set, &conf_table[CONF_K_QUEUE_preset], queue);
	const struct conf_choice *choice = s != NULL ? conf_table_choice("preset", s->text) : NULL;

	if (choice != NULL)
		conf_raw_add_preset(raw, queue, choice->value);
}

/* Every setting by itself, so that a wrong one is reported also where another wins. */
static void check_settings(struct conf_raw *raw)
{
	struct conf_setting *s;
	char why[CONF_WHY_MAX];

	STAILQ_FOREACH(s, &raw->settings, next)
		if (!conf_value_set(s->key, s->text, NULL, why))
			report(raw, s, why);
}

void conf_layer_apply(struct conf *conf, struct conf_raw *raw)
{
	struct conf_private *private = conf->private;

	check_settings(raw);
	fill(raw, &private->plain, &conf->jobqd, CONF_IN_JOBQD, NULL, "");
	fill(raw, &private->plain, &conf->tenants, CONF_IN_TENANTS, NULL, "");
	fill(raw, &private->plain, &conf->report, CONF_IN_REPORT, NULL, "");
	conf->queues = xcalloc(raw->nqueues + 1, sizeof *conf->queues);
	private->queues = xcalloc(raw->nqueues + 1, sizeof *private->queues);
	for (size_t i = 0; i < raw->nqueues; i++) {
		struct conf_queue *queue = xcalloc(1, sizeof *queue);
		struct conf_set *set = &private->queues[i];
		const char *handler;

		queue->name = raw->queues[i].name;
		set->where = raw->queues[i].where;
		conf->queues[conf->nqueues++] = queue;
		handler = handler_of(raw, set, queue->name);
		if (handler == NULL)
			continue;
		use_preset(raw, set, queue->name);
		fill(raw, set, &queue->k, CONF_IN_QUEUE, queue->name, handler);
		conf_layer_built_in(set, &queue->k, CONF_K_QUEUE_handler, handler);
	}
	fill_pools(conf, raw);
}

bool conf_layer_is_set(const struct conf_set *set, enum conf_index index)
{
	const struct conf_value *v = &set->v[index];
	const struct conf_key *key = &conf_table[index];

	if (v->where == NULL)
		return false;
	bool off = strcmp(v->text, "off") == 0 && key->type != CONF_T_ENUM; /* of an ENUM it is a choice, if it is one */
	return !conf_table_optional(key) || (*v->text != '\0' && !off);
}

void conf_layer_built_in(struct conf_set *set, void *base, enum conf_index index, const char *text)
{
	char why[CONF_WHY_MAX];

	if (!conf_layer_is_set(set, index))
		set->v[index].text = text;
	if (!conf_value_set(&conf_table[index], text, base, why))
		set->bad = true;
}
