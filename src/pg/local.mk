# pg: libpq on libevent, the embedded SQL, the migrator
noinst_LIBRARIES += libpg.a
libpg_a_SOURCES = \
	src/pg/conn.c src/pg/conn.h src/pg/conn_copy.c src/pg/conn_int.h src/pg/conn_io.c \
	src/pg/conninfo.c src/pg/conninfo.h \
	src/pg/errclass.c \
	src/pg/migrate.c src/pg/migrate.h src/pg/migrate_db.c src/pg/migrate_db.h \
	src/pg/params.c \
	src/pg/pool.c src/pg/pool.h \
	src/pg/result.c \
	src/pg/sql.c src/pg/sql.h src/pg/sql_embed.h
nodist_libpg_a_SOURCES = src/pg/sql_embed.c

# Every file of sql/ goes in, whatever its name: the rule always runs, and replaces its output only when that changed.
src/pg/sql_embed.c: sql-embed-force
	@$(MKDIR_P) src/pg
	@set --; for f in $(srcdir)/sql/migrations/[0-9]*/*.sql $(srcdir)/sql/roles.sql $(srcdir)/sql/grants.sql \
		$(srcdir)/sql/statements/*.sql; do test ! -f "$$f" || set -- "$$@" "$$f"; done; \
		$(AWK) -f $(srcdir)/src/pg/embed.awk "$$@" > $@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else echo "  GEN      $@"; mv -f $@.new $@; fi
sql-embed-force:
.PHONY: sql-embed-force

CLEANFILES += src/pg/sql_embed.c src/pg/sql_embed.c.new
EXTRA_DIST += src/pg/embed.awk sql/migrations sql/roles.sql sql/grants.sql sql/statements docs/tenants.md docs/decisions/rate-limits-over-nodes.md
