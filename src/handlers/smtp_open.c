/*
 * handlers/smtp_open.c: the way to a connection that may be talked on (see smtp_conn.h): what libcurl is to do, and what it says in the end.
 *
 * Runs in a worker; no events of its own: libcurl (curlev.c) waits for the network. It opens a connection (CURLOPT_CONNECT_ONLY: name, TCP,
 * TLS, greeting, EHLO, STARTTLS, AUTH), verifies TLS peers, and takes no proxy of the environment. The server's answers pass by here:
 * from EHLO's it is known what the server can do, and the last one is the reason if it turns us away.
 *
 * Invariant: an easy handle is set up once and serves all connections of its smtp_conn, one after the other. Fails by libcurl's code.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "handlers/curlev.h"
#include "handlers/smtp_conn.h"

#define CONNECT_MS 60000L /* to be let in, from the name to AUTH; servers that greet slowly are common */

/* What the server can do stands in the answer to EHLO; after STARTTLS it is asked again. */
static size_t smtp_open_line(char *data, size_t size, size_t n, void *arg)
{
	struct smtp_conn *c = arg;
	size_t len = size * n, used;

	if (len >= 3 && memcmp(data, "220", 3) == 0)
		c->pipelining = c->size = false;
	if (len >= 14 && strncasecmp(data + 3, "-PIPELINING", 11) == 0)
		c->pipelining = true;
	if (len >= 14 && strncasecmp(data + 3, " PIPELINING", 11) == 0)
		c->pipelining = true;
	if (len >= 8 && (data[3] == '-' || data[3] == ' ') && strncasecmp(data + 4, "SIZE", 4) == 0)
		c->size = true;
	(void)smtp_reply_feed(&c->reply, data, len, &used); /* kept in case that it is the last word */
	return len;
}

#define SMTP_SET(option, value) (code = code != CURLE_OK ? code : curl_easy_setopt(c->easy, option, value))

CURLcode smtp_open_setup(struct smtp_conn *c, const struct smtp_server *server)
{
	static const long tls[] = {
		[SMTP_TLS_REQUIRE] = CURLUSESSL_ALL, [SMTP_TLS_TRY] = CURLUSESSL_TRY, [SMTP_TLS_OFF] = CURLUSESSL_NONE};
	CURLcode code = CURLE_OK;

	SMTP_SET(CURLOPT_PRIVATE, c);
	SMTP_SET(CURLOPT_URL, server->url);
	SMTP_SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	SMTP_SET(CURLOPT_CONNECT_ONLY, 1L);
	SMTP_SET(CURLOPT_NOSIGNAL, 1L);
	SMTP_SET(CURLOPT_PROXY, "");
	SMTP_SET(CURLOPT_USE_SSL, tls[server->tls]);
	SMTP_SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	SMTP_SET(CURLOPT_ERRORBUFFER, c->error);
	SMTP_SET(CURLOPT_HEADERFUNCTION, smtp_open_line);
	SMTP_SET(CURLOPT_HEADERDATA, c);
	code = code != CURLE_OK ? code : curlev_trust(c->easy);
	if (*server->user != '\0') {
		SMTP_SET(CURLOPT_USERNAME, server->user);
		SMTP_SET(CURLOPT_PASSWORD, server->password);
	}
	return code;
}

void smtp_open_start(struct smtp_conn *c, CURLM *multi)
{
	c->open = SMTP_CONNECTING;
	c->pipelining = c->size = false;
	c->error[0] = '\0';
	c->reply = (struct smtp_reply){.code = 0};
	if (curl_multi_add_handle(multi, c->easy) != CURLM_OK)
		mem_exhausted(0); /* a handle that is good and not in it is refused for want of memory alone */
}

struct smtp_conn *smtp_open_of(CURL *easy)
{
	char *private;

	return curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private) == CURLE_OK ? (struct smtp_conn *)(void *)private : NULL;
}

CURLcode smtp_open_socket(const struct smtp_conn *c, CURLcode code, curl_socket_t *fd)
{
	if (code == CURLE_OK && curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, fd) != CURLE_OK)
		return CURLE_COULDNT_CONNECT;
	return code;
}

void smtp_open_refused(struct smtp_conn *c, CURLcode code)
{
	struct smtp_report *report = &c->call->report;
	long said = 0;

	*report = (struct smtp_report){.stage = SMTP_CONNECT};
	if (curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &said) == CURLE_OK && said >= 400 && said == c->reply.code) {
		report->code = (int)said;
		report->text = c->reply.text;
	} else {
		report->code = code == CURLE_LOGIN_DENIED ? 535 : 0;
		report->text = c->error[0] != '\0' ? c->error : curl_easy_strerror(code);
	}
}
