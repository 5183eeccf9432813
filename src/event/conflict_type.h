/*
 * conflict_type.h
 *		The words for conflicts: their types, what was done, how they are handled.
 */
#ifndef CDC_CONFLICT_TYPE_H
#define CDC_CONFLICT_TYPE_H

/* Conflict types, with core's names; the order is that of stat_table's columns */
typedef enum CdcConflictType
{
	CDC_CT_INSERT_EXISTS,
	CDC_CT_UPDATE_ORIGIN_DIFFERS,
	CDC_CT_UPDATE_EXISTS,
	CDC_CT_UPDATE_MISSING,
	CDC_CT_UPDATE_DELETED,
	CDC_CT_DELETE_ORIGIN_DIFFERS,
	CDC_CT_DELETE_EXISTS,
	CDC_CT_DELETE_MISSING,
	CDC_CT_MULTIPLE_UNIQUE_CONFLICTS,
	CDC_CT_NONE
} CdcConflictType;

#define CDC_NCONFLICT_TYPES CDC_CT_NONE

extern const char *const cdc_conflict_type_names[];

/* What was done about a conflict; "skip" leaves everything as it is, where nothing is */
typedef enum CdcResolution
{
	CDC_RESOLUTION_APPLY_REMOTE,
	CDC_RESOLUTION_KEEP_LOCAL,
	CDC_RESOLUTION_SKIP,
	CDC_RESOLUTION_MERGE,		/* the row of a handler function */
	CDC_RESOLUTION_ERROR
} CdcResolution;

extern const char *const cdc_resolution_names[];

/* How a type of conflict is handled */
typedef enum CdcHandling
{
	CDC_HANDLING_LAST_UPDATE_WINS,
	CDC_HANDLING_APPLY_REMOTE,
	CDC_HANDLING_KEEP_LOCAL,
	CDC_HANDLING_SKIP,
	CDC_HANDLING_ERROR,
	CDC_HANDLING_FUNCTION		/* asked by the caller, who hands its answer on */
} CdcHandling;

/* The two sides of the local-first flow in which the server decides */
typedef enum CdcPreset
{
	CDC_PRESET_NONE,
	CDC_PRESET_HUB,
	CDC_PRESET_SPOKE
} CdcPreset;

#endif							/* CDC_CONFLICT_TYPE_H */
