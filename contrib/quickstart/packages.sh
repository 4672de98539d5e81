# shellcheck shell=sh
# contrib/quickstart/packages.sh: installs the Debian packages that are missing. To be sourced by a POSIX shell.
#
# packages_need LIST LOG GROUP... looks LIST (contrib/packages) up for the named groups, and does nothing when all are there. Else it runs
# apt-get as root (or through sudo), behind a policy-rc.d that keeps the new packages from starting their services. The machine's own
# policy-rc.d is set aside meanwhile and comes back exactly as it was, also after an interrupt; one that a killed run left aside is
# found and put back by the next. Returns non-zero with a message that names the packages when it cannot install them.
packages_policy=/usr/sbin/policy-rc.d
packages_aside=/usr/sbin/policy-rc.d.before-jobq
packages_absent=/usr/sbin/policy-rc.d.absent-before-jobq

packages_missing() { # LIST GROUP...: names of what is not installed
	packages_list=$1
	shift
	for packages_group in "$@"; do
		awk -v group="$packages_group" '$1 !~ /^#/ && $2 == group { print $1, $3 }' "$packages_list"
	done | while read -r packages_name packages_program; do
		[ -n "$packages_program" ] && command -v "$packages_program" >/dev/null && continue
		case $(dpkg-query -W -f '${db:Status-Status}' "$packages_name" 2>/dev/null) in
		installed) ;;
		*) printf '%s\n' "$packages_name" ;;
		esac
	done
}

packages_root() { # a command as root
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

packages_policy_on() {
	packages_policy_off # what a killed run left behind
	if [ -e "$packages_policy" ] || [ -L "$packages_policy" ]; then
		packages_root mv "$packages_policy" "$packages_aside" || return 1
	else
		packages_root touch "$packages_absent" || return 1
	fi
	printf '#!/bin/sh\nexit 101\n' | packages_root tee "$packages_policy" >/dev/null &&
		packages_root chmod 755 "$packages_policy"
}

packages_policy_off() {
	if [ -e "$packages_aside" ] || [ -L "$packages_aside" ]; then
		packages_root mv -f "$packages_aside" "$packages_policy"
	elif [ -e "$packages_absent" ]; then
		packages_root rm -f "$packages_policy" "$packages_absent"
	fi
}

packages_apt() {
	packages_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

packages_install() { # LOG PACKAGE...: what apt-get says goes to LOG
	packages_log=$1
	shift
	packages_apt install --no-install-recommends "$@" >>"$packages_log" 2>&1 && return
	packages_apt update >>"$packages_log" 2>&1 &&
		packages_apt install --no-install-recommends "$@" >>"$packages_log" 2>&1
}

packages_need() ( # LIST LOG GROUP...; a subshell: its traps are its own
	list=$1 log=$2
	shift 2
	missing=$(packages_missing "$list" "$@")
	[ -n "$missing" ] || exit 0
	missing=$(printf '%s' "$missing" | tr '\n' ' ')
	if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && command -v sudo >/dev/null; }; then
		printf 'missing packages: %s\ninstall them as root: apt-get install %s\n' "$missing" "$missing" >&2
		exit 1
	fi
	printf 'installing %s\n' "$missing"
	trap 'packages_policy_off' EXIT
	trap 'exit 130' INT
	trap 'exit 143' HUP TERM
	packages_policy_on || exit 1
	# shellcheck disable=SC2086 # a list of words
	if ! packages_install "$log" $missing; then
		tail -n 20 "$log" >&2
		printf 'apt-get could not install: %s\n' "$missing" >&2
		exit 1
	fi
)
