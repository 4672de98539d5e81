# worker: one process that runs a queue's handler
noinst_LIBRARIES += libworker.a
libworker_a_SOURCES = \
	src/worker/admit.c src/worker/admit.h \
	src/worker/batch.c src/worker/batch.h \
	src/worker/begun.c src/worker/begun.h \
	src/worker/drain.c src/worker/drain.h \
	src/worker/link.c src/worker/link.h \
	src/worker/outcome.c src/worker/outcome.h \
	src/worker/pool.c src/worker/pool.h \
	src/worker/service.c src/worker/service.h \
	src/worker/timeout.c src/worker/timeout.h \
	src/worker/worker.c src/worker/worker.h
EXTRA_DIST += docs/protocol.md docs/decisions/http-one-request.md
