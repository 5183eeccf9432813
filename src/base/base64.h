/*
 * base64.h
 *		base64 -> bytes.
 */
#ifndef CDC_BASE64_H
#define CDC_BASE64_H

extern char *cdc_base64(const char *text, int len, bool url_safe, int reserve, int *nbytes);

#endif							/* CDC_BASE64_H */
