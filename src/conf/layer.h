/* conf/layer.h: from settings to typed values: built in, [queue *], [queue NAME], environment. Private to conf. */
#ifndef JOBQ_CONF_LAYER_H
#define JOBQ_CONF_LAYER_H

#include "conf/private.h"
#include "conf/raw.h"

void conf_layer_apply(struct conf *conf, struct conf_raw *raw); /* makes conf->queues and fills every field */
/* Gives a key without default a value that was worked out; the origin stays "built in". */
void conf_layer_built_in(struct conf_set *set, void *base, enum conf_index index, const char *text);

#endif
