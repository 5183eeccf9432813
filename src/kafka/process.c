/*
 * process.c
 *		The consumer process of an apply worker: started, watched, ended.
 *
 * The program (src/consumer) lies beside this library.  The postmaster opens it when it
 * loads the library, and workers start it by that descriptor: when a package is upgraded
 * under a running server, library and program stay of one version.
 *
 * The server has no means to start a process that it has no use for itself, so it is a
 * plain child of the worker, in its process group.  It must get nothing of the server's but
 * the socket: descriptors that are not close-on-exec are closed, signals and their mask
 * are set to what a program expects.  Between fork and exec only what is safe in a signal
 * handler is called.
 *
 * The worker waits for its end, in bounded time, and in every way of its own that is not
 * sudden; the other cases are the program's.
 */
#include "postgres.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"

#include "base/compat.h"
#include "consumer/protocol.h"
#include "kafka/process.h"

#define SOCKET_BUFFER	(1024 * 1024)
#define FIRST_FREE_FD	64		/* above what is given to the program */
#define END_MS			1000	/* until a process that was asked to end is killed */
#define LOOK_MS			5

static char program_path[MAXPGPATH] = "";
static int	program = -1;
static int	program_errno = 0;
static pid_t pid = 0;

/* In the postmaster: find the program; that it is not there is said when it is to be started */
void
cdc_process_init(void)
{
	Dl_info		library;

	if (dladdr((void *) &program, &library) == 0 || library.dli_fname == NULL)
		return;
	strlcpy(program_path, library.dli_fname, sizeof(program_path));
	get_parent_directory(program_path);
	strlcat(program_path, "/" CDC_CONSUMER_PROGRAM, sizeof(program_path));
	program = open(program_path, O_RDONLY | O_CLOEXEC);
	program_errno = program < 0 ? errno : 0;
}

static void
close_all_but(int keep)
{
#ifdef CLOSE_RANGE_UNSHARE
	if (close_range(CDC_CONSUMER_FD + 1, keep - 1, 0) == 0 && close_range(keep + 1, ~0U, 0) == 0)
		return;
#endif
	for (int fd = CDC_CONSUMER_FD + 1; fd < sysconf(_SC_OPEN_MAX); fd++)
	{
		if (fd != keep)
			close(fd);
	}
}

/* In the child */
pg_noreturn static void
execute(int sock, char *const argv[])
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t	none;
	int			executable = fcntl(program, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	int			end = fcntl(sock, F_DUPFD, FIRST_FREE_FD);

	for (int signo = 1; signo < NSIG; signo++)
		sigaction(signo, &standard, NULL);
	if (executable < 0 || end < 0 || dup2(end, CDC_CONSUMER_FD) < 0)
		_exit(1);
	close_all_but(executable);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fexecve(executable, argv, environ);
	_exit(1);
}

static void
open_pair(int *pair)
{
	int			size = SOCKET_BUFFER;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a socket for the Kafka client: %m")));
	for (int i = 0; i < 2; i++)
		(void) setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static pid_t
fork_program(int sock)
{
	char	   *argv[] = {psprintf("cdcsync: consumer of %s", MyBgworkerEntry->bgw_name), NULL};
	sigset_t	all;
	sigset_t	before;
	pid_t		child;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child == 0)
		execute(sock, argv);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return child;
}

/* Start the program; the worker's end of the socket, which the caller closes.  Raises an error if it cannot be */
pgsocket
cdc_process_start(void)
{
	int			pair[2];

	if (program < 0)
	{
		errno = program_errno;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open program \"%s\": %m", program_path),
				 errhint("Install cdcsync again, and restart the server.")));
	}
	open_pair(pair);
	pid = fork_program(pair[1]);
	close(pair[1]);
	if (pid > 0)
		return pair[0];
	pid = 0;
	close(pair[0]);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not start the Kafka client: %m")));
}

/* Whether it has ended, looking for so long */
static bool
has_ended(int ms, int *status)
{
	for (int waited = 0;; waited += LOOK_MS)
	{
		pid_t		result = waitpid(pid, status, WNOHANG);

		if (result == pid || (result < 0 && errno != EINTR))
			return true;
		if (waited >= ms)
			return false;
		pg_usleep(LOOK_MS * 1000);
	}
}

/*
 * End it, in bounded time; by_itself: it has closed its socket, and is about to end.  How it
 * ended, in CurrentMemoryContext; NULL if there is none.  Raises no error
 */
char *
cdc_process_end(bool by_itself)
{
	int			status = 0;

	if (pid == 0)
		return NULL;
	if (!by_itself)
		kill(pid, SIGTERM);
	if (!has_ended(END_MS, &status))
	{
		kill(pid, SIGKILL);		/* it may be stopped */
		(void) has_ended(END_MS, &status);
	}
	pid = 0;
	return wait_result_to_str(status);
}
