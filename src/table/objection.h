/*
 * objection.h
 *		Why a table cannot take part.
 */
#ifndef CDC_OBJECTION_H
#define CDC_OBJECTION_H

#include "utils/relcache.h"

/* In the order in which they are raised */
typedef enum CdcObjectionKind
{
	CDC_OBJECTION_NONE,
	CDC_OBJECTION_RESERVED,
	CDC_OBJECTION_NOT_TABLE,
	CDC_OBJECTION_NOT_PERMANENT,
	CDC_OBJECTION_ACCESS_METHOD,
	CDC_OBJECTION_PARTITION,
	CDC_OBJECTION_INHERITANCE,
	CDC_OBJECTION_RULE,
	CDC_OBJECTION_ROW_SECURITY,
	CDC_OBJECTION_DEFERRABLE,
	CDC_OBJECTION_OVERLAPS,
	CDC_OBJECTION_NO_KEY,
	CDC_OBJECTION_GENERATED_KEY,
	CDC_OBJECTION_IDENTITY_ALWAYS,
	CDC_OBJECTION_VIRTUAL
} CdcObjectionKind;

typedef struct CdcObjection
{
	CdcObjectionKind kind;
	int			sqlerrcode;
	char	   *detail;			/* a sentence; NULL: there is no objection */
	const char *hint;			/* what to do, or NULL */
} CdcObjection;

#define CDC_OBJECTION_RESERVED_DETAIL "It belongs to the system or to cdcsync."

extern CdcObjection cdc_objection_find(Relation rel, bool as_partition);
extern bool cdc_objection_is_reserved(Oid relid);
extern bool cdc_objection_is_table(Oid relid);

#endif							/* CDC_OBJECTION_H */
