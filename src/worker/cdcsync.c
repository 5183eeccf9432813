/*
 * cdcsync.c
 *		Entry point of the library.
 *
 * What runs needs shared memory and so must be preloaded.  Without that the library
 * still loads: what only computes works, all else says what is missing.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "base/guc.h"
#include "kafka/process.h"
#include "shared/control.h"
#include "shared/peer_stat.h"
#include "shared/stat.h"
#include "table/writing.h"
#include "worker/launcher.h"
#include "worker/utility.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static void
request_shmem(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	cdc_control_shmem_request();
	cdc_stat_shmem_request();
	cdc_peer_stat_shmem_request();
}

static void
startup_shmem(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	cdc_control_shmem_init();
	cdc_stat_shmem_init();
	cdc_peer_stat_shmem_init();
	LWLockRelease(AddinShmemInitLock);
}

void
_PG_init(void)
{
	cdc_guc_define();
	cdc_writing_hook();
	if (!process_shared_preload_libraries_in_progress)
		return;

	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
	cdc_utility_hook();
	cdc_process_init();
	/* pg_upgrade must find the databases as they were */
	if (!IsBinaryUpgrade)
		cdc_launcher_register();
}
