/*
 * master/dump.c: writes what the master knows into the log, a line a thing. Runs in the master, reads only.
 */
#include "config.h"

#include "master/dump.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/embed.h"
#include "master/master.h"
#include "shm/cell.h"
#include "shm/seg.h"

static void dump_proc(const struct master *m, const struct proc *proc, int64_t now)
{
	const struct shm_slot *slot = shm_slot_at(m->shm, proc->slot);
	char doing[SHM_CELL_TEXT];

	log_info("dump: slot=%u role=%s number=%u pid=%ld generation=%u state=%s config=%u uptime=%.1fs rss=%lldkB%s%s doing=\"%s\"",
	         proc->slot, shm_role_name(atomic_load(&slot->role)), atomic_load(&slot->number), (long)proc->pid, proc->generation,
	         shm_proc_state_name(atomic_load(&slot->state)), proc->config_generation, (double)(now - proc->started_ns) / (double)NS_PER_S,
	         (long long)(atomic_load(&slot->rss_bytes) / 1024), proc->asked ? " leaving" : "", proc->seat == NULL ? " seatless" : "",
	         shm_cell_get(&slot->doing, doing));
}

void master_dump(const struct master *m)
{
	static const char *const phases[] = {"run", "drain", "dispatcher", "postgres", "gone"};
	int64_t now = clock_mono_ns();
	const struct seat *seat;

	log_info("dump: phase=%s%s config=%u dispatcher_config=%u dispatcher_generation=%u serving=%d slots=%u queues=%u postgres=%s",
	         phases[m->phase], m->now ? " now" : "", m->config_generation, m->dispatcher_config,
	         atomic_load(&m->shm->global->dispatcher_generation), m->serving ? 1 : 0, m->shm->nslots, m->shm->nqueues,
	         m->embed != NULL ? master_embed_state(m->embed) : "not embedded");
	for (uint32_t i = SLOT_DISPATCHER; i < m->shm->nslots; i++)
		if (m->procs[i].pid != 0)
			dump_proc(m, &m->procs[i], now);
	TAILQ_FOREACH(seat, &m->seats, link)
		if (seat->proc == NULL)
			log_info("dump: empty seat role=%s queue=%s number=%u restarts=%u hold=%d due_in=%.1fs", shm_role_name((uint32_t)seat->role),
			         seat->role == ROLE_WORKER ? m->queues[seat->queue].name : "", seat->number, seat->restarts, (int)seat->backoff.hold,
			         (double)(seat->due_ns - now) / (double)NS_PER_S);
}
