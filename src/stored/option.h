/*
 * option.h
 *		Options: arguments of SQL functions that a catalog keeps and a struct has.
 */
#ifndef CDC_OPTION_H
#define CDC_OPTION_H

#include "fmgr.h"

#include "base/own_row.h"

#define CDC_OPTION_MAX_CHOICES 3

/*
 * One option has one name: as an argument of the SQL functions, and as a column.  What is
 * not NULL is checked, stored as check returns it, and taken into the struct that the
 * table of options is for; take NULL: by its type, into the member.
 */
typedef struct CdcOption
{
	const char *name;
	Oid			type;
	bool		required;		/* not NULL when it is made */
	const char *choices[CDC_OPTION_MAX_CHOICES];	/* of a text; the first is the default; NULL ends them */
	Datum		(*check) (Oid relid, Datum value);	/* raises an error that says what is accepted */
	void		(*take) (void *owner, Datum value);
	size_t		member;
} CdcOption;

/* A table of options, and what it is for */
typedef struct CdcOptions
{
	const CdcOption *options;
	int			noptions;
} CdcOptions;

extern void cdc_option_require_args(CdcOptions options, FunctionCallInfo fcinfo);
extern void cdc_option_read_args(CdcOptions options, FunctionCallInfo fcinfo, Oid relid, void *owner,
								 CdcOwnRow *row);
extern void cdc_option_read_result(CdcOptions options, uint64 n, void *owner);
extern void cdc_option_set(CdcOptions options, const char *name, Datum value, void *owner);

#endif							/* CDC_OPTION_H */
