#!/bin/sh
# tests/run.sh [unit|integration|fault|all] [pytest arguments]: installs what the tests need, builds, runs them, sums up.
#
# Works from any clone, as root (which becomes an ordinary user for everything but apt-get) or, packages installed, as an ordinary user.
# The tree is copied into a private directory under /tmp (a short path: sockets), built and tested there, and left as it was; the
# directory goes at the end (KEEP=1 keeps it) and a process that is still alive then is a failure. Last line: `N passed, N failed`.
# Exit code: 0 only if something ran and nothing failed. tests/run/inside.sh is the part that runs as the ordinary user.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
what=all
case ${1:-} in
unit | integration | fault | all)
	what=$1
	shift
	;;
-h | --help)
	sed -n '2,7s/^# //p' "$0"
	exit 0
	;;
esac
. "$root/contrib/quickstart/packages.sh"
. "$root/contrib/quickstart/private.sh"

dir='' inside=''
clean_up() { # ends what is still there; prints it
	[ -n "$dir" ] || return 0
	left=$(PYTHONDONTWRITEBYTECODE=1 python3 "$root/tests/run/strays.py" "$dir")
	if [ -n "${KEEP:-}" ]; then printf 'kept: %s\n' "$dir"; else rm -rf "$dir"; fi
	dir=''
}
interrupted() {
	trap '' INT TERM HUP
	[ -z "$inside" ] || kill "$inside" 2>/dev/null
	clean_up
	printf 'interrupted\n' >&2
	exit 130
}
trap interrupted INT TERM HUP

dir=$(private_dir) || exit 1
packages_need "$root/contrib/packages" "$dir/apt.log" build run test || { clean_up; printf '0 passed, 1 failed\n'; exit 1; }
private_copy "$root" "$dir/src" || { clean_up; printf '0 passed, 1 failed\n'; exit 1; }
private_run "$dir" sh "$dir/src/tests/run/inside.sh" "$dir" "$what" "$@" &
inside=$!
wait "$inside"
code=$?
inside=''

sum=$(awk '{ passed += $1; failed += $2 } END { printf "%d %d", passed, failed }' "$dir/results" 2>/dev/null)
passed=${sum% *} failed=${sum#* }
if [ "$code" -ne 0 ] && [ "${failed:-0}" -eq 0 ]; then
	printf 'the run itself ended with %s\n' "$code"
	failed=1
fi
left=''
clean_up
if [ -n "$left" ]; then
	printf 'processes left behind (ended now):\n%s\n' "$left"
	failed=$((failed + 1))
fi
printf '%d passed, %d failed\n' "${passed:-0}" "${failed:-1}"
[ "${passed:-0}" -gt 0 ] && [ "${failed:-1}" -eq 0 ]
