#pragma once

/* guard.h - who may ask at all, before anybody looks at what: methods, Host (a page of elsewhere that made its name
 * point here is not to read the fleet), bearer tokens.  And where gdrd may listen: beyond loopback only with TLS and
 * tokens. */

#include <stdbool.h>

#include "proto/config.pb-c.h"

struct err;
struct guard;
struct web_answer;
struct web_request;

/* Reads the tokens.  'loopback': so is the address that is listened on; 'name': the host's own, beside config->hosts. */
int guard_open(const Gdr__WebConfig *config, bool loopback, const char *name, struct guard **out, struct err *err);
void guard_free(struct guard *guard);

/* True: go on.  Else 'answer' says why not.  'open': no token is asked for, as it tells nothing of the fleet. */
bool guard_check(const struct guard *guard, const struct web_request *request, bool open, struct web_answer *answer);
