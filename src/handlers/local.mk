# handlers
noinst_LIBRARIES += libhandlers.a
libhandlers_a_SOURCES =
