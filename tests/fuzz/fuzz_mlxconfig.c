/* Links: agent */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/machine/mlxconfig.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* Every row has a name and a value in each column that its device shows, and is found. */
static void
check_text(const struct mlx_device *device)
{
	for (size_t i = 0; i < device->n; i++) {
		const struct mlx_row *row = &device->rows[i];

		check(row->name && !strpbrk(row->name, " \t\n"));
		check(mlxconfig_find(device, row->name) != NULL);
		for (unsigned c = 0; c < MLX_COLUMNS; c++)
			check(device->shown[c] == (row->value[c] != NULL));
	}
}

static void
check_values(const struct mlx_device *device)
{
	for (size_t i = 0; i < device->n; i++) {
		const char *value = mlxconfig_value(&device->rows[i], MLX_NEXT);

		if (!value)
			continue;
		check(mlxconfig_compare(value, value) == MLX_SAME);
		free(mlxconfig_argument(value));
		(void)mlxconfig_is_off(value);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xcalloc(size + 1, 1);
	auto_free char *reason = NULL;
	struct mlx_output out;
	struct err err = { 0 };

	if (size > 0)
		memcpy(text, data, size);
	(void)mlxconfig_said(text, "", &reason);
	check(reason && !strpbrk(reason, "\r\n\033"));
	check((mlxconfig_parse(text, &out, &err) == 0) == (err.code == 0));
	for (size_t i = 0; i < out.n; i++) {
		check_text(&out.devices[i]);
		check_values(&out.devices[i]);
	}
	mlxconfig_free(&out);
	err.code = 0;
	check((mlxconfig_parse_json(text, &out, &err) == 0) == (err.code == 0));
	for (size_t i = 0; i < out.n; i++)
		check_values(&out.devices[i]);
	mlxconfig_free(&out);
	return 0;
}
