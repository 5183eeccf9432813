/*
 * conflict_type.c
 *		The words for conflicts, as people write and read them.
 *
 * Like conflict.c it uses nothing of the server, and links into the model checker.
 */
#include "postgres.h"

#include "event/conflict_type.h"

const char *const cdc_conflict_type_names[] = {
	[CDC_CT_INSERT_EXISTS] = "insert_exists",
	[CDC_CT_UPDATE_ORIGIN_DIFFERS] = "update_origin_differs",
	[CDC_CT_UPDATE_EXISTS] = "update_exists",
	[CDC_CT_UPDATE_MISSING] = "update_missing",
	[CDC_CT_UPDATE_DELETED] = "update_deleted",
	[CDC_CT_DELETE_ORIGIN_DIFFERS] = "delete_origin_differs",
	[CDC_CT_DELETE_EXISTS] = "delete_exists",
	[CDC_CT_DELETE_MISSING] = "delete_missing",
	[CDC_CT_MULTIPLE_UNIQUE_CONFLICTS] = "multiple_unique_conflicts",
	[CDC_CT_NONE] = "none"
};

const char *const cdc_resolution_names[] = {
	[CDC_RESOLUTION_APPLY_REMOTE] = "apply_remote",
	[CDC_RESOLUTION_KEEP_LOCAL] = "keep_local",
	[CDC_RESOLUTION_SKIP] = "skip",
	[CDC_RESOLUTION_MERGE] = "merge",
	[CDC_RESOLUTION_ERROR] = "error"
};
