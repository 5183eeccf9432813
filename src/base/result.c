/*
 * result.c
 *		What SPI returned, by the names of its columns.
 *
 * A statement and what reads its result are kept in step by names: a column more in
 * between changes neither.  Looking a name up costs some comparisons, which is nothing
 * beside a statement; what is read once per event (tombstones) goes by number.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/result.h"

/* A column that is not there is of another version of the extension's script than this library's */
static int
number_of(const char *column)
{
	int			number = SPI_fnumber(SPI_tuptable->tupdesc, column);

	if (number == SPI_ERROR_NOATTRIBUTE)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist in the tables of extension cdcsync", column),
				 errdetail("The library is of another version than the extension in this database."),
				 errhint("Run ALTER EXTENSION cdcsync UPDATE.")));
	return number;
}

/* Values passed by reference last as long as SPI_tuptable */
Datum
cdc_result(uint64 n, const char *column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[n], SPI_tuptable->tupdesc, number_of(column), isnull);
}

/* As its type prints it, in CurrentMemoryContext; NULL for NULL */
char *
cdc_result_text(uint64 n, const char *column)
{
	return SPI_getvalue(SPI_tuptable->vals[n], SPI_tuptable->tupdesc, number_of(column));
}

/* Of an integer of any size, an oid or a bool */
int64
cdc_result_int8(uint64 n, const char *column, int64 if_null)
{
	bool		isnull;
	Datum		value = cdc_result(n, column, &isnull);

	if (isnull)
		return if_null;
	switch (SPI_gettypeid(SPI_tuptable->tupdesc, number_of(column)))
	{
		case INT8OID:
			return DatumGetInt64(value);
		case INT4OID:
			return DatumGetInt32(value);
		case BOOLOID:
			return DatumGetBool(value);
		default:
			return DatumGetObjectId(value);
	}
}
