# queue: the pure core: whose turn it is, what is due, when to try again; no I/O, runs under any clock
noinst_LIBRARIES += libqueue.a
EXTRA_DIST += docs/tuning.md docs/decisions/rings.md
libqueue_a_SOURCES = \
	src/queue/heap.c src/queue/heap.h src/queue/share.h \
	src/queue/group.c src/queue/group.h src/queue/ring.c src/queue/ring.h \
	src/queue/backlog.c src/queue/backlog.h src/queue/plan.c src/queue/tenants.c src/queue/tenants.h \
	src/queue/buffer.c src/queue/buffer.h \
	src/queue/exceed.c src/queue/exceed.h src/queue/limits.c src/queue/limits.h \
	src/queue/flight.c src/queue/flight.h src/queue/flow.c src/queue/flow.h \
	src/queue/gcra.h src/queue/level.c src/queue/level.h \
	src/queue/tuner.c src/queue/tuner.h src/queue/ladder.c src/queue/ladder.h src/queue/waits.c src/queue/waits.h \
	src/queue/breaker.c src/queue/breaker.h src/queue/degrade.c src/queue/degrade.h src/queue/rate.c src/queue/rate.h \
	src/queue/retry.c src/queue/retry.h
