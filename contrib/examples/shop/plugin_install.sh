#!/bin/sh
# Plugin installs for an exec queue with mode = once: checks $SHOP/archives/ARCHIVE, unpacks it, and switches
# $SHOP/plugins/PLUGIN/current to it in one step. Killed at any point and tried again, it ends in the same state.
#
#     SELECT jobq.enqueue('plugins', '{"plugin": "seo", "version": "1.2.0", "archive": "seo-1.2.0.tar.gz", "sha256": "…"}');
set -u
fail() { echo "$*" >&2; exit 1; }   # for good, with this reason
later() { echo "$*" >&2; exit 75; } # tried again

job=$(cat)
field() { printf '%s' "$job" | jq -er --arg key "$1" --arg form "$2" '.[$key] | strings | select(test("^(?:" + $form + ")$"))' || fail "the payload has no good \"$1\""; }
name='[A-Za-z0-9][A-Za-z0-9._-]{0,63}' # no way out of a directory
plugin=$(field plugin "$name") && version=$(field version "$name") && archive=$(field archive "$name") && sum=$(field sha256 '[0-9a-f]{64}') || exit 1

file=$SHOP/archives/$archive home=$SHOP/plugins/$plugin
[ -r "$file" ] || later "$archive is not there yet"
[ "$(sha256sum "$file" | cut -c1-64)" = "$sum" ] || fail "$archive has another checksum"
if [ ! -d "$home/$version" ]; then
	tar -tzf "$file" | grep -qE '^/|(^|/)\.\.(/|$)' && fail "$archive holds names outside of itself"
	tar -tvzf "$file" | grep -qvE '^[-d]' && fail "$archive holds more than files and directories"
	rm -rf "$home/.new" && mkdir -p "$home/.new" || later "cannot write to $home"
	tar -xzf "$file" -C "$home/.new" --no-same-owner --no-same-permissions || fail "$archive cannot be unpacked"
	mv "$home/.new" "$home/$version" || later "cannot write to $home"
fi
ln -sfn "$version" "$home/.current" && mv -T "$home/.current" "$home/current" || later "cannot write to $home"
jq -n --arg version "$version" --arg files "$(find "$home/$version" -type f | wc -l)" '{version: $version, files: ($files | tonumber)}'
