/*
 * link.c
 *		Frames between the apply worker and its consumer process.
 *
 * What comes is kept in one buffer, in its order, until it is read.  Who waits for an
 * answer finds it behind messages that came before: it is read out of turn, and marked as
 * read.  Whoever is about to sleep must therefore ask whether there are frames left, for
 * the socket does not say so again.
 *
 * While the worker waits here it takes interrupts: a broker that does not answer holds up
 * neither DROP DATABASE nor the server's end.
 *
 * When the process ends, or says what cannot be understood, the link is broken: nothing is
 * sent or read any more, and the reason is kept until the link is closed.
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/ticks.h"
#include "kafka/link.h"
#include "kafka/process.h"

#define READ_SIZE	(256 * 1024)
#define KEPT	(1024 * 1024)	/* of memory, when all is read */
#define SEND_MS	10000			/* until a process that takes nothing is given up */

static pgsocket sock = PGINVALID_SOCKET;
static char *broken = NULL;		/* why; NULL: it is not */
static uint32 wait_event = 0;

static struct
{
	char	   *data;
	Size		allocated;
	Size		start;			/* what is before it has been read */
	Size		used;
}			in;

static StringInfoData out;		/* the frame that is being made */
static bool latched = false;	/* the latch was set while something else was waited for */

/* Start the process.  Raises an error if that is not possible */
void
cdc_link_open(void)
{
	if (wait_event == 0)
		wait_event = cdc_wait_event_new("CdcsyncKafka");
	if (out.data == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&out);
		MemoryContextSwitchTo(before);
	}
	sock = cdc_process_start();
	ReserveExternalFD();
	in.start = in.used = 0;
}

bool
cdc_link_is_open(void)
{
	return sock != PGINVALID_SOCKET;
}

/* End the process, in bounded time; harmless when there is none.  Raises no error */
void
cdc_link_close(void)
{
	char	   *status;

	if (sock != PGINVALID_SOCKET)
	{
		close(sock);
		ReleaseExternalFD();
	}
	sock = PGINVALID_SOCKET;
	status = cdc_process_end(false);
	if (status)
		pfree(status);
	if (broken)
		pfree(broken);
	broken = NULL;
}

/* Readable when something has come; PGINVALID_SOCKET if it is closed */
pgsocket
cdc_link_socket(void)
{
	return sock;
}

/* Why the link is of no use any more, or NULL */
const char *
cdc_link_broken(void)
{
	return broken;
}

void
cdc_link_break(const char *why)
{
	if (broken == NULL)
		broken = MemoryContextStrdup(TopMemoryContext, why);
}

/* ---- to the process ---- */

static void
append(const void *data, int length)
{
	appendBinaryStringInfoNT(&out, data, length);
}

/* A frame begins; its fields follow, and cdc_link_send */
void
cdc_link_begin(CdcFrameKind kind, uint32 number, uint32 partition)
{
	CdcFrame	header = {.kind = kind,.number = number,.partition = partition};

	resetStringInfo(&out);
	append(&header, sizeof(header));
}

void
cdc_link_int32(int32 value)
{
	append(&value, sizeof(value));
}

void
cdc_link_int64(int64 value)
{
	append(&value, sizeof(value));
}

void
cdc_link_text(const char *text)
{
	int32		length = text ? strlen(text) : -1;

	cdc_link_int32(length);
	if (text)
		append(text, length + 1);
}

/* Wait until the socket can be read (or written), or so long */
static void
wait_for_socket(int event, int64 ms)
{
	int			events = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | event,
										   sock, Max(ms, 0), wait_event);

	if (events & WL_LATCH_SET)
	{
		latched = true;
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Whoever set the latch meanwhile meant the main loop */
static void
restore_latch(void)
{
	if (latched)
		SetLatch(MyLatch);
	latched = false;
}

static void
lost(void)
{
	char	   *status = cdc_process_end(true);

	cdc_link_break(status ? psprintf("the Kafka client has ended: %s", status) : "the Kafka client has ended");
}

/* Send the frame that was made, and wipe it, for it may hold passwords */
void
cdc_link_send(void)
{
	uint32		size = out.len - sizeof(CdcFrame);
	int64		deadline = cdc_ticks_now() + SEND_MS;
	int			sent = 0;

	memcpy(out.data, &size, sizeof(size));
	while (sent < out.len && !broken && sock != PGINVALID_SOCKET)
	{
		ssize_t		n = send(sock, out.data + sent, out.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			sent += n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
		{
			if (cdc_ticks_now() >= deadline)
				cdc_link_break("the Kafka client does not answer");
			wait_for_socket(WL_SOCKET_WRITEABLE, deadline - cdc_ticks_now());
		}
		else if (errno != EINTR)
			lost();
	}
	explicit_bzero(out.data, out.len);
	restore_latch();
}

/* ---- from the process ---- */

static void
make_room(void)
{
	Size		unread = in.used - in.start;

	if (in.data != NULL && in.allocated - in.used >= READ_SIZE / 4)
		return;
	if (in.start > 0)
	{
		memmove(in.data, in.data + in.start, unread);
		in.start = 0;
		in.used = unread;
	}
	if (in.allocated - in.used >= READ_SIZE / 4)
		return;
	if (in.data == NULL)
		in.data = MemoryContextAllocHuge(TopMemoryContext, READ_SIZE);
	else
		in.data = repalloc_huge(in.data, in.allocated * 2);
	in.allocated = Max(in.allocated * 2, READ_SIZE);
}

static void
release_memory(void)
{
	if (in.start < in.used || in.allocated <= KEPT)
		return;
	pfree(in.data);
	memset(&in, 0, sizeof(in));
}

/* Read what has come, without waiting; false if nothing has */
static bool
receive(void)
{
	ssize_t		n;

	if (broken || sock == PGINVALID_SOCKET)
		return false;
	make_room();
	do
		n = recv(sock, in.data + in.used, in.allocated - in.used, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
	{
		in.used += n;
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
		lost();
	return false;
}

/* The frame at this place of the buffer, if it is whole */
static bool
frame_at(Size place, CdcFrame *frame)
{
	if (in.used - place < sizeof(CdcFrame))
		return false;
	memcpy(frame, in.data + place, sizeof(CdcFrame));
	if (frame->size > CDC_FRAME_MAX)
	{
		cdc_link_break("the Kafka client said what cannot be understood");
		return false;
	}
	return in.used - place - sizeof(CdcFrame) >= frame->size;
}

static void
payload_at(Size place, const CdcFrame *frame, CdcPayload *payload)
{
	payload->at = in.data + place + sizeof(CdcFrame);
	payload->left = frame->size;
	payload->bad = false;
}

/*
 * The next frame, or false if there is none now; never waits.  The payload is there until
 * the next call of any function of this file.
 */
bool
cdc_link_next(CdcFrame *frame, CdcPayload *payload)
{
	while (!broken)
	{
		if (!frame_at(in.start, frame))
		{
			release_memory();
			if (!receive())
				return false;
			continue;
		}
		payload_at(in.start, frame, payload);
		in.start += sizeof(CdcFrame) + frame->size;
		if (frame->kind != 0)
			return true;
	}
	return false;
}

static void
mark_as_read(Size place)
{
	CdcFrame	frame;

	memcpy(&frame, in.data + place, sizeof(frame));
	frame.kind = 0;
	memcpy(in.data + place, &frame, sizeof(frame));
}

/* Look for the frame from this place on, which is of unread bytes, and follow it if it moves */
static bool
find_frame(CdcFrameKind kind, CdcFrameKind or_kind, uint32 number, Size *skipped, CdcFrame *frame)
{
	while (frame_at(in.start + *skipped, frame))
	{
		if ((frame->kind == kind || frame->kind == or_kind) && frame->number == number)
			return true;
		*skipped += sizeof(CdcFrame) + frame->size;
	}
	return false;
}

/*
 * Wait for a frame of this kind, or the other, and number; what comes before it stays for
 * cdc_link_next.  False if it does not come in time, or not any more: then the link is broken.
 */
bool
cdc_link_wait(CdcFrameKind kind, CdcFrameKind or_kind, uint32 number, int timeout_ms,
			  CdcFrame *frame, CdcPayload *payload)
{
	int64		deadline = cdc_ticks_now() + timeout_ms;
	Size		skipped = 0;

	while (!find_frame(kind, or_kind, number, &skipped, frame))
	{
		if (receive())
			continue;
		if (!broken && cdc_ticks_now() >= deadline)
			cdc_link_break("the Kafka client does not answer");
		if (broken)
			break;
		wait_for_socket(WL_SOCKET_READABLE, deadline - cdc_ticks_now());
	}
	restore_latch();
	if (broken)
		return false;
	payload_at(in.start + skipped, frame, payload);
	mark_as_read(in.start + skipped);
	return true;
}

/* Whether cdc_link_next has something without looking at the socket */
bool
cdc_link_has_frame(void)
{
	CdcFrame	frame;

	return broken != NULL || (in.used > in.start && frame_at(in.start, &frame));
}
