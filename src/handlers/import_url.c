/*
 * import_url.c: a source that is a URL (allow_url), streamed.
 *
 * Runs in a worker; one libcurl multi handle a worker, one transfer a struct import_run (see import.h). The URL is a tenant's: https
 * alone, no redirect is followed, and every address that is about to be connected to must be of the public Internet (url.h), unless
 * allow_private lets private ones, and http, pass. What COPY cannot take yet is held by pausing the transfer, so memory does
 * not grow with the source. Callbacks of libcurl end no run; they feed it and wake it.
 */
#include "config.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "handlers/curlev.h"
#include "handlers/import.h"
#include "handlers/url.h"

#define CONNECT_MS 10000L
#define SILENCE_S 60L /* a source that sends nothing for so long is given up */
#define CONNECTIONS 8

struct import_url {
	struct curlev *curlev;
	const char *user_agent;
	bool private_too;
};

struct import_fetch {
	struct import_run *run;
	struct import_url *url;
	CURL *easy;
	bool paused, refused, opened;
	char error[CURLEV_ERROR];
};

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct import_fetch *f = arg;

	(void)purpose;
	if (!f->url->private_too && !url_is_public(&address->addr)) {
		f->refused = true;
		return CURL_SOCKET_BAD;
	}
	f->opened = true;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static long status_of(CURL *easy)
{
	long status = 0;

	return curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK ? status : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct import_fetch *f = arg;
	curl_off_t total = -1;

	if (status_of(f->easy) != 200)
		return size * n; /* no rows, but an error's text */
	if (import_read_full(f->run)) {
		f->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (f->run->size == 0 && curl_easy_getinfo(f->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total) == CURLE_OK && total > 0)
		f->run->size = (int64_t)total;
	import_read_fed(f->run, data, size * n);
	return size * n;
}

static void refused(struct import_run *run, long status)
{
	bool again = status >= 500 || status == 429 || status == 408 || status == 425;
	char text[160];

	snprintf(text, sizeof text, "the source answered with status %ld%s", status, status >= 300 && status < 400 ? "; redirects are not followed" : "");
	import_end(run, again ? OUTCOME_RETRY : OUTCOME_FAIL, -1, text, NULL);
}

static void on_done(void *arg, CURL *easy, CURLcode code)
{
	char *private, text[CURLEV_ERROR + 64];

	(void)arg;
	if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private) != CURLE_OK)
		return;
	struct import_fetch *f = (struct import_fetch *)(void *)private;
	long status = status_of(easy);
	if (code == CURLE_OK && status == 200) {
		import_read_ended(f->run);
	} else if (f->refused && !f->opened) {
		import_fail(f->run, "the source's host has no address of the public Internet");
	} else if (status != 0 && status != 200) {
		refused(f->run, status);
	} else {
		curlev_explain(f->error, code);
		snprintf(text, sizeof text, "the source cannot be read: %s", f->error);
		import_end(f->run, OUTCOME_RETRY, -1, text, NULL);
	}
}

struct import_url *import_url_new(const struct import *im, char *err, size_t errlen)
{
	struct import_url *url = xcalloc(1, sizeof *url);

	url->user_agent = im->user_agent;
	url->private_too = im->queue->k.allow_private;
	url->curlev = curlev_new(im->base, CONNECTIONS, on_done, url, err, errlen);
	if (url->curlev != NULL)
		return url;
	free(url);
	return NULL;
}

void import_url_free(struct import_url *url)
{
	if (url == NULL)
		return;
	curlev_free(url->curlev);
	free(url);
}

/* CURLE_OK when everything could be set. */
static CURLcode configure(struct import_fetch *f)
{
	CURL *e = f->easy;
	CURLcode all = CURLE_OK;
#define SET(option, value) \
	do { \
		CURLcode code = curl_easy_setopt(e, option, value); \
		if (all == CURLE_OK) \
			all = code; \
	} while (0)

	SET(CURLOPT_URL, f->run->spec->source);
	SET(CURLOPT_PROTOCOLS_STR, f->url->private_too ? "http,https" : "https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L); /* every transfer's address is looked at */
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	SET(CURLOPT_USERAGENT, f->url->user_agent);
	SET(CURLOPT_ERRORBUFFER, f->error);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_OPENSOCKETDATA, f);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_PRIVATE, (char *)f);
#undef SET
	return all == CURLE_OK ? curlev_trust(e) : all;
}

bool import_url_open(struct import_run *run)
{
	struct import_url *url = run->import->url;
	const char *wrong = url_wrong(run->spec->source, url->private_too ? URL_PRIVATE : URL_HTTPS);
	struct import_fetch *f;

	if (wrong != NULL) {
		import_fail(run, "the URL %s", wrong);
		return false;
	}
	f = xcalloc(1, sizeof *f);
	f->run = run;
	f->url = url;
	f->easy = curl_easy_init();
	run->fetch = f;
	if (f->easy != NULL && configure(f) == CURLE_OK && curl_multi_add_handle(curlev_multi(url->curlev), f->easy) == CURLM_OK)
		return true;
	import_end(run, OUTCOME_RETRY, -1, "the transfer could not be started", NULL);
	return false;
}

void import_url_resume(struct import_run *run)
{
	struct import_fetch *f = run->fetch;

	if (!f->paused || import_read_full(run))
		return;
	f->paused = false;
	(void)curl_easy_pause(f->easy, CURLPAUSE_CONT); /* what goes wrong ends the transfer, which is told */
}

void import_url_close(struct import_run *run)
{
	struct import_fetch *f = run->fetch;

	if (f == NULL)
		return;
	run->fetch = NULL;
	if (f->easy != NULL)
		(void)curl_multi_remove_handle(curlev_multi(f->url->curlev), f->easy); /* in it or not */
	curl_easy_cleanup(f->easy);
	free(f);
}
