/*
 * queue/exceed.c: the record of exceedances; see exceed.h.
 *
 * Runs in the dispatcher. Owns everything in it. Invariants: every tenant of the hash is in the lru list, the one that was
 * counted last at its end; a text is freed with its last detail. Cannot fail (memory apart).
 */
#include "config.h"

#include "queue/exceed.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define US_A_SECOND INT64_C(1000000)

static void text_release(struct exceed_text *text)
{
	if (text && --text->users == 0)
		free(text);
}

static struct exceed_text *text_for(const struct exceed_tenant *tenant, const char *message)
{
	char clean[EXCEED_MESSAGE + 1]; /* cut at a character */
	size_t len = text_clean(clean, sizeof clean, message, strlen(message));
	const struct exceed_detail *last = exceed_detail(tenant, 0);
	if (last && strlen(last->message->text) == len && memcmp(last->message->text, clean, len) == 0) {
		last->message->users++;
		return last->message;
	}
	struct exceed_text *text = xmalloc(sizeof *text + len + 1);
	text->users = 1;
	memcpy(text->text, clean, len + 1);
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
	tenant->waited_s = -1;
	HASH_ADD_KEYPTR(hh, e->tenants, tenant->name, strlen(tenant->name), tenant);
	TAILQ_INSERT_TAIL(&e->lru, tenant, lru);
	return tenant;
}

static void add_detail(struct exceed_tenant *tenant, int64_t at_us, int64_t batch, const char *message)
{
	struct exceed_text *text = text_for(tenant, message);
	struct exceed_detail *detail = &tenant->details[tenant->next];
	text_release(detail->message);
	*detail = (struct exceed_detail){at_us, batch, text};
	tenant->next = (tenant->next + 1) % EXCEED_DETAILS;
	tenant->kept += tenant->kept < EXCEED_DETAILS;
}

static void count(struct exceed *e, struct exceed_tenant *tenant, int64_t at_us, int64_t batch, const char *message)
{
	add_detail(tenant, at_us, batch, message);
	tenant->count++;
	tenant->last_us = at_us;
	e->count++;
	e->changes++;
	TAILQ_REMOVE(&e->lru, tenant, lru);
	TAILQ_INSERT_TAIL(&e->lru, tenant, lru);
}

bool exceed_noted(const struct exceed *e, const char *name, int64_t at_us)
{
	const struct exceed_tenant *tenant = exceed_find(e, name);
	return tenant && at_us / US_A_SECOND == tenant->waited_s; /* not <=: the wall clock may be set back */
}

bool exceed_note(struct exceed *e, const char *name, int64_t at_us, int64_t batch, const char *message)
{
	if (exceed_noted(e, name, at_us))
		return false;
	struct exceed_tenant *tenant = tenant_get(e, name);
	tenant->waited_s = at_us / US_A_SECOND;
	count(e, tenant, at_us, batch, message);
	return true;
}

void exceed_refused(struct exceed *e, const char *name, int64_t at_us, int64_t batch, const char *message)
{
	count(e, tenant_get(e, name), at_us, batch, message);
}

bool exceed_restore(struct exceed *e, const char *name, uint64_t times, int64_t last_us)
{
	if (HASH_COUNT(e->tenants) >= EXCEED_TENANTS || exceed_find(e, name))
		return false;
	struct exceed_tenant *tenant = tenant_get(e, name);
	tenant->count = times;
	tenant->last_us = last_us;
	tenant->waited_s = last_us / US_A_SECOND; /* that second may have been counted: not again */
	e->count += times;
	return true;
}

void exceed_detail_add(struct exceed *e, const char *name, int64_t at_us, int64_t batch, const char *message)
{
	struct exceed_tenant *tenant;
	HASH_FIND_STR(e->tenants, name, tenant);
	if (tenant)
		add_detail(tenant, at_us, batch, message);
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
	e->changes++;
}

void exceed_free(struct exceed *e)
{
	exceed_reset(e, NULL);
}
