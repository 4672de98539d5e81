/* master/daemonise.h: -d: into the background, once it serves. */
#ifndef JOBQ_MASTER_DAEMONISE_H
#define JOBQ_MASTER_DAEMONISE_H

/* Forks. The parent never returns: it waits for the daemon's word and leaves with it. In the daemon: the descriptor for
 * master_daemonise_tell, or -1 when there is no fork to be had (said on stderr). */
int master_daemonise(void);
void master_daemonise_tell(int fd, int exit_code); /* 0: it serves; the terminal is let go. Closes fd. */
void master_daemonise_detach(void);                    /* descriptors 0 to 2 become /dev/null */

#endif
