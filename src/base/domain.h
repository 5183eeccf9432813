/*
 * domain.h
 *		The message domain of cdcsync's own errors.
 *
 * The Makefile includes it before every file.  The server keeps the domain with an
 * error, and no code of a user can raise one with it: so error.c knows which errors,
 * and which hints, are cdcsync's own.
 */
#ifndef CDC_DOMAIN_H
#define CDC_DOMAIN_H

#include "postgres.h"

#undef TEXTDOMAIN
#define TEXTDOMAIN "cdcsync"

#endif							/* CDC_DOMAIN_H */
