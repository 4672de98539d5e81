#!/bin/sh
# tests/unit/coverage.sh [BUILDDIR]: how much of src/queue its unit programs run.
#
# Compiles src/queue apart from the build, with gcc --coverage, runs the unit programs of the room, and prints lines and branches
# by file, as gcov counts them, without the branches inside the HASH_ macros of uthash, which are a library's. Exits 1 below 95% of lines or 90% of branches over all. BUILDDIR holds config.h (default: .).
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:-.}" && pwd)
[ -f "$build/config.h" ] || { echo "coverage: no config.h in $build: name the build directory" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
flags="-std=gnu11 -O0 -g -I$build -I$top/include -I$top/src -I$top/tests"
libs=$(pkg-config --libs check)
for file in "$top"/src/queue/*.c; do
	gcc $flags --coverage -c "$file" -o "$(basename "$file" .c).o"
done
for file in clock mem units io log text buf fault; do
	gcc $flags -c "$top/src/base/$file.c" -o "base_$file.o"
done
for test in backlog buffer level limits modes tuner day; do
	sim=
	case $test in
	tuner) sim="$top/tests/bench/sim.c" ;;
	day) sim="$top/tests/bench/sim.c $top/tests/bench/day.c" ;;
	esac
	gcc $flags "$top/tests/unit/test_$test.c" $sim ./*.o -o "unit_$test" --coverage $libs -lm
	"./unit_$test" >"$test.log" || { cat "$test.log"; exit 1; }
done
for file in "$top"/src/queue/*.c; do
	name=$(basename "$file")
	gcov -b -c "${name%.c}.o" >/dev/null 2>&1
	[ -f "$name.gcov" ] || { echo "coverage: gcov wrote nothing for $name" >&2; exit 1; }
	awk -v name="$name" '
		/^ *[0-9#=-]+[*]?: *[0-9]+:/ {
			split($0, part, ":")
			hash = /HASH_/
			if (part[1] ~ /#|=/) lines++
			else if (part[1] !~ /-/) { lines++; run++ }
		}
		/^branch/ && !hash { branches++; if ($4 != "0" && !/never/) taken++ }
		END { printf "%s %d %d %d %d\n", name, run, lines, taken, branches }' "$name.gcov"
done >table
awk 'function show(name, a, b, c, d) {
	printf "%-12s lines %6.2f%% of %4d   branches %6.2f%% of %4d\n", name, 100 * a / b, b, d ? 100 * c / d : 100, d
     }
     { show($1, $2, $3, $4, $5); l += $2; nl += $3; b += $4; nb += $5 }
     END { show("src/queue", l, nl, b, nb); exit !(l / nl > 0.95 && b / nb > 0.90) }' table
