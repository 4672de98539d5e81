/* conf/table.h: the rows of tbl/config.def as data, and look-ups in them. Private to conf. */
#ifndef JOBQ_CONF_TABLE_H
#define JOBQ_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_SECTION_X(ID, ...) CONF_IN_##ID,
enum conf_section {
#include "tbl/config.def"
	CONF_SECTION_COUNT
};

/* the index of a key in conf_table: CONF_K_QUEUE_batch_size */
#define CONF_X(section, version, type, key, ...) CONF_K_##section##_##key,
enum conf_index {
#include "tbl/config.def"
	CONF_KEYS
};

enum conf_type {
	CONF_T_DURATION, CONF_T_SIZE, CONF_T_INT, CONF_T_BOOL, CONF_T_RATE, CONF_T_BACKOFF,
	CONF_T_ENUM, CONF_T_STRING, CONF_T_PATH, CONF_T_SECRET, CONF_T_LIST, CONF_T_VARS
};

enum conf_reload { CONF_R_LIVE, CONF_R_DISPATCHER, CONF_R_WORKERS, CONF_R_BOTH, CONF_R_ALL, CONF_R_RESTART };

struct conf_section_row {
	const char *name, *help;
	bool named, now; /* now: this version has it */
};

struct conf_key {
	enum conf_section section;
	enum conf_type type;
	enum conf_reload reload;
	bool now;
	const char *name, *def, *min, *max, *unit, *handlers, *help;
	size_t offset; /* in the struct of its section (fields.h); SIZE_MAX when it is no field */
};

struct conf_choice {
	const char *key, *text;
	int value;
	bool now;
};

struct conf_handler {
	const char *name, *help;
	bool now;
};

/* a value that a preset gives */
struct conf_preset {
	int preset; /* CONF_PRESET_… */
	enum conf_index key;
	const char *text;
};

enum conf_old_form { CONF_OLD_COUNT, CONF_OLD_SECONDS, CONF_OLD_MS, CONF_OLD_FLAG };

/* a variable of other systems */
struct conf_old_env {
	const char *name;
	enum conf_index key;
	enum conf_old_form form;
	bool now;
	const char *yes, *no; /* what a FLAG becomes; "" = nothing */
};

extern const struct conf_section_row conf_sections[CONF_SECTION_COUNT];
extern const struct conf_key conf_table[CONF_KEYS];
extern const struct conf_choice conf_choices[];
extern const size_t conf_nchoices;
extern const struct conf_handler conf_handlers[];
extern const size_t conf_nhandlers;
extern const struct conf_preset conf_presets[];
extern const size_t conf_npresets;
extern const struct conf_old_env conf_old_env[];
extern const size_t conf_nold_env;

const struct conf_key *conf_table_key(enum conf_section section, const char *name); /* NULL: no such key */
int conf_table_index(const struct conf_key *key);
bool conf_table_applies(const struct conf_key *key, const char *handler); /* a queue with this handler has this key */
bool conf_table_several(const struct conf_key *key);                      /* a LIST or VARS: may be given several times */
bool conf_table_optional(const struct conf_key *key);                    /* may be empty or `off`: not set */
const char *conf_table_default(const struct conf_key *key, const char *handler); /* as in the table: "", "= words", … */
/* the default with $LOCALSTATEDIR and $RUNSTATEDIR replaced; dst of at least 256 bytes; "" when there is none or it is worked out */
const char *conf_table_expand(const char *def, const char *localstatedir, const char *runstatedir, char *dst,
	size_t size);
const struct conf_choice *conf_table_choice(const char *key, const char *text);
const char *conf_table_choice_text(const char *key, int value); /* NULL: no such value */
const struct conf_handler *conf_table_handler(const char *name);
/* "a, b, c": what this version has */
const char *conf_table_choices(const char *key, char *dst, size_t size);
const char *conf_table_owners(const struct conf_key *key, char *dst, size_t size); /* handlers that have the key */
const char *conf_table_handlers(char *dst, size_t size);

#endif
