# tests: unit programs (check), run by `make check` without any server; integration, fault and bench are run by tests/run.sh
UNIT_LIBS = $(CHECK_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS)
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
TESTS += $(check_PROGRAMS)
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

check_PROGRAMS += unit_shm_limit
unit_shm_limit_SOURCES = tests/unit/test_shm_limit.c
unit_shm_limit_CFLAGS = $(UNIT_CFLAGS)
unit_shm_limit_LDADD = libshm.a libbase.a $(UNIT_LIBS)

check_PROGRAMS += unit_shm_hist
unit_shm_hist_SOURCES = tests/unit/test_shm_hist.c
unit_shm_hist_CFLAGS = $(UNIT_CFLAGS)
unit_shm_hist_LDADD = libshm.a libbase.a $(UNIT_LIBS)

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
