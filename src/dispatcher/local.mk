# dispatcher: the one process of a node with the queue's SQL
noinst_LIBRARIES += libdispatcher.a
libdispatcher_a_SOURCES = \
	src/dispatcher/claim.c \
	src/dispatcher/complete.c \
	src/dispatcher/control.c \
	src/dispatcher/counts.c \
	src/dispatcher/db.c \
	src/dispatcher/dispatcher.c src/dispatcher/dispatcher.h \
	src/dispatcher/exceeded.c src/dispatcher/exceeded.h src/dispatcher/exceeded_doc.c src/dispatcher/exceeded_file.c src/dispatcher/exceeded_own.c \
	src/dispatcher/filter.c src/dispatcher/filter.h \
	src/dispatcher/handout.c \
	src/dispatcher/job.c \
	src/dispatcher/lanes.c \
	src/dispatcher/learn.c \
	src/dispatcher/leaf.c src/dispatcher/leaf.h \
	src/dispatcher/leave.c \
	src/dispatcher/limit.c src/dispatcher/limit.h \
	src/dispatcher/node.c \
	src/dispatcher/outcome.c \
	src/dispatcher/pace.c src/dispatcher/pace.h \
	src/dispatcher/receiver.c src/dispatcher/receiver.h \
	src/dispatcher/recover.c src/dispatcher/rest.c \
	src/dispatcher/roster.c src/dispatcher/roster.h \
	src/dispatcher/settle.c src/dispatcher/settle.h \
	src/dispatcher/slice.c src/dispatcher/slice.h \
	src/dispatcher/slices.c src/dispatcher/slices.h \
	src/dispatcher/sweep.c \
	src/dispatcher/tick.c \
	src/dispatcher/trend.c \
	src/dispatcher/upkeep.c \
	src/dispatcher/wake.c \
	src/dispatcher/why.c \
	src/dispatcher/words.c src/dispatcher/words.h \
	src/dispatcher/workers.c \
	src/dispatcher/write.c src/dispatcher/write.h
EXTRA_DIST += docs/decisions/ending-by-place.md docs/decisions/exceedances.md docs/decisions/replacing-jobs.md
