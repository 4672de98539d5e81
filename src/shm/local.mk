# shm: the segment that every process shares
noinst_LIBRARIES += libshm.a
libshm_a_SOURCES = \
	src/shm/cell.c src/shm/cell.h \
	src/shm/decision.c src/shm/decision.h \
	src/shm/held.c src/shm/held.h \
	src/shm/hist.c src/shm/hist.h \
	src/shm/limit.c src/shm/limit.h \
	src/shm/metrics.c src/shm/metrics.h \
	src/shm/names.c src/shm/names.h \
	src/shm/program.c src/shm/program.h \
	src/shm/report.c src/shm/report.h src/shm/report_part.h src/shm/report_trend.c \
	src/shm/ring.c src/shm/ring.h \
	src/shm/seg.c src/shm/seg.h \
	src/shm/status_pool.c \
	src/shm/status.c src/shm/status.h src/shm/status_part.h \
	src/shm/status_queue.c \
	src/shm/trend.c src/shm/trend.h
EXTRA_DIST += docs/shm.md
