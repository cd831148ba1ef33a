#pragma once

/* test_ctl_world.h - gdrctl in a world of its own: answers come from a list, time stands still, and what
 * it prints and asks is kept. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "tests/unit/test_ctl_assert.h"

#define NOW_MS      1790000000000ULL
#define ANSWERS_MAX 16
#define NO_ANSWER   "none"    /* In 'answers': the controller is away. */
#define REFUSED_KEY "refused" /* The key is not let in. */

struct world {
	struct ctl ctl;
	const char *answers[ANSWERS_MAX]; /* Responses as YAML, each good once; the last one again and again. */
	size_t next;
	int pauses; /* That are left until the operator interrupts. */
	uint64_t elapsed_ms;
	struct buf asked; /* Requests, a JSON line each, without ids. */
	char *out;
	char *diag;
	size_t out_len;
	size_t diag_len;
	const char *in;
};

static inline int
world_call(void *arg, const Gdr__Request *request, uint64_t timeout_ms, Gdr__Response **out, struct err *err)
{
	struct world *world = arg;
	const char *answer = world->answers[world->next];
	Gdr__Request bare = *request;
	struct err failed = { 0 };

	assert_true(timeout_ms > 0);
	assert_non_null(request->id);
	bare.id = NULL;
	bare.idempotency_key = NULL;
	pbtext_print(&bare.base, NULL, PBTEXT_JSON_LINE, &world->asked);
	buf_add(&world->asked, "\n", 1);
	if (world->next + 1 < ANSWERS_MAX && world->answers[world->next + 1])
		world->next++;
	if (!answer)
		fail_msg("asked, but nothing to answer: %s", world->asked.text);
	if (strcmp(answer, NO_ANSWER) == 0)
		return err_set(err, CTL_NO_CONTROLLER, "no connection");
	if (strcmp(answer, REFUSED_KEY) == 0)
		return err_set(err, CTL_NOT_ALLOWED, "refuses this key");
	if (pbtext_parse(&gdr__response__descriptor, "answer", answer, strlen(answer), (ProtobufCMessage **)out,
			 &failed) < 0)
		fail_msg("%s", failed.msg);
	return 0;
}

static inline uint64_t
world_wall(void *arg)
{
	(void)arg;
	return NOW_MS;
}

static inline uint64_t
world_mono(void *arg)
{
	const struct world *world = arg;

	return 1000000 + world->elapsed_ms;
}

static inline bool
world_pause(void *arg, uint64_t ms)
{
	struct world *world = arg;

	world->elapsed_ms += ms;
	return world->pauses-- > 0;
}

static inline void
world_close(struct world *world)
{
	buf_free(&world->asked);
	free(world->out);
	free(world->diag);
	world->out = NULL;
	world->diag = NULL;
}

/* Runs gdrctl with one line of arguments, split at blanks, '~' stands for one. */
static inline int
world_run(struct world *world, const char *line)
{
	static const struct ctl_ops ops = { world_call, world_wall, world_mono, world_pause };
	const char *argv[32] = { "gdrctl" };
	char *text = xstrdup(line);
	char *rest = NULL;
	int argc = 1;

	world_close(world);
	for (char *word = strtok_r(text, " ", &rest); word && argc < 31; word = strtok_r(NULL, " ", &rest)) {
		for (char *c = word; *c; c++)
			*c = *c == '~' ? ' ' : *c;
		argv[argc++] = word;
	}
	world->ctl.ops = &ops;
	world->ctl.arg = world;
	world->ctl.in = fmemopen((char[]){ "" }, 1, "r");
	if (world->in) {
		(void)fclose(world->ctl.in);
		world->ctl.in = tmpfile();
		(void)fputs(world->in, world->ctl.in);
		rewind(world->ctl.in);
	}
	world->ctl.out = open_memstream(&world->out, &world->out_len);
	world->ctl.diag = open_memstream(&world->diag, &world->diag_len);
	int rc = ctl_run(&world->ctl, argc, argv);
	(void)fclose(world->ctl.in);
	(void)fclose(world->ctl.out);
	(void)fclose(world->ctl.diag);
	free(text);
	return rc;
}
