/*
 * full_disk.c
 *		A disk without room, for one directory: preloaded into a test's server.
 *
 * While the file $FULL_DISK/full exists, nothing below $FULL_DISK/space grows: what would
 * write behind the end of a file there fails with ENOSPC.  While $FULL_DISK/room exists,
 * every disk says that it has room for as many bytes as that file has.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

static int
is_below(int fd, const char *dir)
{
	char		link[64];
	char		path[PATH_MAX];
	ssize_t		len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return 0;
	path[len] = '\0';
	return strncmp(path, dir, strlen(dir)) == 0;
}

static int
is_full(int fd, off_t end)
{
	const char *disk = getenv("FULL_DISK");
	char		flag[PATH_MAX];
	char		space[PATH_MAX];
	struct stat st;

	if (disk == NULL)
		return 0;
	snprintf(flag, sizeof(flag), "%s/full", disk);
	snprintf(space, sizeof(space), "%s/space", disk);
	return access(flag, F_OK) == 0 && is_below(fd, space) && fstat(fd, &st) == 0 &&
		end > st.st_size;
}

/* false: nobody asked */
static int
get_room(struct stat *st)
{
	const char *disk = getenv("FULL_DISK");
	char		file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/room", disk ? disk : "");
	return disk != NULL && stat(file, st) == 0;
}

static void *
next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static ssize_t
write_at(const char *name, int fd, const void *data, size_t size, off_t offset)
{
	ssize_t		(*real) (int, const void *, size_t, off_t) = next(name);

	if (is_full(fd, offset + size))
	{
		errno = ENOSPC;
		return -1;
	}
	return real(fd, data, size, offset);
}

static ssize_t
writev_at(const char *name, int fd, const struct iovec *iov, int n, off_t offset)
{
	ssize_t		(*real) (int, const struct iovec *, int, off_t) = next(name);

	if (is_full(fd, offset + 1))
	{
		errno = ENOSPC;
		return -1;
	}
	return real(fd, iov, n, offset);
}

static int
allocate(const char *name, int fd, off_t offset, off_t len)
{
	int			(*real) (int, off_t, off_t) = next(name);

	return is_full(fd, offset + len) ? ENOSPC : real(fd, offset, len);
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return write_at("pwrite", fd, data, size, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	return write_at("pwrite64", fd, data, size, offset);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	return writev_at("pwritev", fd, iov, n, offset);
}

ssize_t
pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	return writev_at("pwritev64", fd, iov, n, offset);
}

int
posix_fallocate(int fd, off_t offset, off_t len)
{
	return allocate("posix_fallocate", fd, offset, len);
}

int
posix_fallocate64(int fd, off64_t offset, off64_t len)
{
	return allocate("posix_fallocate64", fd, offset, len);
}

int
statvfs(const char *path, struct statvfs *fs)
{
	int			(*real) (const char *, struct statvfs *) = next("statvfs");
	int			rc = real(path, fs);
	struct stat room;

	if (rc == 0 && get_room(&room))
	{
		fs->f_bavail = room.st_size;
		fs->f_frsize = 1;
	}
	return rc;
}
