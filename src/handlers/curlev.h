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

/* Whose certificates are believed: the system's authorities, or those of the file that SSL_CERT_FILE names in jobqd's environment. */
CURLcode curlev_trust(CURL *easy);
#define CURLEV_ERROR (CURL_ERROR_SIZE + 192)
/* Completes the buffer in which libcurl wrote (CURLOPT_ERRORBUFFER) why a transfer ended: never empty, and with what to do about it. */
void curlev_explain(char error[CURLEV_ERROR], CURLcode code);

#endif
