#include "controller/web/request.h"

#include <stdarg.h>
#include <stdio.h>

void
web_refuse(struct web_answer *answer, unsigned status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	answer->status = status;
	answer->type = "application/json";
	buf_free(&answer->body);
	buf_puts(&answer->body, "{\"message\": ");
	buf_json(&answer->body, text);
	buf_puts(&answer->body, "}\n");
}

void
web_answer_free(struct web_answer *answer)
{
	buf_free(&answer->body);
}
