/*
 * out.c
 *		Frames on their way to the worker.
 *
 * A frame is made in place, at the end of what waits to be written, and its size is put
 * into its header when it is whole.  Nothing here waits: what the socket does not take now
 * is written when poll says so, and who makes messages of Kafka stops while much waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "consumer/out.h"

#define KEPT	(1024 * 1024)	/* of memory, when nothing waits */

static struct
{
	char	   *data;
	size_t		allocated;
	size_t		start;			/* what is before it has been written */
	size_t		used;
	size_t		frame;			/* where the frame that is being made begins */
	size_t		opened;			/* likewise, a text of texts */
}			out;

static void
reserve(size_t more)
{
	size_t		size = out.allocated > 0 ? out.allocated : 64 * 1024;

	if (out.start > 0 && out.used + more > out.allocated)
	{
		memmove(out.data, out.data + out.start, out.used - out.start);
		out.frame -= out.start;
		out.opened -= out.start;
		out.used -= out.start;
		out.start = 0;
	}
	while (size < out.used + more)
		size *= 2;
	if (size == out.allocated)
		return;
	out.data = realloc(out.data, size);
	if (out.data == NULL)
		_exit(1);				/* the worker sees that it ended, and starts another */
	out.allocated = size;
}

static void
append(const void *bytes, size_t length)
{
	reserve(length);
	if (length > 0)
		memcpy(out.data + out.used, bytes, length);
	out.used += length;
}

/* A frame begins; its fields follow, and out_end */
void
out_begin(CdcFrameKind kind, uint32_t number, uint32_t partition)
{
	CdcFrame	header = {.kind = kind,.number = number,.partition = partition};

	reserve(sizeof(header));
	out.frame = out.used;
	append(&header, sizeof(header));
}

void
out_int32(int32_t value)
{
	append(&value, sizeof(value));
}

void
out_int64(int64_t value)
{
	append(&value, sizeof(value));
}

/* A text of this length; NULL is one, too */
void
out_bytes(const void *bytes, size_t length)
{
	out_int32(bytes != NULL ? (int32_t) length : -1);
	if (bytes == NULL)
		return;
	append(bytes, length);
	append("", 1);
}

void
out_text(const char *text)
{
	out_bytes(text, text != NULL ? strlen(text) : 0);
}

/* Fields up to out_close_bytes are together one text */
void
out_open_bytes(void)
{
	reserve(sizeof(int32_t));
	out.opened = out.used;
	out_int32(0);
}

void
out_close_bytes(void)
{
	int32_t		length = (int32_t) (out.used - out.opened - sizeof(int32_t));

	memcpy(out.data + out.opened, &length, sizeof(length));
	append("", 1);
}

void
out_end(void)
{
	uint32_t	size = (uint32_t) (out.used - out.frame - sizeof(CdcFrame));

	memcpy(out.data + out.frame, &size, sizeof(size));
}

/* Bytes that the socket has not taken yet */
size_t
out_waiting(void)
{
	return out.used - out.start;
}

/* Write what the socket takes; who has no worker any more ends */
void
out_flush(void)
{
	while (out.start < out.used)
	{
		ssize_t		written = send(CDC_CONSUMER_FD, out.data + out.start, out.used - out.start,
								   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (written >= 0)
			out.start += (size_t) written;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			_exit(0);
	}
	out.start = out.used = 0;
	if (out.allocated > KEPT)
	{
		free(out.data);
		out.data = NULL;
		out.allocated = 0;
	}
}
