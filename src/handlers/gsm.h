/* handlers/gsm.h: the alphabet of text messages. Pure. */
#ifndef JOBQ_HANDLERS_GSM_H
#define JOBQ_HANDLERS_GSM_H

#include <stdbool.h>
#include <stddef.h>

#define GSM_SEGMENTS_MAX 255u /* a concatenated message counts its parts in one byte */

struct gsm_size {
	bool gsm7;        /* representable in the default alphabet of GSM 03.38; else UCS-2 */
	size_t units;     /* septets, or UTF-16 code units */
	size_t segments;  /* messages on the air; 0 for an empty text */
};
struct gsm_size gsm_measure(const char *utf8, size_t len); /* valid UTF-8 */

#endif
