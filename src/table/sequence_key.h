/*
 * sequence_key.h
 *		Keys that are drawn from a sequence.
 */
#ifndef CDC_SEQUENCE_KEY_H
#define CDC_SEQUENCE_KEY_H

extern void cdc_sequence_key_notice(Oid relid);

#endif							/* CDC_SEQUENCE_KEY_H */
