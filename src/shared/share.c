/*
 * share.c
 *		Places in shared memory that the databases of the server share.
 *
 * What a database asks for is what topics and tables there are: as many as somebody cares
 * to make.  A fixed share for each would waste most of the room, for nobody knows how many
 * databases will come.  So a database may take a place while it has fewer than three times
 * as many as are free then: one alone gets three quarters, as of replication origins, two
 * greedy ones three sevenths each, and whoever comes always finds some.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "shared/share.h"

#define TIMES_FREE 3

/*
 * The first free place of n, or -1 where there is none for this database.  A place begins
 * with the oid of the database that has it, InvalidOid if it is free; it is of this size.
 * Under the lock of the places.
 */
int
cdc_share_find(const void *places, Size size, int n)
{
	int			first = -1;
	int64		nfree = 0;
	int64		nmine = 0;

	for (int i = 0; i < n; i++)
	{
		Oid			dboid = *(const Oid *) ((const char *) places + size * i);

		if (dboid == MyDatabaseId)
			nmine++;
		if (OidIsValid(dboid))
			continue;
		nfree++;
		if (first < 0)
			first = i;
	}
	return nmine < TIMES_FREE * nfree ? first : -1;
}
