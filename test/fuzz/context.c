/*
 * context.c
 *		Memory contexts whose chunks are malloc's own, so that AddressSanitizer knows their ends.
 */
#include "context.h"

#if PG_VERSION_NUM < 160000

#include "lib/ilist.h"
#include "nodes/memnodes.h"

#include <sanitizer/asan_interface.h>

typedef struct FuzzContext
{
	MemoryContextData header;
	dlist_head	chunks;
} FuzzContext;

/* What stands before a chunk; its last word is where the server looks for a chunk's context */
typedef struct FuzzChunk
{
	dlist_node	node;
	Size		size;
	MemoryContext context;
} FuzzChunk;

StaticAssertDecl(sizeof(FuzzChunk) == MAXALIGN(sizeof(FuzzChunk)), "chunks are aligned");

#define chunk_of(pointer) ((FuzzChunk *) (pointer) - 1)
#define chunks_of(context) (&((FuzzContext *) (context))->chunks)

static void *context_alloc(MemoryContext context, Size size);
static void context_free(MemoryContext context, void *pointer);
static void *context_realloc(MemoryContext context, void *pointer, Size size);
static void context_reset(MemoryContext context);
static void context_delete(MemoryContext context);
static Size context_chunk_space(MemoryContext context, void *pointer);
static bool context_is_empty(MemoryContext context);
static void context_stats(MemoryContext context, MemoryStatsPrintFunc print, void *passthru,
						  MemoryContextCounters *totals, bool print_to_stderr);
static void unpoison_header(FuzzChunk *chunk);
static void poison_header(FuzzChunk *chunk);

static const MemoryContextMethods methods = {
	.alloc = context_alloc,
	.free_p = context_free,
	.realloc = context_realloc,
	.reset = context_reset,
	.delete_context = context_delete,
	.get_chunk_space = context_chunk_space,
	.is_empty = context_is_empty,
	.stats = context_stats
};

MemoryContext
fuzz_context_create(MemoryContext parent, const char *name)
{
	FuzzContext *context = malloc(sizeof(FuzzContext));

	if (context == NULL)
		elog(FATAL, "out of memory");
	memset(context, 0, sizeof(FuzzContext));
	dlist_init(&context->chunks);
	/* the server knows no other tags */
	MemoryContextCreate((MemoryContext) context, T_AllocSetContext, &methods, parent, name);
	return (MemoryContext) context;
}

static void *
context_alloc(MemoryContext context, Size size)
{
	FuzzChunk  *chunk = malloc(sizeof(FuzzChunk) + size);

	if (chunk == NULL)
		return NULL;
	chunk->size = size;
	chunk->context = context;
	dlist_push_head(chunks_of(context), &chunk->node);
	context->mem_allocated += size;
	poison_header(chunk);
	return chunk + 1;
}

static void
context_free(MemoryContext context, void *pointer)
{
	FuzzChunk  *chunk = chunk_of(pointer);

	unpoison_header(chunk);
	dlist_delete(&chunk->node);
	context->mem_allocated -= chunk->size;
	free(chunk);
}

/* It always moves: a pointer that was not renewed is found out */
static void *
context_realloc(MemoryContext context, void *pointer, Size size)
{
	void	   *moved = context_alloc(context, size);

	if (moved == NULL)
		return NULL;
	memcpy(moved, pointer, Min(size, context_chunk_space(context, pointer)));
	context_free(context, pointer);
	return moved;
}

static void
context_reset(MemoryContext context)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, chunks_of(context))
		context_free(context, dlist_container(FuzzChunk, node, iter.cur) + 1);
}

static void
context_delete(MemoryContext context)
{
	context_reset(context);
	free(context);
}

static Size
context_chunk_space(MemoryContext context, void *pointer)
{
	FuzzChunk  *chunk = chunk_of(pointer);
	Size		size;

	unpoison_header(chunk);
	size = chunk->size;
	poison_header(chunk);
	return size;
}

static bool
context_is_empty(MemoryContext context)
{
	return dlist_is_empty(chunks_of(context));
}

static void
context_stats(MemoryContext context, MemoryStatsPrintFunc print, void *passthru,
			  MemoryContextCounters *totals, bool print_to_stderr)
{
	if (totals != NULL)
		totals->totalspace += context->mem_allocated;
}

/* The list's links are written by the neighbours: only what is after them is poisoned */
static void
poison_header(FuzzChunk *chunk)
{
	ASAN_POISON_MEMORY_REGION(&chunk->size, sizeof(FuzzChunk) - offsetof(FuzzChunk, size));
}

static void
unpoison_header(FuzzChunk *chunk)
{
	ASAN_UNPOISON_MEMORY_REGION(&chunk->size, sizeof(FuzzChunk) - offsetof(FuzzChunk, size));
}

#else							/* PG_VERSION_NUM */

MemoryContext
fuzz_context_create(MemoryContext parent, const char *name)
{
	return AllocSetContextCreateInternal(parent, name, ALLOCSET_DEFAULT_SIZES);
}

#endif
