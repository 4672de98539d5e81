/* conf/derive.h: defaults that depend on other values. Private to conf. */
#ifndef JOBQ_CONF_DERIVE_H
#define JOBQ_CONF_DERIVE_H

#include "conf/private.h"

void conf_derive_all(struct conf *conf); /* after conf_layer_apply */

#endif
