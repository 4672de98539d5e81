/*
 * handlers/url.c: may a URL that a stranger wrote be called? (see url.h)
 *
 * Pure; runs in workers. URLs are taken apart by libcurl's own parser, so nothing reads them differently from what will call
 * them. Owns the table of addresses that are not public: RFC 6890 and its successors, multicast, and the prefixes behind which an
 * IPv4 address hides. IPv6 is refused outside 2000::/3, so what is not known is not public. Fails on the refusing side.
 */
#include "config.h"

#include "handlers/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"

struct range4 {
	uint8_t net[4];
	unsigned bits;
};
static const struct range4 not_public4[] = {
	{{0}, 8},                 /* "this network" */
	{{10}, 8},                /* private */
	{{100, 64}, 10},          /* carrier-grade NAT */
	{{127}, 8},               /* loopback */
	{{169, 254}, 16},         /* link-local, and what clouds keep there */
	{{172, 16}, 12},          /* private */
	{{192, 0, 0}, 24},        /* protocol assignments */
	{{192, 0, 2}, 24},        /* documentation */
	{{192, 88, 99}, 24},      /* 6to4 relays */
	{{192, 168}, 16},         /* private */
	{{198, 18}, 15},          /* benchmarks */
	{{198, 51, 100}, 24},     /* documentation */
	{{203, 0, 113}, 24},      /* documentation */
	{{224}, 4},               /* multicast */
	{{240}, 4},               /* reserved, broadcast */
};

struct range6 {
	uint8_t net[16];
	unsigned bits;
};
static const struct range6 not_public6[] = { /* of 2000::/3; all else is refused anyway */
	{{0x20, 0x01, 0x00}, 23},             /* protocol assignments: Teredo, ORCHID, benchmarks */
	{{0x20, 0x01, 0x0d, 0xb8}, 32},       /* documentation */
	{{0x3f, 0xff, 0x00}, 20},             /* documentation */
};
static const struct range6 global_unicast = {{0x20}, 3};

struct hidden4 { /* an IPv4 address stands at `at` behind this prefix */
	struct range6 range;
	size_t at;
};
static const struct hidden4 hiding[] = {
	{{{[10] = 0xff, [11] = 0xff}, 96}, 12},               /* ::ffff:0:0/96, mapped */
	{{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},                 /* 64:ff9b::/96, NAT64 */
	{{{0x20, 0x02}, 16}, 2},                              /* 2002::/16, 6to4 */
};

static bool url_within(const uint8_t *address, const uint8_t *net, unsigned bits)
{
	size_t whole = bits / 8;
	unsigned rest = bits % 8;

	if (memcmp(address, net, whole) != 0)
		return false;
	return rest == 0 || ((address[whole] ^ net[whole]) >> (8 - rest)) == 0;
}

static bool url_is_public4(const uint8_t address[4])
{
	for (size_t i = 0; i < sizeof not_public4 / sizeof not_public4[0]; i++)
		if (url_within(address, not_public4[i].net, not_public4[i].bits))
			return false;
	return true;
}

static bool url_is_public6(const uint8_t address[16])
{
	for (size_t i = 0; i < sizeof hiding / sizeof hiding[0]; i++)
		if (url_within(address, hiding[i].range.net, hiding[i].range.bits))
			return url_is_public4(address + hiding[i].at);
	for (size_t i = 0; i < sizeof not_public6 / sizeof not_public6[0]; i++)
		if (url_within(address, not_public6[i].net, not_public6[i].bits))
			return false;
	return url_within(address, global_unicast.net, global_unicast.bits);
}

bool url_is_public(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (address->sa_family) {
	case AF_INET:
		memcpy(&v4, address, sizeof v4);
		return url_is_public4((const uint8_t *)&v4.sin_addr);
	case AF_INET6:
		memcpy(&v6, address, sizeof v6);
		return url_is_public6(v6.sin6_addr.s6_addr);
	default:
		return false; /* a unix socket, or worse */
	}
}

static CURLU *url_parse(const char *text)
{
	CURLU *u = curl_url();

	if (u == NULL)
		mem_exhausted(0);
	if (strlen(text) <= URL_MAX && curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK)
		return u;
	curl_url_cleanup(u);
	return NULL;
}

/* The caller frees it with curl_free. NULL: the URL has none. */
static char *url_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL;

	return curl_url_get(u, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool url_host_of(CURLU *u, char host[URL_HOST_MAX])
{
	char *text = url_part(u, CURLUPART_HOST, 0);
	const char *from = text;
	size_t len = from == NULL ? 0 : strlen(from);

	if (len > 1 && from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	while (len > 0 && from[len - 1] == '.')
		len--;
	bool good = len > 0 && len < URL_HOST_MAX;
	for (size_t i = 0; good && i < len; i++)
		host[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] - 'A' + 'a' : from[i]);
	host[good ? len : 0] = '\0';
	curl_free(text);
	return good;
}

bool url_host(const char *text, char host[URL_HOST_MAX])
{
	CURLU *u = url_parse(text);
	bool good = u != NULL && url_host_of(u, host);

	if (u != NULL)
		curl_url_cleanup(u);
	return good;
}

/* An address in a host's place that is not public; a name is judged when it has become an address. */
static bool url_is_private_literal(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return !url_is_public4((const uint8_t *)&v4);
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return !url_is_public6(v6.s6_addr);
	return false;
}

static const char *url_wrong_parts(CURLU *u, unsigned flags)
{
	char host[URL_HOST_MAX];
	char *scheme = url_part(u, CURLUPART_SCHEME, 0), *user = url_part(u, CURLUPART_USER, 0);
	char *password = url_part(u, CURLUPART_PASSWORD, 0), *zone = url_part(u, CURLUPART_ZONEID, 0);
	const char *wrong = NULL;

	if (scheme == NULL || (strcmp(scheme, "https") != 0 && ((flags & URL_HTTPS) != 0 || strcmp(scheme, "http") != 0)))
		wrong = (flags & URL_HTTPS) != 0 ? "does not begin with https://" : "begins with neither http:// nor https://";
	else if (user != NULL || password != NULL)
		wrong = "holds a user or password";
	else if (!url_host_of(u, host))
		wrong = "names no host";
	else if ((flags & URL_PRIVATE) == 0 && (zone != NULL || url_is_private_literal(host)))
		wrong = "leads to an address that is not public";
	curl_free(scheme);
	curl_free(user);
	curl_free(password);
	curl_free(zone);
	return wrong;
}

const char *url_wrong(const char *text, unsigned flags)
{
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c == 0x7f || *c == '\\')
			return "holds a blank, a backslash or a control character";
	if (strlen(text) > URL_MAX)
		return "is longer than 2048 bytes";
	if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0) /* libcurl would guess one */
		return (flags & URL_HTTPS) != 0 ? "does not begin with https://" : "begins with neither http:// nor https://";
	if (strncmp(strchr(text, ':'), ":///", 4) == 0)
		return "names no host";
	CURLU *u = url_parse(text);
	if (u == NULL)
		return "is not a URL";
	const char *wrong = url_wrong_parts(u, flags);
	curl_url_cleanup(u);
	return wrong;
}

bool url_host_listed(const char *host, const char *list)
{
	static const char between[] = ", \t";
	size_t host_len = strlen(host);

	for (list += strspn(list, between); *list != '\0'; list += strspn(list, between)) {
		size_t len = strcspn(list, between);
		bool below = len > 2 && list[0] == '*' && list[1] == '.';
		const char *tail = below ? list + 1 : list;
		size_t tail_len = below ? len - 1 : len;
		if ((below ? host_len > tail_len : host_len == tail_len)
			&& strncasecmp(host + host_len - tail_len, tail, tail_len) == 0)
			return true;
		list += len;
	}
	return false;
}

char *url_resolve(const char *base, const char *link)
{
	CURLU *u = url_parse(base);
	char *text = NULL, *copy = NULL;

	if (u == NULL)
		return NULL;
	if (strlen(link) <= URL_MAX && curl_url_set(u, CURLUPART_URL, link, 0) == CURLUE_OK)
		text = url_part(u, CURLUPART_URL, 0);
	if (text != NULL && strlen(text) <= URL_MAX)
		copy = xstrdup(text);
	curl_free(text);
	curl_url_cleanup(u);
	return copy;
}

bool url_same_origin(const char *a, const char *b)
{
	static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
	CURLU *ua = url_parse(a), *ub = url_parse(b);
	bool same = ua != NULL && ub != NULL;

	for (size_t i = 0; same && i < sizeof parts / sizeof parts[0]; i++) {
		char *pa = url_part(ua, parts[i], CURLU_DEFAULT_PORT), *pb = url_part(ub, parts[i], CURLU_DEFAULT_PORT);
		same = pa != NULL && pb != NULL && strcasecmp(pa, pb) == 0;
		curl_free(pa);
		curl_free(pb);
	}
	if (ua != NULL)
		curl_url_cleanup(ua);
	if (ub != NULL)
		curl_url_cleanup(ub);
	return same;
}

/* The query without the parameters of that name, which is percent-encoded; what it takes out it takes out whole. */
static char *url_query_without(const char *query, const char *name)
{
	size_t name_len = strlen(name), n = 0;
	char *out = xmalloc(strlen(query) + 1);

	for (const char *at = query; *at != '\0';) {
		size_t len = strcspn(at, "&");
		bool it = strncmp(at, name, name_len) == 0 && (len == name_len || (len > name_len && at[name_len] == '='));
		if (!it && len > 0) {
			if (n > 0)
				out[n++] = '&';
			memcpy(out + n, at, len);
			n += len;
		}
		at += len + (at[len] == '&');
	}
	out[n] = '\0';
	return out;
}

char *url_with(const char *text, const char *name, const char *value)
{
	CURLU *u = url_parse(text);
	char *key = curl_easy_escape(NULL, name, 0), *val = curl_easy_escape(NULL, value, 0);

	if (key == NULL || val == NULL)
		mem_exhausted(0);
	char *query = u == NULL ? NULL : url_part(u, CURLUPART_QUERY, 0);
	char *rest = url_query_without(query == NULL ? "" : query, key), *made = NULL, *copy = NULL;
	char *all = xasprintf("%s%s%s=%s", rest, rest[0] == '\0' ? "" : "&", key, val);
	if (u != NULL && curl_url_set(u, CURLUPART_QUERY, all, 0) == CURLUE_OK)
		made = url_part(u, CURLUPART_URL, 0);
	if (made != NULL)
		copy = xstrdup(made);
	curl_free(made);
	curl_free(query);
	curl_free(key);
	curl_free(val);
	free(rest);
	free(all);
	if (u != NULL)
		curl_url_cleanup(u);
	return copy;
}
