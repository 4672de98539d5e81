/* master/seat.h: the places to be filled, made from the configuration. */
#ifndef JOBQ_MASTER_SEAT_H
#define JOBQ_MASTER_SEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct master;
struct proc;
struct seat;

uint32_t master_seat_queues_needed(const struct conf *conf); /* entries and slots to make a segment with, headroom included */
uint32_t master_seat_slots_needed(const struct conf *conf);
/* Can this configuration run in the segment that we have? false with the reason. */
bool master_seat_fits(const struct master *m, const struct conf *conf, char *err, size_t errlen);

void master_seat_dispatcher(struct master *m); /* the first seat */
/* Makes queues and worker seats what m->conf says: takes away, adds, and where changed[i] marks a queue (the i-th of m->conf;
 * NULL = none) asks for new processes. Processes whose seat goes get SIGTERM. */
void master_seat_sync(struct master *m, const bool *changed);
void master_seat_retry_held(struct master *m);
void master_seat_orphan(struct master *m, struct proc *proc); /* told to leave; nobody is started in its place */
void master_seat_queue_states(struct master *m);              /* running, draining, crash-loop; frees entries whose time is over */
void master_seat_free_all(struct master *m);

#endif
