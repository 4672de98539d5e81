/* master/notify.h: sd_notify by hand: one datagram to $NOTIFY_SOCKET. Without that variable nothing happens. */
#ifndef JOBQ_MASTER_NOTIFY_H
#define JOBQ_MASTER_NOTIFY_H

void master_notify_open(void); /* takes the variable out of the environment: children must not speak for us */
void master_notify(const char *state);
void master_notify_reloading(void);

#endif
