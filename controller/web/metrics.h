#pragma once

/* metrics.h - /metrics, in Prometheus' text format: one row of the table in metrics.c a metric.  No label holds a name
 * of a node, a user or a rollout: their number is bounded by the code. */

struct agents;
struct buf;
struct commits;
struct fleet;
struct http_counts;
struct zap;

/* What is measured. */
struct metrics_sources {
	struct fleet *fleet;
	struct zap *zap;
	const struct agents *agents;
	const struct commits *commits;
	const struct http_counts *http;
};

void metrics_print(const struct metrics_sources *sources, struct buf *out);
