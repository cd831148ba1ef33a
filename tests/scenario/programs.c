#include "tests/scenario/programs.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "controller/rollout/rollout.h"
#include "tests/scenario/sim.h"

#define RETRY_MS 5000
#define NOT_YET  75
#define BEFORE   3

/* As in controller/hooks.c: one at a time for a node, a check, a program to be told. */
static struct program *
find(struct sim *sim, const char *key)
{
	for (size_t i = 0; i < sim->n_programs; i++)
		if (strcmp(sim->programs[i].key, key) == 0)
			return &sim->programs[i];
	return NULL;
}

/* --- what they do -------------------------------------------------------------------------------------------------- */

static int
drain(struct sim *sim, struct host *host)
{
	if (host->cordon == CORDON_NONE) {
		host->cordon = CORDON_OURS;
		host->empty_ms = sim->t + sim_random(sim, 20000);
		if (sim->unsure && sim_chance(sim, 1, 15))
			host->empty_ms = UINT64_MAX;
	}
	if (sim->t < host->empty_ms)
		return NOT_YET;
	return host->cordon == CORDON_OTHERS ? BEFORE : 0;
}

static int
undrain(struct sim *sim, struct host *host)
{
	if (sim->unsure && sim_chance(sim, 1, 5))
		return 1;
	if (host->cordon == CORDON_OURS)
		host->cordon = CORDON_NONE;
	return 0;
}

static int
check(struct sim *sim, const char *word)
{
	if (strcmp(word, "unsure") == 0 && sim_chance(sim, 1, 2))
		return 2;
	return strcmp(word, "bad") == 0 ? 1 : strcmp(word, "mute") == 0 ? 2 : 0;
}

static int
outcome(struct sim *sim, const struct program *program)
{
	if (sim->unsure && sim_chance(sim, 1, 20))
		return -1;
	switch (program->call.kind) {
	case ROLLOUT_DRAIN: return drain(sim, sim_host(sim, program->word));
	case ROLLOUT_UNDRAIN: return undrain(sim, sim_host(sim, program->word));
	case ROLLOUT_CHECK: return check(sim, program->word);
	default: return 0;
	}
}

void
programs_end(struct sim *sim)
{
	for (size_t i = 0; i < sim->n_programs; i++) {
		struct program *program = &sim->programs[i];

		if (!program->runs || sim->t < program->end_ms)
			continue;
		program->runs = false;
		fleet_called(sim->fleet, program->rollout, &program->call, outcome(sim, program), "played", sim->now);
	}
}

/* --- when they run --------------------------------------------------------------------------------------------------- */

static void
key_of(const Gdr__RolloutRecord *record, const struct rollout_call *call, char out[sizeof(((struct program *)0)->key)])
{
	bool of_node = call->kind == ROLLOUT_DRAIN || call->kind == ROLLOUT_UNDRAIN;

	if (of_node)
		(void)snprintf(out, sizeof(((struct program *)0)->key), "%s %s", call->program, call->word[1]);
	else
		(void)snprintf(out, sizeof(((struct program *)0)->key), "%s %d %zu", record->plan->name,
			       (int)call->kind, call->index);
}

static void
begin(void *arg, const Gdr__RolloutRecord *record, const struct rollout_call *call)
{
	struct sim *sim = arg;
	char key[sizeof(((struct program *)0)->key)];

	key_of(record, call, key);
	struct program *program = find(sim, key);
	if (program && (program->runs || (sim->t < program->end_ms + RETRY_MS && program->call.kind == call->kind &&
					  program->call.of_ms == call->of_ms)))
		return;
	if (!program) {
		sim->programs = xrealloc(sim->programs, sim->n_programs + 1, sizeof(*sim->programs));
		program = &sim->programs[sim->n_programs++];
	}
	*program = (struct program){ .runs = true,
				     .end_ms = sim->t + sim_random(sim, 4000),
				     .call = { .kind = call->kind, .index = call->index, .of_ms = call->of_ms } };
	(void)snprintf(program->key, sizeof(program->key), "%s", key);
	(void)snprintf(program->rollout, sizeof(program->rollout), "%s", record->plan->name);
	if (call->n_words > 0)
		(void)snprintf(program->word, sizeof(program->word), "%s", call->words[call->n_words - 1]);
}

void
programs_begin(struct sim *sim)
{
	fleet_calls(sim->fleet, begin, sim);
}

void
programs_forget(struct sim *sim)
{
	for (size_t i = 0; i < sim->n_programs; i++)
		if (sim->programs[i].runs)
			(void)outcome(sim, &sim->programs[i]);
	sim->n_programs = 0;
}

static void
is_wanted(void *arg, const Gdr__RolloutRecord *record, const struct rollout_call *call)
{
	bool *any = arg;

	(void)record;
	*any = *any || call->kind != ROLLOUT_DRAIN; /* Work may stay on a host for ever. */
}

bool
programs_are_done(struct sim *sim)
{
	bool any = false;

	fleet_calls(sim->fleet, is_wanted, &any);
	return !any;
}
