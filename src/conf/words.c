/*
 * conf/words.c: what people read of a key (see words.h).
 *
 * Pure and constant; runs in src/conf/generate.c and in tests. Owns nothing. Cannot fail.
 */
#include "config.h"

#include "conf/words.h"

const char *conf_words_reload(const struct conf_key *key)
{
	switch (key->reload) {
	case CONF_R_LIVE:
		return "a reload takes it over at once";
	case CONF_R_DISPATCHER:
		return "a reload renews the dispatcher";
	case CONF_R_WORKERS:
		return "a reload renews the queue's workers";
	case CONF_R_BOTH:
		return "a reload renews the dispatcher and the queue's workers";
	case CONF_R_ALL:
		return "a reload renews all processes";
	case CONF_R_RESTART:
		break;
	}
	return "needs a restart of jobqd";
}

const char *conf_words_type(enum conf_type type)
{
	switch (type) {
	case CONF_T_DURATION:
		return "duration";
	case CONF_T_SIZE:
		return "size";
	case CONF_T_INT:
		return "number";
	case CONF_T_BOOL:
		return "on or off";
	case CONF_T_RATE:
		return "rate";
	case CONF_T_BACKOFF:
		return "backoff";
	case CONF_T_ENUM:
		return "word";
	case CONF_T_PATH:
		return "absolute path";
	case CONF_T_SECRET:
		return "secret";
	case CONF_T_LIST:
		return "Name: value";
	case CONF_T_VARS:
		return "NAME=value";
	case CONF_T_STRING:
		break;
	}
	return "text";
}
