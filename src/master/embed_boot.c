/*
 * master/embed_boot.c: makes jobq's roles and database in the private PostgreSQL.
 *
 * Runs in a helper process that the master forks whenever PostgreSQL has become ready; it blocks, and dies with the master.
 * Repeatable: what is there is left alone. The schema is not its business, the dispatcher migrates as jobq_owner.
 * Fails with an exit code and a line in the log; the master tries again.
 */
#include "config.h"

#include "master/embed_parts.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "jobq/exit.h"
#include "pg/sql.h"

static void complain(const char *what, const char *message)
{
	char text[512];

	(void)text_clean(text, sizeof text, message, strlen(message));
	log_error("embedded PostgreSQL: %s: %s", what, text);
}

static void quiet(void *arg, const char *message)
{
	(void)arg;
	(void)message; /* notices: "role exists already" */
}

static bool run(PGconn *conn, const char *what, const char *sql)
{
	PGresult *res = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(res);
	bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

	if (!good)
		complain(what, PQerrorMessage(conn));
	PQclear(res);
	return good;
}

/* 1 there, 0 not, -1 an error */
static int has_database(PGconn *conn)
{
	PGresult *res = PQexec(conn, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = 'jobq'");
	int there = PQresultStatus(res) == PGRES_TUPLES_OK ? PQntuples(res) : -1;

	if (there < 0)
		complain("looking for the database", PQerrorMessage(conn));
	PQclear(res);
	return there;
}

static bool make_database(PGconn *conn)
{
	int there = has_database(conn);

	return there > 0 || (there == 0 && run(conn, "making the database", "CREATE DATABASE jobq"));
}

/* inside the database, since what a role may do is granted there */
static bool make_roles(PGconn *conn)
{
	return run(conn, "making the roles", pg_roles_sql)
		&& run(conn, "letting the roles in", "ALTER ROLE jobq_owner LOGIN; ALTER ROLE jobq_worker LOGIN; "
		                                     "ALTER ROLE jobq_producer LOGIN; ALTER ROLE jobq_reader LOGIN")
		&& run(conn, "giving the database its owner", "ALTER DATABASE jobq OWNER TO jobq_owner");
}

static bool with_connection(const char *conninfo, bool (*step)(PGconn *conn))
{
	PGconn *conn = PQconnectdb(conninfo);
	bool good = PQstatus(conn) == CONNECTION_OK;

	if (!good)
		complain("cannot connect", PQerrorMessage(conn));
	(void)PQsetNoticeProcessor(conn, quiet, NULL);
	good = good && step(conn);
	PQfinish(conn);
	return good;
}

int master_embed_boot(const struct embed *e)
{
	bool good = with_connection(e->admin_maintenance, make_database) && with_connection(e->admin_database, make_roles);

	return good ? JOBQ_EXIT_OK : JOBQ_EXIT_RUNTIME;
}
