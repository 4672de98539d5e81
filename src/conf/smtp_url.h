/* conf/smtp_url.h: smtp_url of a queue. Pure. */
#ifndef JOBQ_CONF_SMTP_URL_H
#define JOBQ_CONF_SMTP_URL_H

#include <stdbool.h>

const char *smtp_url_problem(const char *url); /* NULL: it can be used */
bool smtp_url_implicit(const char *url);       /* smtps: TLS from the first byte */
bool smtp_url_loopback(const char *url);       /* its server is on this host, by what it is called */

#endif
