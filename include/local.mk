EXTRA_DIST += \
	include/jobq/child.h include/jobq/exit.h include/jobq/handler.h include/jobq/shm.h include/jobq/wire.h \
	include/tbl/config.def include/tbl/counters.def include/tbl/commands.def include/tbl/exits.def include/tbl/flushes.def include/tbl/faults.def \
	include/tbl/frames.def include/tbl/outcomes.def include/tbl/pools.def include/tbl/roles.def include/tbl/states.def include/tbl/tuned.def include/tbl/tunings.def
