/*
 * result.h
 *		What SPI returned, by the names of its columns.
 */
#ifndef CDC_RESULT_H
#define CDC_RESULT_H

#include "postgres.h"

/* Of row n of SPI_tuptable, from 0 */
extern Datum cdc_result(uint64 n, const char *column, bool *isnull);
extern char *cdc_result_text(uint64 n, const char *column);
extern int64 cdc_result_int8(uint64 n, const char *column, int64 if_null);

#define cdc_result_bool(n, column) (cdc_result_int8(n, column, 0) != 0)

#endif							/* CDC_RESULT_H */
