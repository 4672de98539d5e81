/*
 * handlers/sms_driver.h: what differs between gateways: how a message is put into a request, and what an acceptance is.
 *
 * Runs in workers. A driver knows nothing of jobs' lives, of limits or of outcomes; sms.c does.
 */
#ifndef JOBQ_HANDLERS_SMS_DRIVER_H
#define JOBQ_HANDLERS_SMS_DRIVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "handlers/http.h"
#include "handlers/sms_message.h"
#include "jobq/handler.h"

struct sms_driver {
	/* -1 with the reason in err when the queue's keys do not suffice. May allocate *state. */
	int (*open)(const struct conf_queue *queue, void **state, char *err, size_t errlen);
	void (*close)(void *state);
	/* Headers and body of the request, url and credentials. `ref` is the same on every attempt. False with the reason in err:
	 * this message can never be sent. The body is built in `body`. */
	bool (*build)(void *state, const struct sms_message *m, const struct jobq_job *job, const char *ref,
		struct http_request *r, struct buf *body, char *err, size_t errlen);
	/* Of a 2xx: the job's result (a new reference), or NULL with the reason in err: it is no acceptance. */
	json_t *(*accept)(void *state, const struct http_reply *reply, const char *ref, char *err, size_t errlen);
	/* NULL, or: is this refusal of the job's own making, though its status speaks of all of us? */
	bool (*own_fault)(const struct http_reply *reply);
};

extern const struct sms_driver sms_kannel, sms_json;

#endif
