/* master/answer.h: the commands that the master answers itself, from shared memory and the configuration. */
#ifndef JOBQ_MASTER_ANSWER_H
#define JOBQ_MASTER_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

struct control_client;
struct master;

/* verb is one of the table's MASTER commands; args an object */
void master_answer(struct master *m, struct control_client *c, const char *verb, json_t *args);
bool master_answer_has(const char *verb);

#endif
