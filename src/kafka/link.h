/*
 * link.h
 *		Frames between the apply worker and its consumer process.
 */
#ifndef CDC_LINK_H
#define CDC_LINK_H

#include "lib/stringinfo.h"

#include "consumer/protocol.h"

extern void cdc_link_open(void);
extern bool cdc_link_is_open(void);
extern void cdc_link_close(void);
extern pgsocket cdc_link_socket(void);
extern const char *cdc_link_broken(void);
extern void cdc_link_break(const char *why);

extern void cdc_link_begin(CdcFrameKind kind, uint32 number, uint32 partition);
extern void cdc_link_int32(int32 value);
extern void cdc_link_int64(int64 value);
extern void cdc_link_text(const char *text);
extern void cdc_link_send(void);

extern bool cdc_link_next(CdcFrame *frame, CdcPayload *payload);
extern bool cdc_link_wait(CdcFrameKind kind, CdcFrameKind or_kind, uint32 number, int timeout_ms,
						  CdcFrame *frame, CdcPayload *payload);
extern bool cdc_link_has_frame(void);

#endif							/* CDC_LINK_H */
