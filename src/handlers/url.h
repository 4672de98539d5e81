/*
 * handlers/url.h: may a URL that a stranger wrote be called? Pure: nothing is asked, nothing is opened.
 *
 * Used in workers by handlers that speak HTTP. Two looks: url_wrong at the text, before anything is done with it, and
 * url_is_public at every address, in the moment in which a connection to it is to be opened (http.c). So a name is never
 * resolved twice, and what was looked at is what is connected to.
 */
#ifndef JOBQ_HANDLERS_URL_H
#define JOBQ_HANDLERS_URL_H

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

#define URL_MAX 2048      /* bytes of a URL */
#define URL_HOST_MAX 256  /* of a host's name, with its NUL */

#define URL_HTTPS 1u      /* nothing but https */
#define URL_PRIVATE 2u    /* addresses that are not public are fine */

/* NULL: an http or https URL with a host, without user, password and control characters, and, unless URL_PRIVATE, without an
 * address in its host's place that is not public. Else what is wrong with it, fit to follow "the URL ". */
const char *url_wrong(const char *text, unsigned flags);
/* The host as it is looked up: small letters, numbers as dotted numbers, no brackets, no dot at its end. False: there is none. */
bool url_host(const char *text, char host[URL_HOST_MAX]);
/* Is it in a list of names and addresses, separated by commas or blanks? "*.example.com" is every name below example.com. */
bool url_host_listed(const char *host, const char *list);
/* A unicast address of the public Internet, also where it stands for an IPv4 address (mapped, NAT64, 6to4). */
bool url_is_public(const struct sockaddr *address);
/* The URL that `link` means in an answer from `base` (RFC 3986): the caller frees it. NULL: it is none. */
char *url_resolve(const char *base, const char *link);
/* Same scheme, host and port: what was meant for one may be shown to the other. */
bool url_same_origin(const char *a, const char *b);
/* `text` with name=value added to its query, both percent-encoded; what the query had under that name is gone. The caller frees it. */
char *url_with(const char *text, const char *name, const char *value);

#endif
