/*
 * main.c
 *		cdcsync-consumer: the Kafka client of an apply worker, in a process of its own.
 *
 * A fault of the client or of what it links ends this process, and the worker starts
 * another; in the server's process it would end the server.  It has no shared memory and no
 * file of the server: its whole world is the socket that the worker gave it, by which it
 * gets its configuration, passwords included, and its tasks.
 *
 * It ends when the worker does, in whatever way that ends: its end of the socket is closed
 * then, and the kernel sends SIGTERM.  It ends with exit code 0, for where the postmaster
 * is the first process of a container it gets the children of children, and takes one that
 * died by a signal for one of its own that crashed.  Signals that the server sends to the
 * worker's process group mean the worker.
 *
 * One thread, this one, reads the socket, asks the client, and writes; the library's
 * threads are the library's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "consumer/client.h"
#include "consumer/out.h"
#include "consumer/query.h"

#define ROOM	(256 * 1024)	/* bytes that may wait for the worker; then no more is taken from Kafka */
#define OOM_SCORE	"500"

/* What has come and is not a whole frame yet */
static struct
{
	char	   *data;
	size_t		allocated;
	size_t		used;
}			in;

static void
end(int signal)
{
	_exit(0);
}

static void
set_signals(void)
{
	signal(SIGTERM, end);
	signal(SIGQUIT, end);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

/* Should memory be short, this process is the one to go: a worker that goes restarts the server */
static void
volunteer(void)
{
	int			fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, OOM_SCORE, sizeof(OOM_SCORE) - 1) < 0)
		errno = 0;				/* not permitted: then as the server */
	close(fd);
}

static void
carry_out(const CdcFrame *frame, const char *bytes)
{
	CdcPayload	payload = {.at = bytes,.left = frame->size};

	switch (frame->kind)
	{
		case CDC_FRAME_CONFIG:
			client_open(&payload);
			break;
		case CDC_FRAME_ASSIGN:
			client_assign(frame->partition, frame->number, &payload);
			break;
		case CDC_FRAME_UNASSIGN:
			client_unassign(frame->partition, frame->number);
			break;
		case CDC_FRAME_TOPICS:
			query_topics(frame->number, &payload);
			break;
		case CDC_FRAME_OFFSETS:
			query_offsets(frame->number, &payload);
			break;
		case CDC_FRAME_RETENTION:
			query_retention(frame->number, &payload);
			break;
		default:
			_exit(1);
	}
}

/* Carry out what is whole of it, and wipe that: a configuration holds passwords */
static void
carry_out_all(void)
{
	size_t		done = 0;
	CdcFrame	frame;

	while (in.used - done >= sizeof(frame))
	{
		memcpy(&frame, in.data + done, sizeof(frame));
		if (frame.size > CDC_FRAME_MAX)
			_exit(1);
		if (in.used - done - sizeof(frame) < frame.size)
			break;
		carry_out(&frame, in.data + done + sizeof(frame));
		explicit_bzero(in.data + done, sizeof(frame) + frame.size);
		done += sizeof(frame) + frame.size;
	}
	if (done == 0)
		return;
	in.used -= done;
	memmove(in.data, in.data + done, in.used);
}

static void
read_socket(void)
{
	ssize_t		nread;

	if (in.used == in.allocated)
	{
		char	   *larger = malloc(in.allocated * 2 + 64 * 1024);

		if (larger == NULL)
			_exit(1);
		if (in.used > 0)
		{
			memcpy(larger, in.data, in.used);
			explicit_bzero(in.data, in.used);
		}
		free(in.data);
		in.data = larger;
		in.allocated = in.allocated * 2 + 64 * 1024;
	}
	nread = recv(CDC_CONSUMER_FD, in.data + in.used, in.allocated - in.used, MSG_DONTWAIT);
	if (nread > 0)
		in.used += (size_t) nread;
	else if (nread == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
		_exit(0);
}

static void
run(void)
{
	bool		more = false;	/* to be taken from Kafka, as soon as there is room */

	for (;;)
	{
		struct pollfd fds[2] = {
			{.fd = CDC_CONSUMER_FD,.events = (short) (POLLIN | (out_waiting() > 0 ? POLLOUT : 0))},
			{.fd = more ? -1 : client_wakeup_fd(),.events = POLLIN}
		};

		if (poll(fds, 2, more && out_waiting() == 0 ? 0 : -1) < 0)
			continue;
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		{
			read_socket();
			carry_out_all();
		}
		out_flush();
		more = client_take_events(ROOM);
		out_flush();
	}
}

int
main(void)
{
	int			type = 0;
	socklen_t	size = sizeof(type);

	if (getsockopt(CDC_CONSUMER_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
	{
		fprintf(stderr, "cdcsync-consumer is started by cdcsync's apply workers, not by hand.\n");
		return 2;
	}
	set_signals();
	/* a worker that is gone already has closed the socket: that is seen below */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	volunteer();
	prctl(PR_SET_DUMPABLE, 0);	/* passwords will be in its memory */
	run();
}
