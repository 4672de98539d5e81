/* conf/check.h: what no single value can tell. Private to conf. */
#ifndef JOBQ_CONF_CHECK_H
#define JOBQ_CONF_CHECK_H

#include "conf/errors.h"
#include "conf/private.h"

/* after conf_derive_all; sections that hold a wrong value are passed over */
void conf_check_all(const struct conf *conf, struct conf_errors *errors);
void conf_check_queue(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors);
void conf_check_import(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors);
void conf_check_email(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors);
void conf_check_exec(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors);
void conf_check_pools(const struct conf *conf, struct conf_errors *errors);
const char *conf_check_where(const struct conf_set *set, enum conf_index index); /* of the value, or of its section */

#endif
