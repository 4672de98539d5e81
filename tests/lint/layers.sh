#!/bin/sh
# tests/lint/layers.sh: lower rooms never look up.
#
# Holds the #include lines of src/ and include/ against the house's order
#     base <- {conf, shm, pg, wire, queue} <- handlers <- processes {master, dispatcher, worker, jobqctl, ...}
# Run by `make check` (automake sets srcdir) or by hand from the top of the tree. Prints file:line of every violation and
# exits 1 if there is one. A room that is not in the table below may not exist.
set -eu
cd "${srcdir:-$(dirname "$0")/../..}"

# awk reads every source file; the table says which rooms, and which libraries, a room may include
find src include -name '*.[ch]' -o -name '*.def' | LC_ALL=C sort | xargs awk '
function allow(room, rooms, libraries) { may[room] = " " room " " rooms " "; lib[room] = libraries }
BEGIN {
	middle = "base conf shm pg wire queue handlers"
	allow("include", "", "")                     # contracts: one another alone
	allow("base", "", "")
	allow("conf", "base", "jansson")
	allow("shm", "base", "jansson")
	allow("pg", "base", "event libpq")
	allow("wire", "base", "event")
	allow("queue", "base", "")                   # pure: no input or output, no clock but the one it is given
	allow("handlers", "base conf pg", "event libpq jansson curl")
	n = split("master dispatcher worker jobqctl scheduler web", process, " ")
	for (i = 1; i <= n; i++)
		allow(process[i], middle, "event libpq jansson curl")
	allow("jobqd.c", "base conf master", "")      # the program: command line, then master
	# single headers across a border, each with its reason
	except["src/shm/limit.c queue/gcra.h"] = "the atomic word around the pure law"
	# what a pure room has no use for
	impure = " sys/socket.h sys/un.h sys/mman.h sys/epoll.h netdb.h netinet/in.h arpa/inet.h poll.h fcntl.h unistd.h " \
		"time.h sys/time.h signal.h pthread.h base/io.h base/log.h jobq/shm.h "
}
function bad(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; count++ }
function library(h) {
	if (h ~ /^event2?\/|^event\.h$/) return "event"
	if (h ~ /^libpq|^libpq-fe\.h$|^postgres/) return "libpq"
	if (h ~ /^jansson/) return "jansson"
	if (h ~ /^curl\//) return "curl"
	return ""
}
FNR == 1 {
	split(FILENAME, part, "/")
	room = part[1] == "include" ? "include" : part[2]
	if (!(room in may)) bad("room \"" room "\" is not in the table of tests/lint/layers.sh")
}
/^[ \t]*#[ \t]*include[ \t]*[<"]/ && room in may {
	quoted = $0 ~ /include[ \t]*"/
	header = $0
	sub(/^[^<"]*[<"]/, "", header)
	sub(/[>"].*$/, "", header)
	if (room == "queue" && index(impure, " " header " ") > 0)
		bad("queue is pure, so it may not include " header)
	if (!quoted) {
		l = library(header)
		if (l != "" && index(" " lib[room] " ", " " l " ") == 0)
			bad(room " may not use " l " (" header ")")
		next
	}
	split(header, piece, "/")
	if (header == "config.h" || piece[1] == "jobq" || piece[1] == "tbl" || (FILENAME " " header) in except)
		next
	if (index(header, "/") == 0)
		bad("write the room too: \"" room "/" header "\"")
	else if (header ~ /\.\./)
		bad("no .. in an include: " header)
	else if (index(may[room], " " piece[1] " ") == 0)
		bad(room " may not include " header " (it may use:" may[room] "and include/)")
}
END { exit count > 0 }
' || exit 1
