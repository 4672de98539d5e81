/* jobqctl/find.h: where the daemon's control socket is. */
#ifndef JOBQ_JOBQCTL_FIND_H
#define JOBQ_JOBQCTL_FIND_H

#include <stddef.h>

/*
 * -s, else -c's run_dir, else $JOBQ_SOCKET, else the default configuration's run_dir, else the built-in one. Memory the
 * caller frees; NULL with the reason in err only when a named configuration cannot be read at all.
 */
char *find_socket(const char *socket, const char *config, char *err, size_t errlen);
const char *find_config(const char *config); /* -c, or the default path */
char *find_run_dir(const char *socket_path); /* the directory it stands in; the caller frees */

#endif
