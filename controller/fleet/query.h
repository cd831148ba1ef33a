#pragma once

/* query.h - what operators see of the model (controller/fleet/fleet.h). */

#include "controller/fleet/fleet.h"

/* Rises with each commit that changed anything which operators see, beginning anew with gdrd. */
uint64_t fleet_version(const struct fleet *fleet);
uint64_t fleet_started_ms(const struct fleet *fleet);
/* Nodes were removed at this version; 0: none was. */
uint64_t fleet_removed_version(const struct fleet *fleet);

/* One node; the caller frees it.  'detail': with report and desired. */
Gdr__NodeView *fleet_view(struct fleet *fleet, const struct node *node, uint64_t now_ms, bool detail);

/* These fill ask->answer. */
int fleet_query_nodes(struct fleet *fleet, const struct ask *ask, const Gdr__NodeQuery *query, struct err *err);
int fleet_query_profiles(struct fleet *fleet, const struct ask *ask, const Gdr__ProfileQuery *query, struct err *err);
int fleet_query_events(struct fleet *fleet, const struct ask *ask, const Gdr__EventQuery *query, struct err *err);
int fleet_query_drift(struct fleet *fleet, const struct ask *ask, const Gdr__DriftQuery *query, struct err *err);
int fleet_query_status(struct fleet *fleet, const struct ask *ask, const Gdr__StatusQuery *query, struct err *err);
int fleet_query_rollouts(struct fleet *fleet, const struct ask *ask, const Gdr__RolloutQuery *query, struct err *err);
int fleet_query_windows(struct fleet *fleet, const struct ask *ask, const Gdr__WindowQuery *query, struct err *err);
int fleet_query_vms(struct fleet *fleet, const struct ask *ask, const Gdr__VmQuery *query, struct err *err);
int fleet_export(struct fleet *fleet, const struct ask *ask, const Gdr__Export *export, struct err *err);
