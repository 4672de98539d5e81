# base: what every process needs and nothing that knows of jobs
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	src/base/argv.c src/base/argv.h \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/fault.c src/base/fault.h \
	src/base/ident.c src/base/ident.h \
	src/base/io.c src/base/io.h \
	src/base/log.c src/base/log.h \
	src/base/mem.c src/base/mem.h \
	src/base/proc.c src/base/proc.h \
	src/base/text.c src/base/text.h \
	src/base/units.c src/base/units.h
