/* conf/private.h: what a loaded configuration remembers beside its typed fields. Private to conf. */
#ifndef JOBQ_CONF_PRIVATE_H
#define JOBQ_CONF_PRIVATE_H

#include "conf/conf.h"
#include "conf/keep.h"
#include "conf/table.h"

struct conf_value {
	const char *text;   /* as written (references unresolved), or the default; NULL: not a key of this section */
	const char *origin; /* for people; "built in" */
	const char *where;  /* for errors; NULL: nobody wrote it, it is built in or of a preset */
};

struct conf_set { /* the values of one queue, or of all sections without a name, by CONF_K_ index */
	struct conf_value v[CONF_KEYS];
	const char *where; /* of the section itself; of the file */
	bool bad;          /* a value of it is wrong and reported: it is not checked further */
};

struct conf_private {
	struct conf_keep keep;
	struct conf_set plain;   /* [jobqd], [tenants] */
	struct conf_set *queues; /* as conf->queues */
	struct conf_set *pools;  /* as conf->pools */
};

#define CONF_BUILT_IN "built in"

#endif
