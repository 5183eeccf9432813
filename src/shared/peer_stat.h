/*
 * peer_stat.h
 *		What the workers have learned of peers, in shared memory.
 */
#ifndef CDC_PEER_STAT_H
#define CDC_PEER_STAT_H

#include "datatype/timestamp.h"

/* Things that should not be, as the last event that could tell has it */
typedef enum CdcPeerSign
{
	CDC_SIGN_NO_SCHEMA,			/* JSON without schemas, and modes that nobody told */
	CDC_SIGN_TEXT_BYTES,		/* bytea as text: binary.handling.mode is not bytes */
	CDC_SIGN_CONNECT_TIMES,		/* milliseconds for columns that hold more */
	CDC_SIGN_DOUBLE_DECIMALS,	/* binary floating point for numeric columns */
	CDC_SIGN_DEFAULTS,			/* NULL arrives as the column's default */
	CDC_SIGN_NO_BEFORE,			/* updates do not show the row that they replace */
	CDC_SIGN_BLIND_DELETES,		/* deletes do not show the row that they delete */
	CDC_SIGN_TRUNCATES,			/* truncates that this node does not obey */
	CDC_SIGN_TWO_LOGS,			/* events of two databases take turns under one name */
	CDC_SIGN_OWN_NAME,			/* events under this node's name that it did not write */
	CDC_SIGN_OWN_NEWS			/* own changes come back that are not known here */
} CdcPeerSign;

#define CDC_NSIGNS (CDC_SIGN_OWN_NEWS + 1)

/* Room for the texts, with their NUL; longer ones are cut */
#define CDC_PEER_NAME_SIZE		256
#define CDC_PEER_VERSION_SIZE	32

/* A peer and a table of it, as the worker of a subscription sees them */
typedef struct CdcPeerStat
{
	Oid			dboid;			/* InvalidOid: free */
	int			pid;			/* the worker's */
	char		peer[CDC_PEER_NAME_SIZE];
	char		schema[NAMEDATALEN];
	char		table[NAMEDATALEN];
	char		subscription[CDC_PEER_NAME_SIZE];
	char		version[CDC_PEER_VERSION_SIZE];	/* Debezium's */
	char		database[NAMEDATALEN];
	char		missing[NAMEDATALEN];	/* a column that its events do not have, by its name there */
	uint32		signs;
	int64		ahead;			/* µs that the last local change there was ahead of our clock */
	TimestampTz seen_at;
} CdcPeerStat;

/* cdcsync.c: in the hooks of these names */
extern void cdc_peer_stat_shmem_request(void);
extern void cdc_peer_stat_shmem_init(void);

extern bool cdc_peer_stat_put(const CdcPeerStat *stat, int *place);
extern void cdc_peer_stat_forget(void);
extern void cdc_peer_stat_forget_database(Oid dboid);

#endif							/* CDC_PEER_STAT_H */
