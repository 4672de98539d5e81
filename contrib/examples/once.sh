#!/bin/sh
# A handler for exec queues in shell, one process a job: the payload comes on stdin, the exit code is the outcome.
#
#     [queue fingerprint]
#     handler = exec
#     command = /bin/sh /usr/share/doc/jobq/examples/once.sh
#     mode = once
#
#     SELECT jobq.enqueue('fingerprint', '{"file": "/etc/hostname"}');
file=$(jq -er .file) || { echo 'the payload has no file' >&2; exit 1; } # fails, with this line as the error
[ -r "$file" ] || { echo "cannot read $file yet" >&2; exit 75; }        # tried again later
sha256sum "$file" | jq -R '{sha256: .[:64]}'                            # JSON on stdout: the result
