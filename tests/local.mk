# tests: unit programs (check), run by `make check` without any server; integration, fault and bench are run by tests/run.sh
UNIT_LIBS = $(CHECK_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS)
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
TESTS += $(check_PROGRAMS)
# one block a program, appended at the end (configure refuses nothing: check is needed for `make check` alone):
#   check_PROGRAMS += unit_x
#   unit_x_SOURCES = tests/unit/test_x.c
#   unit_x_CFLAGS = $(UNIT_CFLAGS)
#   unit_x_LDADD = libROOM.a libbase.a $(UNIT_LIBS)
