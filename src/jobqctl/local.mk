# jobqctl: the operator's client
noinst_LIBRARIES += libjobqctl.a
libjobqctl_a_SOURCES = \
	src/jobqctl/args.c src/jobqctl/args.h \
	src/jobqctl/client.c src/jobqctl/client.h \
	src/jobqctl/cmd_bulk.c src/jobqctl/cmd_daemon.c src/jobqctl/cmd_enqueue.c \
	src/jobqctl/cmd_jobs.c src/jobqctl/cmd_metrics.c src/jobqctl/cmd_migrate.c src/jobqctl/cmd_report.c src/jobqctl/cmd_status.c \
	src/jobqctl/command.c src/jobqctl/command.h \
	src/jobqctl/completion.c src/jobqctl/completion.h \
	src/jobqctl/ctl.c src/jobqctl/ctl.h \
	src/jobqctl/doc.c src/jobqctl/doc.h \
	src/jobqctl/find.c src/jobqctl/find.h \
	src/jobqctl/human.c src/jobqctl/human.h \
	src/jobqctl/ids.c src/jobqctl/ids.h \
	src/jobqctl/job_text.c src/jobqctl/job_text.h \
	src/jobqctl/jobline.c src/jobqctl/jobline.h \
	src/jobqctl/memory.c src/jobqctl/memory.h \
	src/jobqctl/metrics_text.c src/jobqctl/metrics_text.h \
	src/jobqctl/report_text.c src/jobqctl/report_text.h \
	src/jobqctl/screen.c src/jobqctl/screen.h \
	src/jobqctl/status_processes.c src/jobqctl/status_processes.h \
	src/jobqctl/status_text.c src/jobqctl/status_text.h \
	src/jobqctl/table.c src/jobqctl/table.h \
	src/jobqctl/width.c src/jobqctl/width.h

bin_PROGRAMS += jobqctl
jobqctl_SOURCES = src/jobqctl/main.c
jobqctl_LDADD = libjobqctl.a libshm.a libconf.a libpg.a libbase.a $(PQ_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS)

dist_man_MANS += docs/jobqctl.1
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = contrib/completion/jobqctl
