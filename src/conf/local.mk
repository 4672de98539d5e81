# conf: the configuration, declared once in include/tbl/config.def
noinst_LIBRARIES += libconf.a
libconf_a_SOURCES = \
	src/conf/check.c src/conf/check.h src/conf/check_email.c src/conf/check_exec.c src/conf/check_import.c src/conf/check_pool.c src/conf/check_queue.c \
	src/conf/conf.h src/conf/fields.h \
	src/conf/derive.c src/conf/derive.h \
	src/conf/diff.c \
	src/conf/env.c src/conf/env.h \
	src/conf/errors.c src/conf/errors.h \
	src/conf/keep.c src/conf/keep.h \
	src/conf/layer.c src/conf/layer.h \
	src/conf/line.c src/conf/line.h \
	src/conf/load.c \
	src/conf/manual.c src/conf/manual.h \
	src/conf/near.c src/conf/near.h \
	src/conf/oldenv.c src/conf/oldenv.h \
	src/conf/print.c src/conf/print.h \
	src/conf/private.h \
	src/conf/raw.c src/conf/raw.h \
	src/conf/read.c src/conf/read.h \
	src/conf/sample.c \
	src/conf/secret.c src/conf/secret.h \
	src/conf/smtp_url.c src/conf/smtp_url.h \
	src/conf/table.c src/conf/table.h \
	src/conf/value.c src/conf/value.h \
	src/conf/words.c src/conf/words.h

# `make conf-generated` writes the files that are made from the table; unit_conf_files holds them
EXTRA_PROGRAMS += confgenerate
confgenerate_SOURCES = src/conf/generate.c
confgenerate_LDADD = libconf.a libbase.a $(JANSSON_LIBS)
CLEANFILES += confgenerate$(EXEEXT)
conf-generated: confgenerate$(EXEEXT)
	./confgenerate$(EXEEXT) sample >$(srcdir)/etc/jobqd.conf
	./confgenerate$(EXEEXT) manual >$(srcdir)/docs/jobqd.conf.5
.PHONY: conf-generated

EXTRA_DIST += etc/jobqd.conf etc/jobqd-minimal.conf
dist_man_MANS += docs/jobqd.conf.5

# The sample becomes the configuration of a new installation, with this build's directories; one that is there stays.
conf_installed = $(DESTDIR)$(sysconfdir)/jobq/jobqd.conf
conf_for_here = sed -e 's,= /var/lib/jobq,= $(localstatedir)/lib/jobq,' -e 's,= /run/jobq,= $(runstatedir)/jobq,' $(srcdir)/etc/jobqd.conf
install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(sysconfdir)/jobq"
	test -e "$(conf_installed)" || { $(conf_for_here) >"$(conf_installed)" && chmod 644 "$(conf_installed)"; }
uninstall-local:
	if $(conf_for_here) | cmp -s - "$(conf_installed)"; then rm -f "$(conf_installed)"; fi
