/*
 * decode_json.h
 *		JSON text -> the two upper levels of its tree, as tokens.
 */
#ifndef CDC_DECODE_JSON_H
#define CDC_DECODE_JSON_H

#include "event/format.h"

extern bool cdc_decode_tree(const char *text, int len, const char *what, CdcTree *tree);
extern CdcToken cdc_decode_token(const char *text, int len);

#endif							/* CDC_DECODE_JSON_H */
