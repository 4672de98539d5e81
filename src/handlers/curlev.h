/* handlers/curlev.h: libcurl's multi interface on a libevent loop, for the clients of this room. */
#ifndef JOBQ_HANDLERS_CURLEV_H
#define JOBQ_HANDLERS_CURLEV_H

#include <curl/curl.h>
#include <stddef.h>

struct event_base;
struct curlev;

/* A transfer of the multi handle has ended; it is still in it. May add and remove handles, but not free the curlev. */
typedef void curlev_done(void *arg, CURL *easy, CURLcode code);

/* NULL with the reason in err. `max_connections`: open at a time, and kept for later. */
struct curlev *curlev_new(struct event_base *base, size_t max_connections, curlev_done *done, void *arg, char *err, size_t errlen);
void curlev_free(struct curlev *c); /* no handle is in it; NULL is let pass */
CURLM *curlev_multi(const struct curlev *c);

#endif
