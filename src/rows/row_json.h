/*
 * row_json.h
 *		Rows for people and for handlers: as JSON objects, and back.
 */
#ifndef CDC_ROW_JSON_H
#define CDC_ROW_JSON_H

#include "utils/jsonb.h"

#include "rows/row.h"

/*
 * The columns that a row has a value for, by their local names: booleans, finite numbers
 * and json as such, all else as output text.
 */
extern Jsonb *cdc_row_to_jsonb(CdcRelation *rel, const CdcRow *row);

/*
 * A row of the columns that the object names; what the table does not have is ignored.
 * SPI is connected; raises what the columns' types say of wrong values.
 */
extern CdcRow cdc_row_from_jsonb(CdcRelation *rel, Jsonb *object);

/* For the text of a statement on a table: the row r, made of the statement's argument */
#define CDC_ROW_OF_JSON "pg_catalog.jsonb_populate_record(NULL::%s, $1) AS r"

/* The text of a DELETE of the row of that key; name is the table's, quoted */
extern char *cdc_row_json_delete_text(const char *name, const CdcKey *key);

/* An object of one text */
extern Jsonb *cdc_row_json_pair(const char *name, const char *value);

/* An object of one value that cannot be decoded: {name: {"undecodable": its text}} */
extern Jsonb *cdc_row_json_undecodable(const char *name, const char *text);

/*
 * A copy in which long values of a large row stand in part, as {"cut": the beginning,
 * "bytes": the length of the whole}; and the name of the first such column, NULL if none.
 */
extern Jsonb *cdc_row_json_cut(Jsonb *row);
extern char *cdc_row_json_cut_column(Jsonb *row);

/* base with the fields that top has; base may be NULL */
extern Jsonb *cdc_row_json_merge(Jsonb *base, Jsonb *top);

#endif							/* CDC_ROW_JSON_H */
