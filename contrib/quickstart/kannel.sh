#!/bin/sh
# contrib/quickstart/kannel.sh DIR [PORT]: a real Kannel, run by an ordinary user, in the foreground, until TERM or INT.
#
# bearerbox (the gateway's core), smsbox (its HTTP interface) and fakesmsc (the telephone network's side) on loopback, with everything in
# DIR: kannel.conf, bearerbox.log, smsbox.log, phone.log (fakesmsc: one line "Got message N: <from to text ...>" for each SMS that reached
# the network) and, once all three are connected, `url`: the sendsms address. PORT is the first of four ports in a row; without it free
# ones are looked for, and looked for again when somebody was faster. User name and password: KANNEL_USER (jobq), KANNEL_PASSWORD.
# Ends with all three processes, exit code 0 after TERM or INT, 1 when it could not start or one of the three died.
set -u
dir=${1:?usage: kannel.sh DIR [PORT]} port=${2:-}
user=${KANNEL_USER:-jobq} password=${KANNEL_PASSWORD:-jobq-$$}
here=$(cd "$(dirname "$0")" && pwd) || exit 1
fakesmsc=/usr/lib/kannel/test/fakesmsc
PATH=$PATH:/usr/sbin
bearerbox='' smsbox='' phone='' asked=''

finish() { # bearerbox told to stop takes the two others along; whoever does not follow is killed
	for pid in $bearerbox $smsbox $phone; do kill "$pid" 2>/dev/null; done
	tries=0
	while alive_any && [ "$tries" -lt 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	for pid in $bearerbox $smsbox $phone; do kill -9 "$pid" 2>/dev/null; done
	wait
	rm -f "$dir/url"
	bearerbox='' smsbox='' phone=''
}

alive_any() {
	for pid in $bearerbox $smsbox $phone; do kill -0 "$pid" 2>/dev/null && return 0; done
	return 1
}

alive_all() {
	for pid in $bearerbox $smsbox $phone; do kill -0 "$pid" 2>/dev/null || return 1; done
}

says() { # FILE TEXT: waits until the log holds it; fails when a process is gone, a port is taken, or after 20 s
	tries=0
	until grep -q "$2" "$dir/$1" 2>/dev/null; do
		alive_all && ! grep -qs 'bind failed' "$dir/bearerbox.log" "$dir/smsbox.log" || return 1
		tries=$((tries + 1))
		[ "$tries" -lt 400 ] && [ -z "$asked" ] || return 1
		sleep 0.05
	done
}

configure() {
	umask 077
	sed -e "s/@ADMIN_PORT@/$port/; s/@SMSBOX_PORT@/$((port + 1))/; s/@SMSC_PORT@/$((port + 2))/; s/@HTTP_PORT@/$((port + 3))/" \
		-e "s/@USER@/$user/; s/@PASSWORD@/$password/" "$here/kannel.conf.in" >"$dir/kannel.conf"
}

start() {
	rm -f "$dir/bearerbox.log" "$dir/smsbox.log"
	configure || return 1
	bearerbox -v 1 "$dir/kannel.conf" >"$dir/bearerbox.log" 2>&1 &
	bearerbox=$!
	says bearerbox.log 'Start-up done' || return 1
	# `-m 0`: sends nothing, only receives. Its log level must stay: each SMS received is a debug line.
	"$fakesmsc" -H 127.0.0.1 -r $((port + 2)) -m 0 '1 2 text x' >>"$dir/phone.log" 2>&1 &
	phone=$!
	smsbox -v 1 "$dir/kannel.conf" >"$dir/smsbox.log" 2>&1 &
	smsbox=$!
	says bearerbox.log 'Fakesmsc client connected' &&
		says smsbox.log 'Set up send sms service' && says bearerbox.log 'Client connected from'
}

trap 'asked=1' INT TERM HUP
fixed=$port
for attempt in 1 2 3 4 5 6 7 8 9 10; do
	# below the range that the kernel gives to outgoing connections
	[ -n "$fixed" ] || port=$((10000 + $(od -An -N2 -tu2 /dev/urandom) % 5500 * 4))
	start && break
	finish
	if [ -n "$fixed" ] || [ -n "$asked" ] || [ "$attempt" = 10 ]; then
		[ -n "$asked" ] || printf 'kannel.sh: Kannel did not start on port %s; see %s/bearerbox.log and smsbox.log\n' "$port" "$dir" >&2
		exit 1
	fi
done
printf 'http://127.0.0.1:%s/cgi-bin/sendsms\n' $((port + 3)) >"$dir/url.new" && mv "$dir/url.new" "$dir/url"

while [ -z "$asked" ] && alive_all; do
	sleep 1 &
	pause=$!
	wait "$pause"
	kill "$pause" 2>/dev/null
done
finish
[ -n "$asked" ] || { printf 'kannel.sh: a part of Kannel died; see the logs in %s\n' "$dir" >&2; exit 1; }
