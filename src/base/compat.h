/*
 * compat.h
 *		The newest server API, emulated on older majors.
 *
 * The only file that looks at PG_VERSION_NUM.  Code elsewhere is written for the
 * newest supported server.
 */
#ifndef CDC_COMPAT_H
#define CDC_COMPAT_H

#include "access/xlogdefs.h"
#include "common/jsonapi.h"
#include "utils/jsonb.h"

#if PG_VERSION_NUM < 150000
#error "cdcsync needs PostgreSQL 15 or later"
#endif

/* 17: makeJsonLexContextCstringLen() can fill a context of the caller */
#if PG_VERSION_NUM < 170000
#define cdc_json_lex_make(json, len, encoding, escapes) \
	makeJsonLexContextCstringLen(unconstify(char *, (json)), (len), (encoding), (escapes))
#else
#define cdc_json_lex_make(json, len, encoding, escapes) \
	makeJsonLexContextCstringLen(NULL, (json), (len), (encoding), (escapes))
#endif

/* 16: JsonParseErrorType for semantic actions instead of void */
#if PG_VERSION_NUM < 160000
typedef void CdcJsonActionResult;
#define CDC_JSON_ACTION_RETURN	return
#else
typedef JsonParseErrorType CdcJsonActionResult;
#define CDC_JSON_ACTION_RETURN	return JSON_SUCCESS
#endif

/* 16, and late in 15: arrays of a type that the server knows by heart */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_type.h"
#include "utils/array.h"
#define deconstruct_array_builtin(array, type, values, nulls, n) \
	(AssertMacro((type) == TEXTOID), \
	 deconstruct_array((array), TEXTOID, -1, false, TYPALIGN_INT, (values), (nulls), (n)))
#endif

/*
 * 15.4: a database whose drop was interrupted is marked.  Asked without the function of
 * that release, for a library that was built there may meet an older server.
 */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB -2
#endif

/* 16: ownership and privilege checks by class */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "utils/acl.h"
#define object_ownercheck(classid, objectid, roleid) \
	(AssertMacro((classid) == RelationRelationId), pg_class_ownercheck((objectid), (roleid)))
#define object_aclcheck(classid, objectid, roleid, mode) \
	(AssertMacro((classid) == ProcedureRelationId), pg_proc_aclcheck((objectid), (roleid), (mode)))
#endif

/* 16: what a check hook hands over comes from guc_malloc() */
#if PG_VERSION_NUM < 160000
#define guc_malloc(elevel, size) malloc(size)
#endif

/* 17: named wait events of extensions; before, all are "Extension" */
#if PG_VERSION_NUM < 170000
#define cdc_wait_event_new(name) PG_WAIT_EXTENSION
#else
#include "utils/wait_event.h"
#define cdc_wait_event_new(name) WaitEventExtensionNew(name)
#endif

/* 16: an update may concern indexes that only summarize, such as BRIN's */
#if PG_VERSION_NUM < 160000
typedef bool TU_UpdateIndexes;
#define cdc_updates_indexes(which) (which)
#define cdc_updates_summarizing(which) false
#else
#define cdc_updates_indexes(which) ((which) != TU_None)
#define cdc_updates_summarizing(which) ((which) == TU_Summarizing)
#endif

/* 16: which the insertion is told; 19: by flags */
#if PG_VERSION_NUM < 160000
#define ExecInsertIndexTuples_compat(result, slot, estate, update, nodup, conflict, arbiters, summarizing) \
	ExecInsertIndexTuples((result), (slot), (estate), (update), (nodup), (conflict), (arbiters))
#elif PG_VERSION_NUM < 190000
#define ExecInsertIndexTuples_compat(result, slot, estate, update, nodup, conflict, arbiters, summarizing) \
	ExecInsertIndexTuples((result), (slot), (estate), (update), (nodup), (conflict), (arbiters), (summarizing))
#else
#define ExecInsertIndexTuples_compat(result, slot, estate, update, nodup, conflict, arbiters, summarizing) \
	ExecInsertIndexTuples((result), (estate), \
						  ((update) ? EIIT_IS_UPDATE : 0) | ((nodup) ? EIIT_NO_DUPE_ERROR : 0) | \
						  ((summarizing) ? EIIT_ONLY_SUMMARIZING : 0), \
						  (slot), (arbiters), (conflict))
#endif

/* 18: index scans count for EXPLAIN; 19: and take flags */
#if PG_VERSION_NUM < 180000
#define index_beginscan_compat(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan((heap), (index), (snapshot), (nkeys), (norderbys))
#elif PG_VERSION_NUM < 190000
#define index_beginscan_compat(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), (norderbys))
#else
#define index_beginscan_compat(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), (norderbys), SO_NONE)
#endif

/* 16: an origin may be shared by naming the process that acquired it */
#if PG_VERSION_NUM < 160000
#define replorigin_session_setup_compat(node) replorigin_session_setup(node)
#else
#define replorigin_session_setup_compat(node) replorigin_session_setup((node), 0)
#endif

/* 18: pg_noreturn stands before the declaration, and pg_attribute_noreturn() is no more */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* 18: a publication decides about generated columns; before, none was published, nor missed */
#if PG_VERSION_NUM < 180000
#define ATTRIBUTE_GENERATED_VIRTUAL 'v'
#define CDC_PUBLISH_GENERATED	""
#define cdc_publishes_generated(publication) true
#else
#define CDC_PUBLISH_GENERATED	"publish_generated_columns = stored"
#define cdc_publishes_generated(publication) \
	((publication)->pubgencols_type == PUBLISH_GENCOLS_STORED)
#endif

/* 18: origins have a setting of their own, before they had as many places as slots */
#if PG_VERSION_NUM < 180000
#define max_active_replication_origins_compat max_replication_slots
#else
#define max_active_replication_origins_compat max_active_replication_origins
#endif

/* 19: the origin of a transaction is one struct, and the type of its id is spelled out */
#if PG_VERSION_NUM < 190000
typedef RepOriginId ReplOriginId;
#define InvalidReplOriginId			InvalidRepOriginId
#define cdc_xact_origin				replorigin_session_origin
#define cdc_xact_origin_lsn			replorigin_session_origin_lsn
#define cdc_xact_origin_timestamp	replorigin_session_origin_timestamp
#else
#define cdc_xact_origin				replorigin_xact_state.origin
#define cdc_xact_origin_lsn			replorigin_xact_state.origin_lsn
#define cdc_xact_origin_timestamp	replorigin_xact_state.origin_timestamp
#endif

/* 19: jsonb that is being built has its result in the state */
#if PG_VERSION_NUM < 190000
typedef struct JsonbInState
{
	JsonbParseState *parseState;
	JsonbValue *result;
} JsonbInState;
#define pushJsonbValue(state, token, value) \
	((state)->result = (pushJsonbValue) (&(state)->parseState, (token), (value)))
#endif

/* 19: single rows are written with options */
#if PG_VERSION_NUM < 190000
#define table_tuple_update_compat(rel, tid, slot, cid, snapshot, crosscheck, wait, failure, lockmode, indexes) \
	table_tuple_update((rel), (tid), (slot), (cid), (snapshot), (crosscheck), (wait), (failure), (lockmode), (indexes))
#define table_tuple_delete_compat(rel, tid, cid, snapshot, crosscheck, wait, failure) \
	table_tuple_delete((rel), (tid), (cid), (snapshot), (crosscheck), (wait), (failure), false)
#else
#define table_tuple_update_compat(rel, tid, slot, cid, snapshot, crosscheck, wait, failure, lockmode, indexes) \
	table_tuple_update((rel), (tid), (slot), (cid), 0, (snapshot), (crosscheck), (wait), (failure), \
					   (lockmode), (indexes))
#define table_tuple_delete_compat(rel, tid, cid, snapshot, crosscheck, wait, failure) \
	table_tuple_delete((rel), (tid), (cid), 0, (snapshot), (crosscheck), (wait), (failure))
#endif

/* 19: pruning may set the visibility map, and hands over the pin of its page */
#if PG_VERSION_NUM < 190000
#define heap_page_prune_opt_compat(rel, buffer) heap_page_prune_opt((rel), (buffer))
#else
#define heap_page_prune_opt_compat(rel, buffer) \
	do { \
		Buffer		map_buffer = InvalidBuffer; \
		heap_page_prune_opt((rel), (buffer), &map_buffer, false); \
		if (BufferIsValid(map_buffer)) \
			ReleaseBuffer(map_buffer); \
	} while (0)
#endif

/* 19: a descriptor that is built by hand is finished so */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc) ((void) 0)
#endif

/* 19: falling through is said by the compiler's own word */
#if PG_VERSION_NUM < 190000
#define pg_fallthrough __attribute__((fallthrough))
#endif

/* 18: NOT NULL may be NOT VALID, so that there can be NULLs; i counts from 0 */
#if PG_VERSION_NUM < 180000
#define cdc_attribute_is_not_null(desc, i) (TupleDescAttr((desc), (i))->attnotnull)
#else
#define cdc_attribute_is_not_null(desc, i) \
	(TupleDescAttr((desc), (i))->attnotnull && \
	 TupleDescCompactAttr((desc), (i))->attnullability != ATTNULLABLE_INVALID)
#endif

#endif							/* CDC_COMPAT_H */
