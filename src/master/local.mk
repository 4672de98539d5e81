# master: forks, reaps, supervises, answers; and the daemon's program
noinst_LIBRARIES += libmaster.a
libmaster_a_SOURCES = \
	src/master/access.c src/master/access.h \
	src/master/answer.c src/master/answer.h \
	src/master/backoff.c src/master/backoff.h \
	src/master/control.c src/master/control.h \
	src/master/daemonise.c src/master/daemonise.h \
	src/master/dump.c src/master/dump.h \
	src/master/embed.c src/master/embed.h src/master/embed_parts.h \
	src/master/embed_boot.c \
	src/master/embed_conf.c \
	src/master/embed_find.c \
	src/master/embed_pid.c src/master/embed_pid.h \
	src/master/embed_start.c \
	src/master/forward.c src/master/forward.h \
	src/master/instance.c src/master/instance.h \
	src/master/lines.c src/master/lines.h \
	src/master/link.c src/master/link.h \
	src/master/master.c src/master/master.h \
	src/master/notify.c src/master/notify.h \
	src/master/pidfile.c src/master/pidfile.h \
	src/master/pool.c src/master/pool.h \
	src/master/privilege.c src/master/privilege.h \
	src/master/reap.c src/master/reap.h \
	src/master/reload.c src/master/reload.h \
	src/master/report.c src/master/report.h \
	src/master/request.c src/master/request.h \
	src/master/roll.c src/master/roll.h \
	src/master/seat.c src/master/seat.h \
	src/master/setup.c src/master/setup.h \
	src/master/signal.c src/master/signal.h \
	src/master/slot.c src/master/slot.h \
	src/master/spawn.c src/master/spawn.h \
	src/master/stop.c src/master/stop.h \
	src/master/watch.c src/master/watch.h

# in the order of the rooms: each looks only at those behind it
JOBQD_LIBS = libmaster.a libhandlers.a libqueue.a libpg.a libwire.a libconf.a libshm.a libbase.a \
	$(PQ_LIBS) $(HANDLERS_LIBS) $(JANSSON_LIBS) $(EVENT_LIBS) -lm

sbin_PROGRAMS += jobqd
jobqd_SOURCES = src/jobqd.c
jobqd_LDADD = libmaster.a libdispatcher.a libworker.a $(JOBQD_LIBS)

# the real master over children that only keep the contract: for tests of supervision without a database
EXTRA_PROGRAMS += jobqd_dummy
jobqd_dummy_SOURCES = src/jobqd.c tests/unit/child_dummy.c
jobqd_dummy_LDADD = $(JOBQD_LIBS)
CLEANFILES += jobqd_dummy$(EXEEXT)

dist_man_MANS += docs/jobqd.8
EXTRA_DIST += contrib/init.d/jobqd contrib/systemd/jobqd.service contrib/logrotate/jobqd docs/processes.md
