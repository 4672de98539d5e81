# tests: unit programs (check), run by `make check` without any server; integration, fault and bench are run by tests/run.sh
UNIT_LIBS = $(CHECK_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS)
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
TESTS += $(check_PROGRAMS)
# ends what hangs; no test judges speed, so it is long enough for a busy machine (check's own is 4 s)
UNIT_ENVIRONMENT = CK_DEFAULT_TIMEOUT=60
AM_TESTS_ENVIRONMENT = $(UNIT_ENVIRONMENT); export CK_DEFAULT_TIMEOUT;
# one block a program, appended at the end (configure refuses nothing: check is needed for `make check` alone):
#   check_PROGRAMS += unit_x
#   unit_x_SOURCES = tests/unit/test_x.c
#   unit_x_CFLAGS = $(UNIT_CFLAGS)
#   unit_x_LDADD = libROOM.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_units unit_text unit_buf unit_clock
unit_units_SOURCES = tests/unit/test_units.c
unit_units_CFLAGS = $(UNIT_CFLAGS)
unit_units_LDADD = libbase.a $(UNIT_LIBS)
unit_text_SOURCES = tests/unit/test_text.c
unit_text_CFLAGS = $(UNIT_CFLAGS)
unit_text_LDADD = libbase.a $(UNIT_LIBS)
unit_buf_SOURCES = tests/unit/test_buf.c
unit_buf_CFLAGS = $(UNIT_CFLAGS)
unit_buf_LDADD = libbase.a $(UNIT_LIBS)
unit_clock_SOURCES = tests/unit/test_clock.c
unit_clock_CFLAGS = $(UNIT_CFLAGS)
unit_clock_LDADD = libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_ident
unit_ident_SOURCES = tests/unit/test_ident.c
unit_ident_CFLAGS = $(UNIT_CFLAGS)
unit_ident_LDADD = libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_shm_limit
unit_shm_limit_SOURCES = tests/unit/test_shm_limit.c
unit_shm_limit_CFLAGS = $(UNIT_CFLAGS)
unit_shm_limit_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_shm_hist
unit_shm_hist_SOURCES = tests/unit/test_shm_hist.c
unit_shm_hist_CFLAGS = $(UNIT_CFLAGS)
unit_shm_hist_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_shm_decision
unit_shm_decision_SOURCES = tests/unit/test_shm_decision.c
unit_shm_decision_CFLAGS = $(UNIT_CFLAGS)
unit_shm_decision_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_shm_cell
unit_shm_cell_SOURCES = tests/unit/test_shm_cell.c
unit_shm_cell_CFLAGS = $(UNIT_CFLAGS)
unit_shm_cell_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_shm_seg
unit_shm_seg_SOURCES = tests/unit/test_shm_seg.c
unit_shm_seg_CFLAGS = $(UNIT_CFLAGS)
unit_shm_seg_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_shm_status
unit_shm_status_SOURCES = tests/unit/test_shm_status.c
unit_shm_status_CFLAGS = $(UNIT_CFLAGS)
unit_shm_status_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_io unit_log unit_fault unit_msg unit_stream
unit_io_SOURCES = tests/unit/test_io.c
unit_io_CFLAGS = $(UNIT_CFLAGS)
unit_io_LDADD = libbase.a $(UNIT_LIBS)
unit_log_SOURCES = tests/unit/test_log.c
unit_log_CFLAGS = $(UNIT_CFLAGS)
unit_log_LDADD = libbase.a $(UNIT_LIBS)
unit_fault_SOURCES = tests/unit/test_fault.c
unit_fault_CFLAGS = $(UNIT_CFLAGS)
unit_fault_LDADD = libbase.a $(UNIT_LIBS)
unit_msg_SOURCES = tests/unit/test_msg.c
unit_msg_CFLAGS = $(UNIT_CFLAGS)
unit_msg_LDADD = libwire.a libbase.a $(UNIT_LIBS)
unit_stream_SOURCES = tests/unit/test_stream.c
unit_stream_CFLAGS = $(UNIT_CFLAGS)
unit_stream_LDADD = libwire.a libbase.a $(UNIT_LIBS)

dist_check_SCRIPTS += tests/lint/layers.sh
TESTS += tests/lint/layers.sh

# for integration tests and bench: when each job began (a witness, not a test: so it is none of check_PROGRAMS)
noinst_PROGRAMS += begun
begun_SOURCES = tests/programs/begun.c
begun_LDADD = libshm.a libbase.a $(JANSSON_LIBS)

# bench: reference programs in C, and `make bench` (a database of its own; QUICK=1 for a short look)
EXTRA_PROGRAMS += bench_ref_drain bench_ref_pickup bench_produce bench_samples
bench_ref_drain_SOURCES = tests/bench/ref_drain.c tests/bench/ref.c tests/bench/ref.h
bench_ref_drain_LDADD = $(PQ_LIBS)
bench_ref_pickup_SOURCES = tests/bench/ref_pickup.c tests/bench/ref.c tests/bench/ref.h
bench_ref_pickup_LDADD = $(PQ_LIBS)
bench_produce_SOURCES = tests/bench/produce.c tests/bench/ref.c tests/bench/ref.h
bench_produce_LDADD = $(PQ_LIBS)
bench_samples_SOURCES = tests/bench/samples.c
bench_samples_LDADD = libshm.a libbase.a $(JANSSON_LIBS)
bench_programs = bench_ref_drain bench_ref_pickup bench_produce bench_samples tests/bench/simulate
EXTRA_PROGRAMS += tests/bench/simulate
tests_bench_simulate_SOURCES = tests/bench/simulate.c tests/bench/day.c tests/bench/day.h tests/bench/sim.c tests/bench/sim.h
tests_bench_simulate_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_bench_simulate_LDADD = libqueue.a libbase.a -lm
CLEANFILES += $(bench_programs)
.PHONY: bench
bench: all $(bench_programs)
	sh $(top_srcdir)/tests/bench/run.sh $(abs_builddir) $(BENCH_ARGS)

check_PROGRAMS += unit_conf_line unit_conf_load unit_conf_refuse unit_conf_diff unit_conf_files unit_conf_fuzz
CONF_FIXTURE = tests/unit/conf_fixture.c tests/unit/conf_fixture.h
CONF_LIBS = libconf.a libbase.a $(UNIT_LIBS)
unit_conf_line_SOURCES = tests/unit/test_conf_line.c
unit_conf_line_CFLAGS = $(UNIT_CFLAGS)
unit_conf_line_LDADD = $(CONF_LIBS)
unit_conf_load_SOURCES = tests/unit/test_conf_load.c $(CONF_FIXTURE)
unit_conf_load_CFLAGS = $(UNIT_CFLAGS)
unit_conf_load_LDADD = $(CONF_LIBS)
unit_conf_refuse_SOURCES = tests/unit/test_conf_refuse.c $(CONF_FIXTURE)
unit_conf_refuse_CFLAGS = $(UNIT_CFLAGS)
unit_conf_refuse_LDADD = $(CONF_LIBS)
unit_conf_diff_SOURCES = tests/unit/test_conf_diff.c $(CONF_FIXTURE)
unit_conf_diff_CFLAGS = $(UNIT_CFLAGS)
unit_conf_diff_LDADD = $(CONF_LIBS)
unit_conf_files_SOURCES = tests/unit/test_conf_files.c $(CONF_FIXTURE)
unit_conf_files_CFLAGS = $(UNIT_CFLAGS)
unit_conf_files_LDADD = $(CONF_LIBS)
unit_conf_fuzz_SOURCES = tests/unit/test_conf_fuzz.c $(CONF_FIXTURE)
unit_conf_fuzz_CFLAGS = $(UNIT_CFLAGS)
unit_conf_fuzz_LDADD = $(CONF_LIBS)

check_PROGRAMS += unit_backlog
unit_backlog_SOURCES = tests/unit/test_backlog.c
unit_backlog_CFLAGS = $(UNIT_CFLAGS)
unit_backlog_LDADD = libqueue.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_buffer
unit_buffer_SOURCES = tests/unit/test_buffer.c
unit_buffer_CFLAGS = $(UNIT_CFLAGS)
unit_buffer_LDADD = libqueue.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_sms unit_worker
unit_sms_SOURCES = tests/unit/test_sms.c
unit_sms_CFLAGS = $(UNIT_CFLAGS)
unit_sms_LDADD = libhandlers.a libpg.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)
unit_worker_SOURCES = tests/unit/test_worker.c tests/unit/worker_bed.c tests/unit/worker_bed.h
unit_worker_CFLAGS = $(UNIT_CFLAGS)
unit_worker_LDADD = libworker.a libhandlers.a libpg.a libconf.a libwire.a libshm.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)
check_PROGRAMS += unit_worker_door
unit_worker_door_SOURCES = tests/unit/test_worker_door.c tests/unit/worker_bed.c tests/unit/worker_bed.h
unit_worker_door_CFLAGS = $(UNIT_CFLAGS)
unit_worker_door_LDADD = libworker.a libhandlers.a libpg.a libconf.a libwire.a libshm.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)
check_PROGRAMS += unit_http
unit_http_SOURCES = tests/unit/test_http.c
unit_http_CFLAGS = $(UNIT_CFLAGS)
unit_http_LDADD = libhandlers.a libpg.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_ctl_text
unit_ctl_text_SOURCES = tests/unit/test_ctl_text.c
unit_ctl_text_CFLAGS = $(UNIT_CFLAGS)
unit_ctl_text_LDADD = libjobqctl.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_ctl_args
unit_ctl_args_SOURCES = tests/unit/test_ctl_args.c
unit_ctl_args_CPPFLAGS = $(AM_CPPFLAGS) -DSOURCE_DIR='"$(abs_top_srcdir)"'
unit_ctl_args_CFLAGS = $(UNIT_CFLAGS)
unit_ctl_args_LDADD = libjobqctl.a libconf.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_ctl_client
unit_ctl_client_SOURCES = tests/unit/test_ctl_client.c
unit_ctl_client_CFLAGS = $(UNIT_CFLAGS)
unit_ctl_client_LDADD = libjobqctl.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_pg_errors unit_pg_values
unit_pg_errors_SOURCES = tests/unit/test_pg_errors.c
unit_pg_errors_CFLAGS = $(UNIT_CFLAGS)
unit_pg_errors_LDADD = libpg.a libbase.a $(PQ_LIBS) $(UNIT_LIBS)
unit_pg_values_SOURCES = tests/unit/test_pg_values.c
unit_pg_values_CFLAGS = $(UNIT_CFLAGS)
unit_pg_values_LDADD = libpg.a libbase.a $(PQ_LIBS) $(UNIT_LIBS)

check_PROGRAMS += unit_master_backoff unit_master_parse unit_master_request
unit_master_backoff_SOURCES = tests/unit/test_master_backoff.c
unit_master_backoff_CFLAGS = $(UNIT_CFLAGS)
unit_master_backoff_LDADD = libmaster.a libbase.a $(UNIT_LIBS)
unit_master_parse_SOURCES = tests/unit/test_master_parse.c tests/unit/child_dummy.c
unit_master_parse_CFLAGS = $(UNIT_CFLAGS)
unit_master_parse_LDADD = $(JOBQD_LIBS) $(UNIT_LIBS)
unit_master_request_SOURCES = tests/unit/test_master_request.c tests/unit/child_dummy.c
unit_master_request_CFLAGS = $(UNIT_CFLAGS)
unit_master_request_LDADD = $(JOBQD_LIBS) $(UNIT_LIBS)

check_PROGRAMS += unit_pg_conn
unit_pg_conn_SOURCES = tests/unit/test_pg_conn.c tests/unit/fake_pg.c tests/unit/fake_pg.h
unit_pg_conn_CFLAGS = $(UNIT_CFLAGS)
unit_pg_conn_LDADD = libpg.a libbase.a $(PQ_LIBS) $(UNIT_LIBS)

check_PROGRAMS += unit_limits
unit_limits_SOURCES = tests/unit/test_limits.c
unit_limits_CFLAGS = $(UNIT_CFLAGS)
unit_limits_LDADD = libqueue.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_tuner
unit_tuner_SOURCES = tests/unit/test_tuner.c tests/bench/sim.c tests/bench/sim.h
unit_tuner_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
unit_tuner_CFLAGS = $(UNIT_CFLAGS)
unit_tuner_LDADD = libqueue.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_modes
unit_modes_SOURCES = tests/unit/test_modes.c
unit_modes_CFLAGS = $(UNIT_CFLAGS)
unit_modes_LDADD = libqueue.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_day
unit_day_SOURCES = tests/unit/test_day.c tests/bench/day.c tests/bench/day.h tests/bench/sim.c tests/bench/sim.h
unit_day_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
unit_day_CFLAGS = $(UNIT_CFLAGS)
unit_day_LDADD = libqueue.a libbase.a $(UNIT_LIBS) -lm

check_PROGRAMS += unit_url
unit_url_SOURCES = tests/unit/test_url.c
unit_url_CFLAGS = $(UNIT_CFLAGS)
unit_url_LDADD = libhandlers.a libpg.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_pg_pool
unit_pg_pool_SOURCES = tests/unit/test_pg_pool.c tests/unit/fake_pg.c tests/unit/fake_pg.h
unit_pg_pool_CFLAGS = $(UNIT_CFLAGS)
unit_pg_pool_LDADD = libpg.a libbase.a $(PQ_LIBS) $(UNIT_LIBS)

check_PROGRAMS += unit_http_public
unit_http_public_SOURCES = tests/unit/test_http_public.c
unit_http_public_CFLAGS = $(UNIT_CFLAGS)
unit_http_public_LDADD = libhandlers.a libpg.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_webhook
unit_webhook_SOURCES = tests/unit/test_webhook.c
unit_webhook_CFLAGS = $(UNIT_CFLAGS)
unit_webhook_LDADD = libhandlers.a libpg.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_level unit_shm_metrics unit_shm_report
unit_shm_report_SOURCES = tests/unit/test_shm_report.c
unit_shm_report_CFLAGS = $(UNIT_CFLAGS)
unit_shm_report_LDADD = libshm.a libbase.a $(UNIT_LIBS)
unit_level_SOURCES = tests/unit/test_level.c
unit_level_CFLAGS = $(UNIT_CFLAGS)
unit_level_LDADD = libqueue.a libbase.a $(UNIT_LIBS)
unit_shm_metrics_SOURCES = tests/unit/test_shm_metrics.c
unit_shm_metrics_CFLAGS = $(UNIT_CFLAGS)
unit_shm_metrics_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_sync
unit_sync_SOURCES = tests/unit/test_sync.c
unit_sync_CFLAGS = $(UNIT_CFLAGS)
unit_sync_LDADD = libhandlers.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_email
unit_email_SOURCES = tests/unit/test_email.c
unit_email_CFLAGS = $(UNIT_CFLAGS)
unit_email_LDADD = libhandlers.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_smtp
unit_smtp_SOURCES = tests/unit/test_smtp.c
unit_smtp_CFLAGS = $(UNIT_CFLAGS)
unit_smtp_LDADD = libhandlers.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_import
unit_import_SOURCES = tests/unit/test_import.c
unit_import_CFLAGS = $(UNIT_CFLAGS)
unit_import_LDADD = libhandlers.a libpg.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_slices
unit_slices_SOURCES = tests/unit/test_slices.c
unit_slices_CFLAGS = $(UNIT_CFLAGS)
unit_slices_LDADD = libdispatcher.a libhandlers.a libworker.a $(JOBQD_LIBS) $(UNIT_LIBS)

# lines and branches of src/queue that the unit programs run; fails below 95% and 90%
dist_check_SCRIPTS += tests/unit/coverage.sh
.PHONY: coverage
coverage:
	$(UNIT_ENVIRONMENT) sh $(top_srcdir)/tests/unit/coverage.sh $(abs_builddir)

EXTRA_DIST += .ci/run contrib/packages contrib/quickstart contrib/quickstart.sh docs/kannel.md docs/testing.md tests/run.sh tests/run tests/bench/run.sh
EXTRA_DIST += tests/bench/bench.py tests/bench/far.py tests/bench/imports.py tests/bench/mail.py tests/bench/measures.py tests/bench/measures_fair.py tests/bench/measures_limits.py tests/bench/stage.py tests/bench/tuned.py tests/conftest.py tests/pytest.ini tests/harness tests/integration tests/fault tests/programs/echo.py tests/programs/once.sh tests/programs/worker.py

check_PROGRAMS += unit_argv
unit_argv_SOURCES = tests/unit/test_argv.c
unit_argv_CFLAGS = $(UNIT_CFLAGS)
unit_argv_LDADD = libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_exec
unit_exec_SOURCES = tests/unit/test_exec.c
unit_exec_CFLAGS = $(UNIT_CFLAGS)
unit_exec_LDADD = libhandlers.a libpg.a libshm.a libconf.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)

check_PROGRAMS += unit_sql
unit_sql_SOURCES = tests/unit/test_sql.c
unit_sql_CFLAGS = $(UNIT_CFLAGS) $(PQ_CFLAGS)
unit_sql_LDADD = libhandlers.a libpg.a libbase.a $(UNIT_LIBS) $(HANDLERS_LIBS)
