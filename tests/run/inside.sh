#!/bin/sh
# tests/run/inside.sh DIR WHAT [pytest arguments]: the part of tests/run.sh that an ordinary user does, on the copy of the tree in DIR/src.
#
# Three builds beside each other: gcc (warnings are errors: unit tests, tarball, quickstart, a short bench), san (address and undefined-behaviour
# sanitizers and fault points: unit tests, integration and fault tests), clang (warnings are errors, compiled only). Each step appends
# "PASSED FAILED name" to DIR/results; a step that fails shows the end of what it said. Nothing is left running but what a test lost.
set -u
dir=$1 what=$2
shift 2
src=$dir/src
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 TZ=UTC
export JOBQ_TEST_DIR="$dir" CCACHE_DISABLE=1
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
# shellcheck disable=SC3045 # dash and bash have it
ulimit -c 0
cd "$dir" || exit 1

note() { # PASSED FAILED NAME
	printf '%s %s %s\n' "$1" "$2" "$3" >>"$dir/results"
	printf '%-24s %5d passed %3d failed  %4d s\n' "$3" "$1" "$2" $(($(date +%s) - began))
}

step() { # NAME COMMAND...: passes or fails as a whole
	name=$1
	shift
	began=$(date +%s)
	if "$@" >"$dir/$name.log" 2>&1; then
		note 1 0 "$name"
	else
		tail -n 40 "$dir/$name.log"
		note 0 1 "$name"
		return 1
	fi
}

build() ( # NAME configure-argument...
	# a shell of its own, since it changes directory; called through step
	into=$dir/$1
	shift
	mkdir -p "$into" && cd "$into" &&
		"$src/configure" --prefix=/usr --sysconfdir=/etc --localstatedir=/var --enable-werror "$@" &&
		make -j2 all && make -j2 check TESTS=
)

units() { # BUILD: make check, each check counted
	began=$(date +%s)
	(cd "$dir/$1" && timeout -k 10 300 make -k check) >"$dir/units-$1.log" 2>&1
	code=$?
	sum=$(python3 "$src/tests/run/sum.py" unit "$dir/$1")
	passed=${sum% *} failed=${sum#* }
	[ "$code" -eq 0 ] || [ "${failed:-0}" -gt 0 ] || failed=1
	[ "${passed:-0}" -gt 0 ] || failed=1
	[ "$failed" -eq 0 ] || { tail -n 30 "$dir/units-$1.log"; find "$dir/$1" -name 'unit_*.log' -exec grep -E ':[EF]:|Sanitizer|runtime error' {} +; }
	note "${passed:-0}" "$failed" "units-$1"
}

tests() { # "FOLDER..." BUILD pytest-argument...
	folders=$1 build=$2
	shift 2
	began=$(date +%s)
	mkdir -p "$dir/p" # a short name: sockets lie below it
	JOBQ_BUILD=$dir/$build JOBQ_PLAIN=$dir/gcc python3 "$src/tests/run/shards.py" "$dir/p" "$folders" "$@"
	code=$?
	sum=$(cat "$dir/p/sum" 2>/dev/null || printf '0 1')
	passed=${sum% *} failed=${sum#* }
	[ "$code" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	note "$passed" "$failed" "$folders"
}

wants() { [ "$what" = all ] || [ "$what" = "$1" ]; }

step autoreconf sh -c "cd '$src' && autoreconf -i" || exit 1
failed_builds=0
if wants unit; then step build-clang build clang CC=clang || failed_builds=1; fi
step build-gcc build gcc || exit 1
if wants unit; then units gcc; fi
if [ "$what" = all ]; then
	step distcheck make -C "$dir/gcc" -j2 distcheck
	step bench-quick make -C "$dir/gcc" bench BENCH_ARGS="--quick --only drain,pickup,recovery,limits,fairness,queueing"
fi
step build-san build san --enable-sanitizers --enable-faults CFLAGS='-O1 -g' || exit 1
if wants unit; then units san; fi
case $what in
all) tests 'integration fault' san "$@" ;;
integration | fault) tests "$what" san "$@" ;;
esac
exit "$failed_builds"
