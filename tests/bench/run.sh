#!/bin/sh
# tests/bench/run.sh BUILD [bench.py arguments]: runs the bench on the programs of a build directory (`make bench`).
#
# In a private directory under /tmp that goes at the end, as an ordinary user (root becomes one: PostgreSQL refuses root). On a /tmp in memory fsync costs
# nothing: the line "conditions" says what a commit takes. Quiet the machine first; nothing else should run.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=$1
shift
# shellcheck source=../../contrib/quickstart/private.sh
. "$root/contrib/quickstart/private.sh"
dir=$(private_dir) || exit 1
clean_up() {
	PYTHONDONTWRITEBYTECODE=1 python3 "$root/tests/run/strays.py" "$dir"
	rm -rf "$dir"
}
trap 'exit 130' INT TERM HUP
trap clean_up EXIT
mkdir "$dir/bin" && cp -R "$root/tests" "$dir/tests" && mkdir "$dir/contrib" && cp -R "$root/contrib/quickstart" "$dir/contrib/" &&
	cp "$build"/jobqd "$build"/jobqctl "$build"/bench_* "$build"/begun "$dir/bin/" && cp "$build/tests/bench/simulate" "$dir/bin/bench_simulate" && chmod -R a+rX "$dir/bin" "$dir/tests" "$dir/contrib" || exit 1
[ "$(id -u)" -ne 0 ] || chown -R "$(private_user)" "$dir"
(private_run "$dir" env JOBQ_TEST_DIR="$dir" PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 python3 "$dir/tests/bench/bench.py" "$dir/bin" "$@")
