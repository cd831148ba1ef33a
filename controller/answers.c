#include "controller/answers.h"

#include "common/mem.h"

void /* NOLINTNEXTLINE(readability-non-const-parameter): it is taken, and freed later. */
answers_add(struct answers *answers, const struct wire_peer *peer, uint8_t *data, size_t len)
{
	answers->all = xrealloc(answers->all, answers->n + 1, sizeof(*answers->all));
	answers->all[answers->n++] = (struct answer){ .peer = *peer, .data = data, .len = len };
}

void
answers_clear(struct answers *answers)
{
	for (size_t i = 0; i < answers->n; i++)
		free(answers->all[i].data);
	free(answers->all);
	*answers = (struct answers){ 0 };
}

void
answers_send(struct answers *answers, struct wire *wire)
{
	/* Who did not wait for an answer asks again, with the same idempotency key. */
	for (size_t i = 0; i < answers->n; i++)
		(void)wire_send(wire, &answers->all[i].peer, answers->all[i].data, answers->all[i].len);
	answers_clear(answers);
}
