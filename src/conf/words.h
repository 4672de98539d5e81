/* conf/words.h: what people read of a key, in the sample and in the manual. Private to conf. */
#ifndef JOBQ_CONF_WORDS_H
#define JOBQ_CONF_WORDS_H

#include "conf/table.h"

const char *conf_words_reload(const struct conf_key *key); /* "a reload restarts the dispatcher" */
const char *conf_words_type(enum conf_type type);          /* "duration" */

#endif
