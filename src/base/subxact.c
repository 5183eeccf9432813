/*
 * subxact.c
 *		Work that may fail, in a subtransaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/subxact.h"

/*
 * Do some work in a subtransaction.  An error that is tolerated undoes it: then the
 * result is a copy of the error in CurrentMemoryContext, to be freed by FreeErrorData;
 * NULL if all went well.  Other errors pass.
 */
ErrorData *
cdc_subxact_attempt(void (*work) (void *arg), void *arg,
					bool (*tolerated) (const ErrorData *error))
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		/* also if it goes on: a caller's transaction must not stand in this one */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!tolerated(error))
			ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Those of constraints */
bool
cdc_subxact_is_constraint(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION;
}
