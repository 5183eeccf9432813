/*
 * pool.c
 *		A set of byte strings that gives each a number.
 *
 * A number is the place of the string, in units of 8 bytes, in memory that grows by
 * blocks: so nothing is kept per string but its bytes, a header and a slot of the hash
 * table.  A slot holds half of the hash, so that strings are hardly ever compared in
 * vain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

#define UNIT			8
#define BLOCK_UNITS		(1 << 17)	/* 1 MB */
#define FIRST_SLOTS		(1 << 10)

static uint64_t hash_bytes(const char *data, int len);
static uint32_t add_string(Pool *pool, const void *data, int len);
static void grow(Pool *pool);

void
pool_init(Pool *pool)
{
	*pool = (Pool){.nslots = FIRST_SLOTS, .used = BLOCK_UNITS};
	pool->slots = xcalloc(pool->nslots, sizeof(uint64_t));
}

void
pool_free(Pool *pool)
{
	for (int i = 0; i < pool->nblocks; i++)
		free(pool->blocks[i]);
	free(pool->blocks);
	free(pool->slots);
}

uint32_t
pool_add(Pool *pool, const void *data, int len, bool *added)
{
	uint64_t		hash = hash_bytes(data, len);
	uint32_t		at;
	uint64_t		slot;

	if (pool->count >= pool->nslots / 4 * 3)
		grow(pool);
	for (at = hash & (pool->nslots - 1); (slot = pool->slots[at]) != 0;
		 at = (at + 1) & (pool->nslots - 1))
	{
		uint32_t		number = (uint32_t) slot - 1;

		if ((slot ^ hash) >> 32 == 0 && pool_entry(pool, number)->len == len &&
			memcmp(pool_data(pool, number), data, len) == 0)
		{
			*added = false;
			return number;
		}
	}
	*added = true;
	slot = add_string(pool, data, len);
	pool->slots[at] = (hash >> 32 << 32) | (slot + 1);
	return slot;
}

PoolEntry *
pool_entry(const Pool *pool, uint32_t number)
{
	return (PoolEntry *) (pool->blocks[number / BLOCK_UNITS] +
						  (size_t) (number % BLOCK_UNITS) * UNIT);
}

const void *
pool_data(const Pool *pool, uint32_t number)
{
	return pool_entry(pool, number) + 1;
}

size_t
pool_size(const Pool *pool)
{
	return (size_t) pool->nblocks * BLOCK_UNITS * UNIT + (size_t) pool->nslots * sizeof(uint64_t);
}

static uint32_t
add_string(Pool *pool, const void *data, int len)
{
	uint32_t		units = (sizeof(PoolEntry) + len + UNIT - 1) / UNIT;
	uint32_t		number;
	PoolEntry  *entry;

	if (pool->used + units > BLOCK_UNITS)
	{
		pool->blocks = xrealloc(pool->blocks, sizeof(char *) * (pool->nblocks + 1));
		pool->blocks[pool->nblocks++] = xcalloc(BLOCK_UNITS, UNIT);
		pool->used = 0;
	}
	number = (pool->nblocks - 1) * BLOCK_UNITS + pool->used;
	pool->used += units;
	pool->count++;
	entry = pool_entry(pool, number);
	entry->len = len;
	memcpy(entry + 1, data, len);
	return number;
}

/* The lower half of a hash is not stored, so all hashes are made anew */
static void
grow(Pool *pool)
{
	uint64_t	   *old = pool->slots;
	uint32_t		nold = pool->nslots;

	pool->nslots *= 2;
	pool->slots = xcalloc(pool->nslots, sizeof(uint64_t));
	for (uint32_t i = 0; i < nold; i++)
	{
		uint32_t		number = (uint32_t) old[i] - 1;
		uint32_t		at;

		if (old[i] == 0)
			continue;
		at = hash_bytes(pool_data(pool, number), pool_entry(pool, number)->len) &
			(pool->nslots - 1);
		while (pool->slots[at] != 0)
			at = (at + 1) & (pool->nslots - 1);
		pool->slots[at] = old[i];
	}
	free(old);
}

/* A multiplication per word and a good mix at the end (MurmurHash3's finalizer) */
static uint64_t
hash_bytes(const char *data, int len)
{
	uint64_t		hash = len;
	uint64_t		word;

	for (; len > 0; data += sizeof(word), len -= sizeof(word))
	{
		word = 0;
		memcpy(&word, data, len < (int) sizeof(word) ? (size_t) len : sizeof(word));
		hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
		hash ^= hash >> 32;
	}
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);
	return hash ^ (hash >> 33);
}

void *
xcalloc(size_t n, size_t size)
{
	void	   *memory = calloc(n, size);

	if (memory == NULL)
	{
		fprintf(stderr, "model: out of memory\n");
		exit(2);
	}
	return memory;
}

void *
xrealloc(void *old, size_t size)
{
	void	   *memory = realloc(old, size);

	if (memory == NULL)
	{
		fprintf(stderr, "model: out of memory\n");
		exit(2);
	}
	return memory;
}
