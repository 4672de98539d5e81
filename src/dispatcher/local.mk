# dispatcher
noinst_LIBRARIES += libdispatcher.a
libdispatcher_a_SOURCES =
