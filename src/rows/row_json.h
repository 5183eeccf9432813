/*
 * row_json.h
 *		Rows for people and for handlers: as JSON objects, and back.
 */
#ifndef CDC_ROW_JSON_H
#define CDC_ROW_JSON_H

#include "utils/jsonb.h"

#include "rows/row.h"

extern Jsonb *cdc_row_to_jsonb(CdcRelation *rel, const CdcRow *row);
extern CdcRow cdc_row_from_jsonb(CdcRelation *rel, Jsonb *object);

/* For the text of a statement on a table: the row r, made of the statement's argument */
#define CDC_ROW_OF_JSON "pg_catalog.jsonb_populate_record(NULL::%s, $1) AS r"

extern char *cdc_row_json_delete_text(const char *name, const CdcKey *key);
extern Jsonb *cdc_row_json_pair(const char *name, const char *value);
extern Jsonb *cdc_row_json_undecodable(const char *name, const char *text);

/*
 * A copy in which long values of a large row stand in part, as {"cut": the beginning,
 * "bytes": the length of the whole}; and the name of the first such column, NULL if none.
 */
extern Jsonb *cdc_row_json_cut(Jsonb *row);
extern char *cdc_row_json_cut_column(Jsonb *row);
extern Jsonb *cdc_row_json_merge(Jsonb *base, Jsonb *top);

#endif							/* CDC_ROW_JSON_H */
