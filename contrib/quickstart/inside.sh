#!/bin/sh
# contrib/quickstart/inside.sh DIR KEEP: the part of contrib/quickstart.sh that an ordinary user does, on the copy of the tree in DIR/src.
#
# Owns everything in DIR. Starts kannel.sh, neighbours.py (mail, HTTP) and jobqd and ends them whatever happens (unless KEEP is set and all
# went well). Each wait has a bound and ends with the end of the log that tells why. Exit code 0 only if what was received on the other
# side (the telephone network, the mail server, the application's tables) is what was enqueued.
set -u
dir=$1 keep=$2
here=$dir/src/contrib/quickstart
programs=${JOBQ_BUILD:-$dir/build}
messages=300 products=100000
kannel='' neighbours=''
umask 077
ulimit -c 0
export LC_ALL=C.UTF-8

fail() { # TEXT LOG...
	printf '\n%s\n' "$1" >&2
	shift
	for log; do tail -n 20 "$log" 2>/dev/null; done >&2
	exit 1
}

until_true() { # SECONDS COMMAND...
	tries=$(($1 * 10))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

ctl() { "$programs/jobqctl" -s "$dir/run/jobqd.sock" "$@"; }
# sql ROLE psql-argument...
sql() {
	as=$1
	shift
	psql -X -q "host=$dir/run/pg dbname=jobq user=$as" "$@" 2>&1
}

stop_all() {
	ctl stop --wait 30s >/dev/null 2>&1
	for pid in $kannel $neighbours; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	kannel='' neighbours=''
}

build() {
	[ -z "${JOBQ_BUILD:-}" ] || return 0
	printf '[2/6] building (about a minute)\n'
	(cd "$dir/src" && autoreconf -i && mkdir "$dir/build" && cd "$dir/build" && "$dir/src/configure" &&
		make -j"$(nproc)" jobqd jobqctl) >"$dir/build.log" 2>&1 || fail 'the build failed:' "$dir/build.log"
}

start() {
	printf '[3/6] Kannel: bearerbox, smsbox and a fake operator, on loopback\n'
	mkdir -p "$dir/kannel" "$dir/run" "$dir/state"
	KANNEL_PASSWORD=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
	export KANNEL_PASSWORD
	printf '%s' "$KANNEL_PASSWORD" >"$dir/kannel.password"
	setsid sh "$here/kannel.sh" "$dir/kannel" >"$dir/kannel/script.log" 2>&1 </dev/null &
	kannel=$!
	printf '%s\n' "$kannel" >"$dir/kannel/pid"
	until_true 60 test -f "$dir/kannel/url" || fail 'Kannel did not start:' "$dir/kannel/script.log" "$dir/kannel/bearerbox.log"

	printf '[4/6] a mail server and a shop over HTTP, on loopback; a file of %d products\n' "$products"
	setsid /usr/bin/python3 "$here/neighbours.py" "$dir" >"$dir/neighbours.log" 2>&1 </dev/null &
	neighbours=$!
	mkdir -p "$dir/files/shop-1"
	awk -v n="$products" 'BEGIN { print "sku,name,price"; for (i = 1; i <= n; i++) printf "sku-%d,\"Product \"\"%d\"\", new\",%d.%02d\n", i, i, i % 900, i % 100 }' >"$dir/files/shop-1/products.csv"
	until_true 30 test -f "$dir/shop.url" || fail 'the mail server and the shop did not start:' "$dir/neighbours.log"

	printf '[5/6] jobqd, with a private PostgreSQL\n'
	sed -e "s|@DIR@|$dir|g; s|@SRC@|$dir/src|; s|@KANNEL@|$(cat "$dir/kannel/url")|; s|@SMTP@|$(cat "$dir/smtp.url")|" "$here/jobqd.conf.in" >"$dir/jobqd.conf"
	"$programs/jobqd" -c "$dir/jobqd.conf" -d >"$dir/start.log" 2>&1 </dev/null || fail 'jobqd did not start:' "$dir/start.log" "$dir/jobqd.log"
	until_true 60 connected || fail 'jobqd did not reach its database:' "$dir/jobqd.log"
}

connected() { ctl --json status 2>/dev/null | grep -q '"state": *"connected"'; }

enqueue() {
	printf '[6/6] %d SMS, 50 mails, an import of %d rows, a sync and a program, enqueued by this SQL:\n\n' "$messages" "$products"
	sed -e 's/^/    /' "$here/enqueue.sql"
	sql jobq_owner -v ON_ERROR_STOP=1 -f "$here/tables.sql" >"$dir/tables.log" || fail 'could not make the tables:' "$dir/tables.log"
	sql jobq_producer -v ON_ERROR_STOP=1 -v messages="$messages" -v shop="$(cat "$dir/shop.url")" -f "$here/enqueue.sql" >"$dir/enqueue.log" ||
		fail 'could not enqueue:' "$dir/enqueue.log"
}

unfinished() { sql jobq_owner -At -c "SELECT count(*) FROM jobq.jobs_live"; }

watch_them_go() {
	tries=60
	until [ "$(unfinished)" = 0 ]; do
		printf '\n'
		ctl status | grep -A 6 '^QUEUE'
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail 'not everything was sent; see why:' "$dir/jobqd.log"
		sleep 1.5
	done
	printf '\n$ jobqctl status\n'
	ctl status
}

# Every number and text that was enqueued must stand once in the log of the fake operator, and nothing else.
received() {
	sed -n 's/.*Got message [0-9]*: <[^ ]* \([^ ]*\) text \(.*\)>$/\1|\2/p' "$dir/kannel/phone.log" | sort >"$dir/received"
	cmp -s "$dir/sent" "$dir/received"
}

# The mail server's messages, parsed by a library that is not ours: each of the 50 once, to its customer, with its attachment.
mailed() { /usr/bin/python3 "$here/mailed.py" "$dir/mail" 50 >"$dir/mailed" 2>&1; }

# tables: what a query says must be what is expected
must_be() { # WHAT EXPECTED QUERY
	is=$(sql jobq_owner -At -c "$3")
	[ "$is" = "$2" ] || fail "$1: $is, not $2" "$dir/jobqd.log"
	printf '    %-58s %s\n' "$1" "$is"
}

show_the_rest() {
	until_true 10 mailed || fail 'what the mail server received is not what was enqueued:' "$dir/mailed"
	printf '\nThe mail server received: %s\nThe application has:\n' "$(cat "$dir/mailed")"
	must_be 'products imported' "$products" "SELECT count(*) FROM shop.products WHERE store_id = 'shop-1' AND name LIKE 'Product \"%\", new'"
	must_be 'items of inventory, synced from the shop in pages' 500 "SELECT count(*) FROM shop.inventory WHERE store_id = 'shop-1'"
	must_be 'texts counted by the Python program' 20 "SELECT count(*) FROM jobq.jobs WHERE queue = 'words' AND status = 'completed' AND (result->>'words')::int % 6 = 0"
	must_be 'jobs that are not completed' 0 "SELECT count(*) FROM jobq.jobs WHERE status <> 'completed'"
}

show() {
	sql jobq_owner -c "SELECT tenant_id AS tenant, count(*) AS sms, count(*) FILTER (WHERE status = 'completed') AS delivered,
		to_char(avg(completed_at - created_at) FILTER (WHERE priority = 1), 'SS.MS') AS \"urgent waited\",
		to_char(avg(completed_at - created_at) FILTER (WHERE priority = 10), 'SS.MS') AS \"low waited\" FROM jobq.jobs WHERE queue = 'sms' GROUP BY 1 ORDER BY 1"
	sql jobq_owner -At -c "SELECT payload->>'to' || '|' || (payload->>'text') FROM jobq.jobs WHERE queue = 'sms'" | sort >"$dir/sent"
	until_true 10 received || fail 'what the operator received is not what was enqueued:' "$dir/kannel/phone.log"
	printf 'What the telephone network received (%d messages, each once), the last three:\n' "$(wc -l <"$dir/received")"
	grep 'Got message' "$dir/kannel/phone.log" | tail -n 3 | sed 's/.*Got/    Got/'
	[ "$(wc -l <"$dir/received")" -eq "$messages" ] || fail "not $messages messages"
}

how_to() {
	cat >"$dir/stop" <<END
#!/bin/sh
# stops what contrib/quickstart.sh --keep left running, and removes it
"$programs/jobqctl" -s "$dir/run/jobqd.sock" stop --wait 30s
kill $kannel $neighbours
while kill -0 $kannel 2>/dev/null || kill -0 $neighbours 2>/dev/null; do sleep 0.1; done
rm -rf "$dir"
END
	cat <<END

It is still running. Try:
    export JOBQ_SOCKET=$dir/run/jobqd.sock PATH=$programs:\$PATH
    jobqctl status --watch
    jobqctl enqueue sms '{"to": "+358401234567", "text": "hello"}' --tenant acme --priority urgent
    jobqctl jobs --limit 10
    psql "host=$dir/run/pg dbname=jobq user=jobq_owner"
    tail -f $dir/kannel/phone.log; ls $dir/mail
The configuration is $dir/jobqd.conf (jobqctl reload). To stop it and remove everything:
    sh $dir/stop
END
}

trap 'stop_all' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
build
start
enqueue
watch_them_go
show
show_the_rest
if [ -n "$keep" ]; then
	how_to
	trap - EXIT
else
	stop_all
	trap - EXIT
	printf '\nAll delivered; everything is stopped again (--keep leaves it running).\n'
fi
