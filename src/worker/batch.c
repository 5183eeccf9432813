/*
 * batch.c
 *		Messages collected up to rows and bytes.
 *
 * The batch ends at its limits, or when nothing more is there at the moment: an idle
 * system applies each change at once, a backlog is applied in large batches.
 *
 * What a large batch gives back is what the next one needs.  Left to itself the C library
 * hands it to the kernel in between, and to have it again, a page fault for each 4 kB,
 * takes an eighth of the time.  So it keeps it, until there is nothing more to do.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "utils/memutils.h"

#include "base/guc.h"
#include "worker/batch.h"
#include "worker/partition.h"

/* More than a batch takes; the largest that the C library accepts for one allocation */
#define KEPT_BYTES		(128 * 1024 * 1024)
#define KEPT_ALLOCATION	(32 * 1024 * 1024)
#define LARGE_BATCH		(1024 * 1024)

MemoryContext cdc_batch_context = NULL;

static CdcMessage **messages = NULL;
static int	nmessages = 0;
static int	capacity = 0;
static Size nbytes = 0;
static bool keeps_memory = false;	/* of large batches */

void
cdc_batch_init(void)
{
	cdc_batch_context = AllocSetContextCreate(TopMemoryContext, "cdcsync batch",
											  ALLOCSET_DEFAULT_SIZES);
#ifdef __GLIBC__
	(void) mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	(void) mallopt(M_MMAP_THRESHOLD, KEPT_ALLOCATION);
#endif
}

/* The message is in cdc_batch_context, and lives until reset */
void
cdc_batch_add(CdcMessage *message)
{
	MemoryContext old = MemoryContextSwitchTo(cdc_batch_context);

	if (nmessages == capacity)
	{
		capacity = capacity ? capacity * 2 : 64;
		messages = messages ? repalloc_huge(messages, sizeof(CdcMessage *) * capacity) :
			palloc(sizeof(CdcMessage *) * capacity);
	}
	messages[nmessages++] = message;
	nbytes += message->key_len + message->value_len;
	MemoryContextSwitchTo(old);
}

/* No more than this goes into one transaction */
bool
cdc_batch_full(void)
{
	return nmessages >= cdc_batch_rows || nbytes >= (Size) cdc_batch_size * 1024;
}

/* A marker stands at the offset it bridges, where no record is */
static int
compare_messages(const void *a, const void *b)
{
	const CdcMessage *x = *(CdcMessage *const *) a;
	const CdcMessage *y = *(CdcMessage *const *) b;

	if (x->owner != y->owner)
		return x->owner->order - y->owner->order;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Partition by partition, in the order of the logs; n of them */
CdcMessage **
cdc_batch_messages(int *n)
{
	qsort(messages, nmessages, sizeof(CdcMessage *), compare_messages);
	*n = nmessages;
	return messages;
}

/* All messages are gone, and what was made of them in the batch's memory */
void
cdc_batch_reset(void)
{
	keeps_memory |= nbytes >= LARGE_BATCH;
	MemoryContextReset(cdc_batch_context);
	messages = NULL;
	nmessages = capacity = 0;
	nbytes = 0;
}

/* Nothing more is to do: give the memory of large batches back */
void
cdc_batch_release_memory(void)
{
	if (!keeps_memory)
		return;
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
	keeps_memory = false;
}
