/*
 * early.c
 *		AddressSanitizer before all other libraries.
 *
 * A server that was not built with it has it by LD_PRELOAD, and it initializes itself at the first malloc().
 * For libgpg-error that is inside bindtextdomain(), whose lock it would then take once more.
 */
#include <stdlib.h>

static void __attribute__((constructor))
initialize(void)
{
	void	   *volatile memory = malloc(1);

	free(memory);
}
