/*
 * handlers/webhook_sign.c: signatures of Standard Webhooks (see webhook_sign.h).
 *
 * Pure; runs in workers. All of the arithmetic is libcrypto's. Keys never leave struct webhook_keys.
 */
#include "config.h"

#include "handlers/webhook_sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/mem.h"

#define KEY_MIN 24u
#define ENCODED_MAX 88u /* base64 of 64 bytes */
#define BASE64_OF_32 44u

static const char blanks[] = " \t";
static const char prefix[] = "whsec_";

/* The bytes that base64 text stands for, or 0. */
static size_t webhook_decode(const char *text, size_t len, unsigned char out[WEBHOOK_KEY_MAX])
{
	unsigned char padded[ENCODED_MAX + 4], bytes[ENCODED_MAX];
	size_t pad = 0, whole = len;

	while (whole > 0 && text[whole - 1] == '=' && len - whole < 2)
		whole--;
	if (whole == 0 || whole > ENCODED_MAX || whole % 4 == 1)
		return 0;
	memcpy(padded, text, whole);
	for (; (whole + pad) % 4 != 0; pad++)
		padded[whole + pad] = '=';
	int n = EVP_DecodeBlock(bytes, padded, (int)(whole + pad));
	size_t size = n < 0 || (size_t)n < pad ? 0 : (size_t)n - pad;
	if (size > WEBHOOK_KEY_MAX)
		size = 0;
	memcpy(out, bytes, size);
	explicit_bzero(padded, sizeof padded);
	explicit_bzero(bytes, sizeof bytes);
	return size;
}

const char *webhook_keys_read(struct webhook_keys *keys, const char *text)
{
	*keys = (struct webhook_keys){0};
	for (text += strspn(text, blanks); *text != '\0'; text += strspn(text, blanks)) {
		size_t len = strcspn(text, blanks), skip = strncmp(text, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
		if (keys->n == WEBHOOK_KEYS)
			return "holds more than two secrets";
		size_t n = webhook_decode(text + skip, len - skip, keys->list[keys->n].bytes);
		if (n < KEY_MIN)
			return "is not base64 of 24 to 64 bytes (make one: echo whsec_$(openssl rand -base64 32))";
		keys->list[keys->n++].len = n;
		text += len;
	}
	return NULL;
}

void webhook_keys_wipe(struct webhook_keys *keys)
{
	explicit_bzero(keys, sizeof *keys);
}

void webhook_sign(const struct webhook_keys *keys, const char *id, const char *timestamp, const char *body, size_t len, struct buf *out)
{
	struct buf text = {0};
	unsigned char mac[EVP_MAX_MD_SIZE], encoded[BASE64_OF_32 + 1];
	unsigned n;

	buf_printf(&text, "%s.%s.", id, timestamp);
	buf_add(&text, body, len);
	for (size_t i = 0; i < keys->n; i++) {
		if (HMAC(EVP_sha256(), keys->list[i].bytes, (int)keys->list[i].len, (const unsigned char *)text.data, text.len, mac, &n) == NULL)
			mem_exhausted(0);
		int size = EVP_EncodeBlock(encoded, mac, (int)n);
		buf_printf(out, "%sv1,%.*s", i == 0 ? "" : " ", size, (const char *)encoded);
	}
	buf_free(&text);
}

void webhook_digest(const char *data, size_t len, struct buf *out)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	(void)SHA256((const unsigned char *)data, len, hash); /* returns hash */
	for (size_t i = 0; i < sizeof hash / 2; i++)
		buf_printf(out, "%02x", hash[i]);
}
