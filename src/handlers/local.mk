# handlers: the code that has a job's effect, one file a handler behind include/jobq/handler.h
noinst_LIBRARIES += libhandlers.a
# what a program with handlers in it is linked with
HANDLERS_LIBS = libpg.a libconf.a libbase.a $(CURL_LIBS) $(GMIME_LIBS) $(CRYPTO_LIBS) $(PQ_LIBS) $(EVENT_LIBS)
libhandlers_a_SOURCES = \
	src/handlers/curlev.c src/handlers/curlev.h \
	src/handlers/dialect.c src/handlers/dialect.h \
	src/handlers/email.c \
	src/handlers/email_address.c src/handlers/email_address.h \
	src/handlers/email_file.c src/handlers/email_file.h \
	src/handlers/email_kept.c src/handlers/email_kept.h \
	src/handlers/email_message.c src/handlers/email_message.h \
	src/handlers/email_mime.c src/handlers/email_mime.h \
	src/handlers/email_record.c src/handlers/email_record.h \
	src/handlers/email_verdict.c src/handlers/email_verdict.h \
	src/handlers/exec.c src/handlers/exec.h \
	src/handlers/exec_conf.c src/handlers/exec_conf.h \
	src/handlers/exec_hear.c \
	src/handlers/exec_once.c \
	src/handlers/exec_program.c src/handlers/exec_program.h \
	src/handlers/exec_spawn.c src/handlers/exec_spawn.h \
	src/handlers/exec_stderr.c src/handlers/exec_stderr.h \
	src/handlers/exec_talk.c src/handlers/exec_talk.h \
	src/handlers/gsm.c src/handlers/gsm.h \
	src/handlers/headers.c src/handlers/headers.h \
	src/handlers/http.c src/handlers/http.h \
	src/handlers/import.c src/handlers/import.h \
	src/handlers/import_file.c src/handlers/import_finish.c src/handlers/import_merge.c \
	src/handlers/import_plan.c src/handlers/import_plan.h \
	src/handlers/import_read.c \
	src/handlers/import_spec.c src/handlers/import_spec.h \
	src/handlers/import_split.c src/handlers/import_split.h \
	src/handlers/import_sql.c src/handlers/import_start.c src/handlers/import_url.c \
	src/handlers/law.c src/handlers/law.h \
	src/handlers/null.c \
	src/handlers/payload.c src/handlers/payload.h \
	src/handlers/registry.c src/handlers/registry.h \
	src/handlers/sleep.c \
	src/handlers/sms.c src/handlers/sms_driver.h \
	src/handlers/sms_json.c \
	src/handlers/sms_kannel.c \
	src/handlers/sms_message.c src/handlers/sms_message.h \
	src/handlers/smtp.c src/handlers/smtp.h src/handlers/smtp_conn.h \
	src/handlers/smtp_data.c src/handlers/smtp_data.h \
	src/handlers/smtp_open.c \
	src/handlers/smtp_reply.c src/handlers/smtp_reply.h \
	src/handlers/smtp_talk.c \
	src/handlers/sync.c src/handlers/sync.h src/handlers/sync_bad.c src/handlers/sync_db.c src/handlers/sync_pull.c src/handlers/sync_push.c \
	src/handlers/sync_page.c src/handlers/sync_page.h \
	src/handlers/sync_plan.c src/handlers/sync_plan.h \
	src/handlers/sync_spec.c src/handlers/sync_spec.h \
	src/handlers/sql.c \
	src/handlers/sql_end.c src/handlers/sql_end.h \
	src/handlers/sql_law.c src/handlers/sql_law.h \
	src/handlers/sql_run.c src/handlers/sql_run.h \
	src/handlers/sql_said.c src/handlers/sql_said.h \
	src/handlers/template.c src/handlers/template.h \
	src/handlers/url.c src/handlers/url.h \
	src/handlers/webhook.c \
	src/handlers/webhook_answer.c src/handlers/webhook_answer.h \
	src/handlers/webhook_sign.c src/handlers/webhook_sign.h
EXTRA_DIST += docs/decisions/import-staging.md docs/import.md docs/pools.md docs/webhooks.md docs/email.md docs/decisions/smtp-transaction.md docs/sync.md
