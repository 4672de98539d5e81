/* conf/layer.h: from settings to typed values: which layer wins (raw.h). Private to conf. */
#ifndef JOBQ_CONF_LAYER_H
#define JOBQ_CONF_LAYER_H

#include "conf/private.h"
#include "conf/raw.h"

void conf_layer_apply(struct conf *conf, struct conf_raw *raw); /* makes conf->queues and fills every field */
bool conf_layer_is_set(const struct conf_set *set, enum conf_index index); /* somebody wrote a value: no default, no preset */
/* Gives a key that is not set a value that was worked out; the origin stays. */
void conf_layer_built_in(struct conf_set *set, void *base, enum conf_index index, const char *text);

#endif
