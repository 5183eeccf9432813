/*
 * printable.h
 *		Text that others wrote, on its way to a terminal or a log.
 */
#ifndef CDC_PRINTABLE_H
#define CDC_PRINTABLE_H

/*
 * A copy in CurrentMemoryContext without control characters, marks that turn the
 * direction of writing, and bytes that are no character: each stands there as its
 * escape, such as \n, \x1B or \u202E.
 */
extern char *cdc_printable(const char *text);

/* The same, but lines stay lines: each after the first begins with a tab, as in the server's log */
extern char *cdc_printable_lines(const char *text);

#endif							/* CDC_PRINTABLE_H */
