/*
 * conf/smtp_url.c: smtp_url of a queue: smtp://host:port or smtps://host:port.
 *
 * Pure; runs where a configuration is read. Invariant: what has no problem holds a host and perhaps a port, nothing else, so neither
 * a secret nor an option hides in it. Loopback is said of names alone; nothing is looked up.
 */
#include "config.h"

#include "conf/smtp_url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool smtp_url_implicit(const char *url)
{
	return strncasecmp(url, "smtps://", 8) == 0;
}

static const char *smtp_url_host(const char *url, size_t *len)
{
	const char *host = strstr(url, "://") + 3;

	*len = *host == '[' ? strcspn(host, "]") + (strchr(host, ']') != NULL) : strcspn(host, ":/");
	return host;
}

const char *smtp_url_problem(const char *url)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:";
	size_t len;

	if (strncasecmp(url, "smtp://", 7) != 0 && !smtp_url_implicit(url))
		return "is not an smtp:// or smtps:// URL";
	if (strchr(url, '@') != NULL)
		return "holds a user or password; use smtp_user and smtp_password";
	const char *host = smtp_url_host(url, &len);
	if (len == 0)
		return "names no host";
	const char *port = host + len;
	if (strspn(host, name) < len || (*port != '\0' && *port != ':' && strcmp(port, "/") != 0))
		return "is more than a host and a port";
	if (*port != ':')
		return NULL;
	size_t digits = strspn(port + 1, "0123456789");
	long number = digits > 0 && digits < 6 ? strtol(port + 1, NULL, 10) : 0;
	if (number < 1 || number > 65535 || (port[1 + digits] != '\0' && strcmp(port + 1 + digits, "/") != 0))
		return "has a port that is not a number from 1 to 65535";
	return NULL;
}

bool smtp_url_loopback(const char *url)
{
	size_t len;

	if (smtp_url_problem(url) != NULL)
		return false;
	const char *host = smtp_url_host(url, &len);
	if (len == 9 && strncasecmp(host, "localhost", 9) == 0)
		return true;
	if (len == 5 && strncmp(host, "[::1]", 5) == 0)
		return true;
	return len > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len;
}
