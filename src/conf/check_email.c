/*
 * conf/check_email.c: what a queue that sends mail needs (see check.h).
 *
 * Pure; runs where a configuration is read. Writes nothing but errors. Invariant: a password leaves this host over TLS alone.
 */
#include "config.h"

#include "conf/check.h"
#include "conf/layer.h"
#include "conf/smtp_url.h"

void conf_check_email(const struct conf_queue *queue, const struct conf_set *set, struct conf_errors *errors)
{
	const struct conf_queue_keys *k = &queue->k;
	const char *problem;

	if (*k->smtp_url == '\0') {
		conf_errors_add(errors, set->where, "queue \"%s\" needs smtp_url, the URL of its mail server", queue->name);
		return;
	}
	if ((problem = smtp_url_problem(k->smtp_url)) != NULL) {
		conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_smtp_url), "smtp_url %s", problem);
		return;
	}
	if ((*k->smtp_user == '\0') != (*k->smtp_password == '\0'))
		conf_errors_add(errors, conf_check_where(set, *k->smtp_user == '\0' ? CONF_K_QUEUE_smtp_password : CONF_K_QUEUE_smtp_user),
			"smtp_user and smtp_password go together");
	if (*k->smtp_password != '\0' && !smtp_url_implicit(k->smtp_url) && k->smtp_tls != CONF_SMTP_TLS_REQUIRE && !smtp_url_loopback(k->smtp_url))
		conf_errors_add(errors, conf_check_where(set, CONF_K_QUEUE_smtp_tls),
			"smtp_tls must be require, as there is an smtp_password and the mail server is not on this host");
}
