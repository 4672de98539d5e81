# handlers: the code that has a job's effect, one file a handler behind include/jobq/handler.h
noinst_LIBRARIES += libhandlers.a
# what a program with handlers in it is linked with
HANDLERS_LIBS = $(CURL_LIBS) $(CRYPTO_LIBS) $(PQ_LIBS)
libhandlers_a_SOURCES = \
	src/handlers/curlev.c src/handlers/curlev.h \
	src/handlers/dialect.c src/handlers/dialect.h \
	src/handlers/exec.c src/handlers/exec.h \
	src/handlers/exec_conf.c src/handlers/exec_conf.h \
	src/handlers/exec_once.c \
	src/handlers/exec_program.c src/handlers/exec_program.h \
	src/handlers/exec_spawn.c src/handlers/exec_spawn.h \
	src/handlers/exec_stderr.c src/handlers/exec_stderr.h \
	src/handlers/exec_talk.c \
	src/handlers/gsm.c src/handlers/gsm.h \
	src/handlers/headers.c src/handlers/headers.h \
	src/handlers/http.c src/handlers/http.h \
	src/handlers/law.c src/handlers/law.h \
	src/handlers/null.c \
	src/handlers/registry.c src/handlers/registry.h \
	src/handlers/sleep.c \
	src/handlers/sms.c src/handlers/sms_driver.h \
	src/handlers/sms_json.c \
	src/handlers/sms_kannel.c \
	src/handlers/sms_message.c src/handlers/sms_message.h \
	src/handlers/sql.c \
	src/handlers/sql_law.c src/handlers/sql_law.h \
	src/handlers/sql_run.c src/handlers/sql_run.h \
	src/handlers/sql_said.c src/handlers/sql_said.h \
	src/handlers/template.c src/handlers/template.h \
	src/handlers/url.c src/handlers/url.h \
	src/handlers/webhook.c \
	src/handlers/webhook_answer.c src/handlers/webhook_answer.h \
	src/handlers/webhook_sign.c src/handlers/webhook_sign.h
EXTRA_DIST += docs/webhooks.md
