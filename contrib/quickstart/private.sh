# shellcheck shell=sh
# contrib/quickstart/private.sh: a private directory, a copy of the tree in it, and an ordinary user to work there. To be sourced.
#
# Used by contrib/quickstart.sh and tests/run.sh. When started by root the directory and all that runs in it belong to the user who
# called sudo, or to `nobody`: PostgreSQL refuses root, and nothing built here needs it. The tree itself is only read.
# The path is short, since a unix socket's has 107 bytes. Functions return non-zero with a message on stderr.

private_user() { # whose the work is, when root started it
	if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then printf '%s\n' "$SUDO_USER"; else printf 'nobody\n'; fi
}

private_dir() { # prints the path of a new one
	private_path=$(mktemp -d /tmp/jq.XXXXXX) || return 1
	if [ "$(id -u)" -eq 0 ]; then
		chown "$(private_user):$(id -g "$(private_user)")" "$private_path" || return 1
	fi
	printf '%s\n' "$private_path"
}

private_files() { # ROOT: what belongs to the tree, NUL-separated
	if git -c safe.directory='*' -C "$1" rev-parse --show-toplevel >/dev/null 2>&1; then
		git -c safe.directory='*' -C "$1" ls-files -z --cached --others --exclude-standard 2>/dev/null
	else
		(cd "$1" && find . \( -name .git -o -name autom4te.cache -o -name 'build*' -a -type d ! -name build-aux \) -prune -o -type f -print0)
	fi
}

private_copy() { # ROOT TO: the tree as it stands, without what builds leave
	mkdir "$2" || return 1
	private_files "$1" | (cd "$1" && xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh) |
		tar -C "$1" --null --no-recursion -T - -cf - | tar -C "$2" -xf - || return 1
	[ -f "$2/configure.ac" ] || { printf 'could not copy %s\n' "$1" >&2; return 1; }
	[ "$(id -u)" -ne 0 ] || chown -R "$(private_user):$(id -g "$(private_user)")" "$2"
}

private_run() { # DIR COMMAND...: as the ordinary user, at home in DIR
	private_home=$1
	shift
	if [ "$(id -u)" -eq 0 ]; then
		private_name=$(private_user)
		exec setpriv --reuid "$private_name" --regid "$(id -g "$private_name")" --init-groups \
			env HOME="$private_home" USER="$private_name" LOGNAME="$private_name" "$@"
	fi
	exec env HOME="$private_home" "$@"
}
