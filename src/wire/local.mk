# wire: frames between the dispatcher and its workers
noinst_LIBRARIES += libwire.a
libwire_a_SOURCES = \
	src/wire/msg.c src/wire/msg.h \
	src/wire/stream.c src/wire/stream.h
