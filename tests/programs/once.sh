#!/bin/sh
# once.sh LEDGER: a program for exec queues in mode once: does what the payload's "how" says.
# {"how": "result" | "quiet" | "text" | "fail" | "again" | "kill" | "flood" | "sleep" | "deaf" | "child" | "closed"}
payload=$(cat)
how=$(printf '%s' "$payload" | sed -n 's/.*"how": *"\([a-z]*\)".*/\1/p')
printf '{"event": "%s", "pid": %d}\n' "$how" "$$" >>"$1"
case $how in
result) printf '{"length": %d}\n' "${#payload}" ;;
quiet) : ;;
text) echo 'all is well' ;;
fail) echo 'first' >&2; echo 'no such picture' >&2; exit 3 ;;
again) echo 'the disk is full' >&2; exit 75 ;;
silent) exit 4 ;;
kill) kill -9 $$ ;;
flood) yes ;;
sleep) sleep 600 & wait ;;
deaf) trap '' TERM; while :; do sleep 600; done ;;
child) sleep 600 >/dev/null & printf '{"event": "left", "pid": %d}\n' "$!" >>"$1"; printf '"parent"' ;;
closed) exec >&- 2>&-; sleep 0.5 ;;
esac
