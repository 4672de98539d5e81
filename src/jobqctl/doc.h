/* jobqctl/doc.h: looking into a JSON document whose shape cannot be trusted. Pure. */
#ifndef JOBQ_JOBQCTL_DOC_H
#define JOBQ_JOBQCTL_DOC_H

#include <jansson.h>
#include <stdbool.h>

const json_t *doc_at(const json_t *doc, const char *path);    /* "batch.p50_ms"; NULL when it is not there */
const char *doc_text(const json_t *doc, const char *path);    /* "" when it is no string */
double doc_number(const json_t *doc, const char *path);       /* -1 when it is no number */
json_int_t doc_int(const json_t *doc, const char *path);      /* -1 when it is no integer */
bool doc_true(const json_t *doc, const char *path);
bool doc_null(const json_t *doc, const char *path);           /* null, or not there */

#endif
