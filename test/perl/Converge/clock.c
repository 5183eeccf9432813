/*
 * clock.c
 *		A wall clock that is off: preloaded into a server, it adds the microseconds that
 *		stand in the file CDC_CLOCK_FILE, an int64.
 *
 * The file is mapped: all processes see a change at once, however they were forked, and
 * signal handlers may ask for the time, too.  What the C library itself waits for is not
 * shifted.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define USECS_PER_SEC	1000000
#define NSECS_PER_SEC	1000000000

static int	(*real_clock_gettime) (clockid_t, struct timespec *);
static const volatile int64_t *offset;

static void find_real(void);
static void map_offset(void);
static void shift(struct timespec *now);

__attribute__((constructor))
static void
start(void)
{
	find_real();
	map_offset();
}

static void
find_real(void)
{
	*(void **) &real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

static void
map_offset(void)
{
	const char *path = getenv("CDC_CLOCK_FILE");
	int			fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void	   *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		offset = map;
}

static void
shift(struct timespec *now)
{
	int64_t		by = offset ? *offset : 0;
	int64_t		nsec = now->tv_nsec + by % USECS_PER_SEC * 1000;

	now->tv_sec += by / USECS_PER_SEC;
	if (nsec < 0)
		now->tv_sec--, nsec += NSECS_PER_SEC;
	if (nsec >= NSECS_PER_SEC)
		now->tv_sec++, nsec -= NSECS_PER_SEC;
	now->tv_nsec = nsec;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result;

	if (real_clock_gettime == NULL)
		find_real();			/* asked by another library that starts before this one */
	result = real_clock_gettime(clock, now);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		shift(now);
	return result;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec now;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	tv->tv_sec = now.tv_sec;
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec now = {0};

	(void) clock_gettime(CLOCK_REALTIME, &now);
	if (result)
		*result = now.tv_sec;
	return now.tv_sec;
}
