/*
 * printable.h
 *		Text that others wrote, on its way to a terminal or a log.
 */
#ifndef CDC_PRINTABLE_H
#define CDC_PRINTABLE_H

extern char *cdc_printable(const char *text);
extern char *cdc_printable_lines(const char *text);
extern char *cdc_excerpt(const char *text, int len);

#endif							/* CDC_PRINTABLE_H */
