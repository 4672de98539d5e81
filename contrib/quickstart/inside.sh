#!/bin/sh
# contrib/quickstart/inside.sh DIR KEEP: the part of contrib/quickstart.sh that an ordinary user does, on the copy of the tree in DIR/src.
#
# Owns everything in DIR. Starts kannel.sh and jobqd and ends both whatever happens (unless KEEP is set and all went well). Each wait has a
# bound and ends with the end of the log that tells why. Exit code 0 only if what the fake operator received is what was enqueued.
set -u
dir=$1 keep=$2
here=$dir/src/contrib/quickstart
programs=${JOBQ_BUILD:-$dir/build}
messages=300
kannel=''
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
	if [ -n "$kannel" ]; then
		kill "$kannel" 2>/dev/null
		wait "$kannel" 2>/dev/null
		kannel=''
	fi
}

build() {
	[ -z "${JOBQ_BUILD:-}" ] || return 0
	printf '[2/5] building (about a minute)\n'
	(cd "$dir/src" && autoreconf -i && mkdir "$dir/build" && cd "$dir/build" && "$dir/src/configure" &&
		make -j"$(nproc)" jobqd jobqctl) >"$dir/build.log" 2>&1 || fail 'the build failed:' "$dir/build.log"
}

start() {
	printf '[3/5] Kannel: bearerbox, smsbox and a fake operator, on loopback\n'
	mkdir -p "$dir/kannel" "$dir/run" "$dir/state"
	KANNEL_PASSWORD=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
	export KANNEL_PASSWORD
	printf '%s' "$KANNEL_PASSWORD" >"$dir/kannel.password"
	setsid sh "$here/kannel.sh" "$dir/kannel" >"$dir/kannel/script.log" 2>&1 </dev/null &
	kannel=$!
	printf '%s\n' "$kannel" >"$dir/kannel/pid"
	until_true 60 test -f "$dir/kannel/url" || fail 'Kannel did not start:' "$dir/kannel/script.log" "$dir/kannel/bearerbox.log"

	printf '[4/5] jobqd, with a private PostgreSQL\n'
	sed -e "s|@DIR@|$dir|g; s|@URL@|$(cat "$dir/kannel/url")|" "$here/jobqd.conf.in" >"$dir/jobqd.conf"
	"$programs/jobqd" -c "$dir/jobqd.conf" -d >"$dir/start.log" 2>&1 </dev/null || fail 'jobqd did not start:' "$dir/start.log" "$dir/jobqd.log"
	until_true 60 connected || fail 'jobqd did not reach its database:' "$dir/jobqd.log"
}

connected() { ctl --json status 2>/dev/null | grep -q '"state": *"connected"'; }

enqueue() {
	printf '[5/5] %d SMS of five tenants, enqueued by this SQL:\n\n' "$messages"
	sed -e 's/^/    /' "$here/enqueue.sql"
	sql jobq_producer -v messages="$messages" -f "$here/enqueue.sql" >"$dir/enqueue.log" || fail 'could not enqueue:' "$dir/enqueue.log"
}

unfinished() { sql jobq_owner -At -c "SELECT count(*) FROM jobq.jobs_live"; }

watch_them_go() {
	tries=30
	until [ "$(unfinished)" = 0 ]; do
		printf '\n'
		ctl status | grep -A 2 '^QUEUE'
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

show() {
	sql jobq_owner -c "SELECT tenant_id AS tenant, count(*) AS sms, count(*) FILTER (WHERE status = 'completed') AS delivered,
		to_char(avg(completed_at - created_at) FILTER (WHERE priority = 1), 'SS.MS') AS \"urgent waited\",
		to_char(avg(completed_at - created_at) FILTER (WHERE priority = 10), 'SS.MS') AS \"low waited\" FROM jobq.jobs GROUP BY 1 ORDER BY 1"
	sql jobq_owner -At -c "SELECT payload->>'to' || '|' || (payload->>'text') FROM jobq.jobs" | sort >"$dir/sent"
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
kill $kannel
while kill -0 $kannel 2>/dev/null; do sleep 0.1; done
rm -rf "$dir"
END
	cat <<END

It is still running. Try:
    export JOBQ_SOCKET=$dir/run/jobqd.sock PATH=$programs:\$PATH
    jobqctl status --watch
    jobqctl enqueue sms '{"to": "+358401234567", "text": "hello"}' --tenant acme --priority urgent
    jobqctl jobs --limit 10
    psql "host=$dir/run/pg dbname=jobq user=jobq_owner"
    tail -f $dir/kannel/phone.log
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
if [ -n "$keep" ]; then
	how_to
	trap - EXIT
else
	stop_all
	trap - EXIT
	printf '\nAll delivered; everything is stopped again (--keep leaves it running).\n'
fi
