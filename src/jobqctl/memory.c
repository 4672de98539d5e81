/*
 * jobqctl/memory.c: what shared memory alone can tell, read-only.
 *
 * For the hour in which the master, or the dispatcher behind it, does not answer: the segment is found by the socket's directory, checked
 * (shm/seg.h) and mapped for as long as the document is made. Fails with a text: nobody's segment, another build's, a dead
 * daemon's.
 */
#include "config.h"

#include "jobqctl/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobqctl/find.h"

json_t *memory_read(const struct ctl *ctl, memory_document *make, char *err, size_t errlen)
{
	char name[64], *run_dir = find_run_dir(ctl->socket);
	json_t *doc = NULL;

	shm_seg_name(name, run_dir);
	free(run_dir);
	struct shm *shm = shm_seg_attach(name, err, errlen);
	if (shm != NULL) {
		doc = make(shm);
		if (doc == NULL)
			(void)snprintf(err, errlen, "out of memory");
		shm_seg_detach(shm);
	}
	return doc;
}
