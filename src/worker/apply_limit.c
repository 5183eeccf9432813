/*
 * apply_limit.c
 *		How long a local transaction of the worker may take, and what interrupts it.
 *
 * Triggers and conflict handlers are code of tables' owners: one that waits would hold up
 * every subscription of the database, and whoever wants a lock that the worker has.  So a
 * transaction has a limit, cdcsync.apply_timeout; pause() and its like interrupt it at once,
 * and the launcher does where a command waits for the lock of a table (give_way.c): it is
 * told of transactions that take longer than a second.
 *
 * Code that catches the cancellation and goes on is cancelled again every second; at last
 * the process ends, which cannot be caught.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "shared/control.h"
#include "worker/apply_limit.h"

#define TICK_MS		1000
#define GRACE_MS	10000		/* in which it may end of its own accord */

static TimeoutId timeout;
static TimestampTz began = 0;
static volatile sig_atomic_t applying = false;
static volatile sig_atomic_t timed_out = false;
static volatile sig_atomic_t interrupted = false;

static void
cancel(void)
{
	QueryCancelPending = true;
	InterruptPending = true;
}

static void
at_tick(void)
{
	int64		ms = (GetCurrentTimestamp() - began) / 1000;

	if (!applying)
		return;
	if (ms >= TICK_MS)
		cdc_control_set_applying(began);
	if (cdc_apply_timeout == 0 || ms < cdc_apply_timeout)
		return;
	timed_out = true;
	cancel();
	if (ms >= (int64) cdc_apply_timeout + GRACE_MS)
		ProcDiePending = true;
}

/*
 * The server's own lock_timeout comes by the same signal, in any transaction of the worker.
 * Any other that comes just before the transaction begins is for that one.
 */
static void
at_interrupt(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (get_timeout_indicator(LOCK_TIMEOUT, false))
		cancel();
	else
	{
		interrupted = true;
		if (applying)
			cancel();
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/* For the worker, once: its SIGINT interrupts the transaction in which changes are applied */
void
cdc_apply_limit_init(void)
{
	timeout = RegisterTimeout(USER_TIMEOUT, at_tick);
	pqsignal(SIGINT, at_interrupt);
}

/* The configuration is about to be read: what was interrupted for its sake need not be any more */
void
cdc_apply_limit_forget(void)
{
	interrupted = false;
}

/* Around one transaction: from here on it is interrupted when it takes too long, or somebody asks for it */
void
cdc_apply_limit_begin(void)
{
	int			tick = cdc_apply_timeout > 0 ? Min(TICK_MS, cdc_apply_timeout) : TICK_MS;

	began = GetCurrentTimestamp();
	timed_out = false;
	applying = true;
	enable_timeout_every(timeout, TimestampTzPlusMilliseconds(began, tick), tick);
	if (interrupted)
		cancel();
}

/* Tells whether it was, and by what; also after an error, of which only this can tell the reason */
CdcCancelled
cdc_apply_limit_end(void)
{
	CdcCancelled cancelled = CDC_NOT_CANCELLED;

	if (!applying)
		return cancelled;
	applying = false;
	disable_timeout(timeout, false);
	if (timed_out)
		cancelled = CDC_TIMED_OUT;
	else if (interrupted)
		cancelled = CDC_INTERRUPTED;
	if (cancelled != CDC_NOT_CANCELLED)
		QueryCancelPending = false;
	timed_out = interrupted = false;
	cdc_control_set_applying(0);
	return cancelled;
}
