/*
 * queue/exceed.c: the record of exceedances; see exceed.h.
 *
 * Runs in the dispatcher. Owns everything in it. Invariants: every tenant of the hash is in the lru list, which is sorted by
 * last_us; a text is freed with its last detail. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/exceed.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define US_A_SECOND INT64_C(1000000)

static void text_release(struct exceed_text *text)
{
	if (text && --text->users == 0)
		free(text);
}

static struct exceed_text *text_for(const struct exceed_tenant *tenant, const char *message)
{
	size_t len = strnlen(message, EXCEED_MESSAGE);
	const struct exceed_detail *last = exceed_detail(tenant, 0);
	if (last && strlen(last->message->text) == len && memcmp(last->message->text, message, len) == 0) {
		last->message->users++;
		return last->message;
	}
	struct exceed_text *text = xmalloc(sizeof *text + len + 1);
	text->users = 1;
	memcpy(text->text, message, len);
	text->text[len] = '\0';
	return text;
}

static void forget(struct exceed *e, struct exceed_tenant *tenant)
{
	TAILQ_REMOVE(&e->lru, tenant, lru);
	HASH_DEL(e->tenants, tenant);
	for (size_t i = 0; i < EXCEED_DETAILS; i++)
		text_release(tenant->details[i].message);
	free(tenant->name);
	free(tenant);
}

static struct exceed_tenant *tenant_get(struct exceed *e, const char *name)
{
	struct exceed_tenant *tenant;
	HASH_FIND_STR(e->tenants, name, tenant);
	if (tenant)
		return tenant;
	if (HASH_COUNT(e->tenants) >= EXCEED_TENANTS)
		forget(e, TAILQ_FIRST(&e->lru));
	tenant = xcalloc(1, sizeof *tenant);
	tenant->name = xstrdup(name);
	HASH_ADD_KEYPTR(hh, e->tenants, tenant->name, strlen(tenant->name), tenant);
	TAILQ_INSERT_TAIL(&e->lru, tenant, lru);
	return tenant;
}

bool exceed_note(struct exceed *e, const char *name, int64_t at_us, int64_t batch, const char *message)
{
	struct exceed_tenant *tenant = tenant_get(e, name);
	if (tenant->count > 0 && at_us / US_A_SECOND <= tenant->last_us / US_A_SECOND)
		return false;
	struct exceed_text *text = text_for(tenant, message);
	struct exceed_detail *detail = &tenant->details[tenant->next];
	text_release(detail->message);
	*detail = (struct exceed_detail){at_us, batch, text};
	tenant->next = (tenant->next + 1) % EXCEED_DETAILS;
	tenant->kept += tenant->kept < EXCEED_DETAILS;
	tenant->count++;
	tenant->last_us = at_us;
	e->count++;
	TAILQ_REMOVE(&e->lru, tenant, lru);
	TAILQ_INSERT_TAIL(&e->lru, tenant, lru);
	return true;
}

const struct exceed_tenant *exceed_find(const struct exceed *e, const char *name)
{
	struct exceed_tenant *tenant;
	HASH_FIND_STR(e->tenants, name, tenant);
	return tenant;
}

const struct exceed_detail *exceed_detail(const struct exceed_tenant *tenant, uint32_t i)
{
	return i < tenant->kept ? &tenant->details[(tenant->next + EXCEED_DETAILS - 1 - i) % EXCEED_DETAILS] : NULL;
}

size_t exceed_worst(const struct exceed *e, const struct exceed_tenant *out[], size_t max)
{
	size_t n = 0;
	for (const struct exceed_tenant *tenant = e->tenants; tenant && max > 0; tenant = tenant->hh.next) {
		if (n == max && out[n - 1]->count >= tenant->count)
			continue;
		size_t i = n < max ? n++ : n - 1;
		for (; i > 0 && out[i - 1]->count < tenant->count; i--)
			out[i] = out[i - 1];
		out[i] = tenant;
	}
	return n;
}

void exceed_init(struct exceed *e)
{
	memset(e, 0, sizeof *e);
	TAILQ_INIT(&e->lru);
}

void exceed_reset(struct exceed *e, const char *name)
{
	struct exceed_tenant *tenant, *next;
	HASH_ITER(hh, e->tenants, tenant, next)
		if (!name || strcmp(tenant->name, name) == 0)
			forget(e, tenant);
	if (!name)
		e->count = 0;
}

void exceed_free(struct exceed *e)
{
	exceed_reset(e, NULL);
}
