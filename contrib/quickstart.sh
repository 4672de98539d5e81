#!/bin/sh
# contrib/quickstart.sh [--keep]: jobq at work on a bare Debian 12, without touching anything but a directory under /tmp.
#
# Installs the packages that are missing (as root or with sudo; none of their services is started), builds jobq, starts jobqd with a
# private PostgreSQL, a real SMS gateway (Kannel) that ends in a fake operator, a mail server and a shop over HTTP, enqueues SMS, mail,
# an import of 100,000 rows, an inventory sync and jobs of a Python program from SQL, shows them going, shows what was received on
# the other side, and stops. --keep leaves it running and says how to use and how to stop it.
# Exit code 0 only if everything arrived. JOBQ_BUILD=DIR uses programs that are built already.
# Started by root it works as the user who called sudo, or as `nobody`. The rest is in contrib/quickstart/inside.sh.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
keep=''
case ${1:-} in
--keep) keep=1 ;;
'') ;;
*)
	sed -n '2,9s/^# //p' "$0"
	[ "$1" = -h ] || [ "$1" = --help ]
	exit
	;;
esac
. "$root/contrib/quickstart/packages.sh"
. "$root/contrib/quickstart/private.sh"

dir=$(private_dir) || exit 1
inside='' code=0
interrupted() { # the part inside, a session of its own, stops what it started
	code=130
	[ -z "$inside" ] || kill -TERM "-$inside" 2>/dev/null
}
trap interrupted INT TERM HUP
printf 'jobq quickstart in %s\n\n[1/6] packages\n' "$dir"
if packages_need "$root/contrib/packages" "$dir/apt.log" build run && private_copy "$root" "$dir/src" && [ "$code" -eq 0 ]; then
	private_run "$dir" setsid sh "$dir/src/contrib/quickstart/inside.sh" "$dir" "$keep" &
	inside=$!
	while kill -0 "$inside" 2>/dev/null; do # a signal ends `wait` early
		wait "$inside"
		ended=$?
	done
	[ "$code" -ne 0 ] || code=$ended
else
	code=1
fi
if [ -n "$keep" ] && [ "$code" -eq 0 ]; then exit 0; fi
rm -rf "$dir"
exit "$code"
