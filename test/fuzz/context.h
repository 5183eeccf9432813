/*
 * context.h
 *		Memory contexts whose chunks are malloc's own, so that AddressSanitizer knows their ends.
 *
 * Included before each file of the extension: what it creates as an AllocSet becomes one of these.
 * A chunk of an AllocSet is a part of a larger block, where an overrun is seen by nobody.  From 16 on
 * a chunk says by a number how it is freed, and there are no numbers left: then it stays an AllocSet.
 */
#ifndef FUZZ_CONTEXT_H
#define FUZZ_CONTEXT_H

#include "postgres.h"
#include "utils/memutils.h"

extern MemoryContext fuzz_context_create(MemoryContext parent, const char *name);

#if PG_VERSION_NUM < 160000
#undef AllocSetContextCreate
#define AllocSetContextCreate(parent, name, ...) fuzz_context_create(parent, name)
#endif

#endif							/* FUZZ_CONTEXT_H */
