/*
 * control_slot.c
 *		The slots of the workers: found, taken, wanted, woken.
 *
 * One array for all databases of the server, behind one lock: it is taken for moments, by
 * workers once per turn of their loop and by backends at commits that concern them.  What
 * the slots stand for, and who may do what to them, is control.c's.
 */
#include "postgres.h"

#include "base/compat.h"
#include "shared/control_slot.h"

CdcControl *cdc_control = NULL;
LWLock	   *cdc_control_lock = NULL;
CdcOwnSlot	cdc_control_own = {0};

/* Those of a database, one after the other; NULL is before the first and after the last */
CdcSlot *
cdc_control_next_slot(Oid dboid, CdcSlot *slot)
{
	for (slot = slot ? slot + 1 : cdc_control->slots; slot < cdc_control->slots + cdc_control->nslots; slot++)
	{
		if (slot->dboid == dboid)
			return slot;
	}
	return NULL;
}

/* NULL: there is none */
CdcSlot *
cdc_control_find_slot(Oid dboid, int number)
{
	for_slots_of(dboid, slot)
	{
		if (slot->number == number)
			return slot;
	}
	return NULL;
}

static bool
is_free(const CdcSlot *slot)
{
	return !slot->wanted && !slot->registered && slot->pid == 0 && slot->holds == 0;
}

/* The worker's slot, or a free one that becomes it, or NULL */
CdcSlot *
cdc_control_take_slot(Oid dboid, int number)
{
	CdcSlot    *slot = cdc_control_find_slot(dboid, number);

	for (int i = 0; slot == NULL && i < cdc_control->nslots; i++)
	{
		if (is_free(&cdc_control->slots[i]))
		{
			slot = &cdc_control->slots[i];
			memset(slot, 0, sizeof(CdcSlot));
			slot->dboid = dboid;
			slot->number = number;
			slot->generation = ++cdc_control->counter;
		}
	}
	return slot;
}

void
cdc_control_wake_launcher(void)
{
	if (cdc_control->launcher != NULL)
		SetLatch(cdc_control->launcher);
}

/* The worker, or who starts one */
void
cdc_control_wake_slot(CdcSlot *slot)
{
	if (slot->latch != NULL)
		SetLatch(slot->latch);
	else if (slot->wanted)
		cdc_control_wake_launcher();
}

/* It is to have a worker from now on, also again after each exit, until it says that it is finished */
void
cdc_control_want_slot(CdcSlot *slot)
{
	slot->wanted = true;
	cdc_control_wake_slot(slot);
}
