#!/bin/sh
# A handler for exec queues in shell, with jq to read and write JSON: compresses a file of a directory.
#
#     [queue archive]
#     handler = exec
#     command = /bin/sh /usr/share/doc/jobq/examples/archive.sh /var/spool/reports
#
#     SELECT jobq.enqueue('archive', '{"file": "2026-01.csv"}');
dir=$1

work() { # FILE: prints the result as JSON; 75: later, perhaps; anything else: never
	case $1 in '' | .* | */*) echo 'not a file name' >&2; return 1 ;; esac
	[ -f "$dir/$1.gz" ] && [ ! -f "$dir/$1" ] || gzip -f "$dir/$1" || return 75 # done before, or now, or not yet
	jq -cn --arg file "$1.gz" --argjson bytes "$(wc -c <"$dir/$1.gz")" '{file: $file, bytes: $bytes}'
}

while IFS= read -r line; do
	printf '%s\n' "$line" | jq -e 'has("cancel")' >/dev/null && continue
	id=$(printf '%s\n' "$line" | jq -r .id)
	said=$(work "$(printf '%s\n' "$line" | jq -r '.payload.file // ""')" 2>&1 </dev/null)
	case $? in 0) outcome=done ;; 75) outcome=retry ;; *) outcome=fail ;; esac
	jq -cn --arg id "$id" --arg outcome "$outcome" --arg said "$said" \
		'{id: $id, outcome: $outcome} + if $outcome == "done" then {result: ($said | fromjson)} else {error: $said} end'
done
