#pragma once

/* openapi.h - what the REST side answers, for machines: OpenAPI 3.0, from the descriptors that the answers are printed
 * by, so that it cannot say anything else than they do. */

struct buf;

void openapi_print(struct buf *out);
