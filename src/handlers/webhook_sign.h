/*
 * handlers/webhook_sign.h: signatures of Standard Webhooks. Pure.
 *
 * A secret is base64 of 24 to 64 bytes, with or without the prefix whsec_; two, with a blank between, while it is being changed:
 * then both sign, and a receiver that knows either is content.
 */
#ifndef JOBQ_HANDLERS_WEBHOOK_SIGN_H
#define JOBQ_HANDLERS_WEBHOOK_SIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define WEBHOOK_KEYS 2u
#define WEBHOOK_KEY_MAX 64u

struct webhook_keys {
	struct {
		unsigned char bytes[WEBHOOK_KEY_MAX];
		size_t len;
	} list[WEBHOOK_KEYS];
	size_t n; /* 0: nothing is signed */
};

/* NULL, or what is wrong, without the secret in it. "" is no secret. */
const char *webhook_keys_read(struct webhook_keys *keys, const char *text);
void webhook_keys_wipe(struct webhook_keys *keys);
/* Appends "v1,<base64 of the HMAC-SHA256 of id.timestamp.body>", one for each key, with blanks between. */
void webhook_sign(const struct webhook_keys *keys, const char *id, const char *timestamp, const char *body, size_t len, struct buf *out);
/* 32 hexadecimal digits of a SHA-256, appended: a name for whatever was hashed. */
void webhook_digest(const char *data, size_t len, struct buf *out);

#endif
