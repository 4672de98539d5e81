# pg
noinst_LIBRARIES += libpg.a
libpg_a_SOURCES =
