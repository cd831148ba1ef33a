#pragma once

/* assets.h - the dashboard's files, which are part of the program: controller/web/assets/, put in by embed.cmake. */

#include <stddef.h>

struct web_asset {
	const char *path; /* "/app.js" */
	const unsigned char *data;
	size_t len;
	const char *etag; /* Of the content. */
};

extern const struct web_asset web_assets[];
extern const size_t web_n_assets;
