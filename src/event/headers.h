/*
 * headers.h
 *		Headers of a Kafka record.
 */
#ifndef CDC_HEADERS_H
#define CDC_HEADERS_H

extern char *cdc_headers_to_json(const char *headers, int length);

#endif							/* CDC_HEADERS_H */
