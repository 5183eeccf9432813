/*
 * pool.h
 *		A set of byte strings that gives each a number.
 */
#ifndef MODEL_POOL_H
#define MODEL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is stored before the bytes of a string */
typedef struct PoolEntry
{
	uint16_t		len;
	uint8_t		mark;			/* free for use; 0 at first */
	uint32_t		note;			/* likewise */
} PoolEntry;

typedef struct Pool
{
	char	  **blocks;
	int			nblocks;
	uint32_t		used;			/* of the last block */
	uint32_t		count;
	uint64_t	   *slots;			/* open addressing: hash in the upper half, number + 1 */
	uint32_t		nslots;			/* a power of two */
} Pool;

extern void pool_init(Pool *pool);
extern void pool_free(Pool *pool);

/* The number of a string, which is added if it is new; out of memory ends the program */
extern uint32_t pool_add(Pool *pool, const void *data, int len, bool *added);

/* Stay where they are as long as the pool lives */
extern PoolEntry *pool_entry(const Pool *pool, uint32_t number);
extern const void *pool_data(const Pool *pool, uint32_t number);

extern size_t pool_size(const Pool *pool);

/* As the C library's, but they end the program when there is no memory */
extern void *xcalloc(size_t n, size_t size);
extern void *xrealloc(void *old, size_t size);

#endif							/* MODEL_POOL_H */
