/*
 * out.h
 *		Frames on their way to the worker.
 */
#ifndef CDC_CONSUMER_OUT_H
#define CDC_CONSUMER_OUT_H

#include "consumer/protocol.h"

extern void out_begin(CdcFrameKind kind, uint32_t number, uint32_t partition);
extern void out_int32(int32_t value);
extern void out_int64(int64_t value);
extern void out_bytes(const void *bytes, size_t length);
extern void out_text(const char *text);
extern void out_open_bytes(void);
extern void out_close_bytes(void);
extern void out_end(void);

extern size_t out_waiting(void);
extern void out_flush(void);

#endif							/* CDC_CONSUMER_OUT_H */
