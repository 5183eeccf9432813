# shellcheck shell=bash
# Messages, waiting, ports, processes, and the memory of a stack directory.

# Progress goes to standard error, results to standard output.
say()  { [[ ${STACK_QUIET:-} ]] || printf '%s\n' "$*" >&2; }
warn() { printf 'stack: %s\n' "$*" >&2; }

# die MESSAGE [HINT…]: the reason, then what to do about it
die() {
	printf 'stack: %s\n' "$1" >&2
	shift
	local hint
	for hint in "$@"; do printf '       %s\n' "$hint" >&2; done
	exit 1
}

# progress [PERCENT] TEXT: what goes on now; a line that changes on a terminal, with a bar where there is a percentage, and elsewhere a line
# now and then. progress_end takes it away.
PROGRESS_NEXT=0
progress() {
	local bar='' percent=''
	[[ -z ${STACK_QUIET:-} ]] || return 0
	if (($# == 2)); then
		percent="$1 %, "
		printf -v bar '%*s' $(($1 / 5)) ''
		printf -v bar '[%-20s] ' "${bar// /#}"
		shift
	fi
	if [[ -t 2 ]]; then
		printf '\r\033[K    %.*s' $((${COLUMNS:-80} - 5)) "$bar$percent$1" >&2
	elif ((SECONDS >= PROGRESS_NEXT)); then
		say "    $percent$1"
		PROGRESS_NEXT=$((SECONDS + 10))
	fi
}

progress_end() {
	PROGRESS_NEXT=0
	[[ ${STACK_QUIET:-} || ! -t 2 ]] || printf '\r\033[K' >&2
}

bad_usage() { printf 'stack: %s\n' "$1" >&2; exit 2; }

# is_number TEXT: a plain decimal without leading zero, short enough to count with
is_number() { [[ $1 =~ ^(0|[1-9][0-9]{0,5})$ ]]; }

# join SEPARATOR WORD…
join() { local separator=$1 first=$2; shift 2; printf '%s' "$first" "${@/#/$separator}"; }

now_ms() { local t=${EPOCHREALTIME/[.,]/}; printf '%s' "${t%???}"; }
seconds_since() { local ms=$(($(now_ms) - $1)); printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100)); }

# wait_until WHAT SECONDS COMMAND…: polls until the command succeeds. Returns 1 when the time is over
# and 2 as soon as the command returns 2 (hopeless).
wait_until() {
	local what=$1 limit=$2 start said=5000 spent rc
	shift 2
	start=$(now_ms)
	while :; do
		rc=0
		"$@" || rc=$?
		((rc == 0)) && return 0
		((rc == 2)) && return 2
		spent=$(($(now_ms) - start))
		((spent >= limit * 1000)) && return 1
		if ((spent >= said)); then
			say "    waiting for $what: $((spent / 1000)) s of at most $limit s"
			said=$((said + 5000))
		fi
		sleep 0.1
	done
}

show_tail() { # FILE [LINES]
	[[ -s $1 ]] || return 0
	printf -- '--- the end of %s\n' "$1" >&2
	tail -n "${2:-20}" "$1" | cut -c -400 >&2
	printf -- '---\n' >&2
}

# The last lines of a server's log that say what is wrong; all of its end, if none does
show_errors() { # FILE
	local lines
	lines=$(grep -E ' (ERROR|FATAL|PANIC|HINT|DETAIL): ' "$1" 2>/dev/null | tail -n 10 | cut -c -400)
	if [[ $lines ]]; then printf '%s\n' "$lines" >&2; else show_tail "$1"; fi
}

# --- ports ---------------------------------------------------------------------------------------

port_open() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port_free PORT: could a server listen there? Asked by doing so, as servers do it (SO_REUSEADDR): what the last connections of a
# server have left (TIME_WAIT) is no hindrance then, what a client's connection has left on that port is one, for a minute.
port_free() {
	perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) && setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1)
		&& bind(S, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) && listen(S, 1) or exit 1' "$1" 2>/dev/null
}

# port_owner PORT: who has it, as far as that can be seen
port_owner() {
	local hex local_end state uid inode fd pid
	printf -v hex '%04X' "$1"
	while read -r _ local_end _ state _ _ _ uid _ inode _; do
		[[ ${local_end#*:} == "$hex" ]] || continue
		[[ $state != 06 ]] || { printf 'a connection that ended less than a minute ago'; return; }
		for fd in /proc/[0-9]*/fd/*; do
			[[ $(readlink "$fd" 2>/dev/null) == "socket:[$inode]" ]] || continue
			pid=${fd#/proc/} pid=${pid%%/*}
			printf '%s (pid %s)' "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid"
			[[ $state == 0A ]] || printf ', for a connection of its own'
			return
		done
		printf 'a program of user %s' "$(id -un "$uid" 2>/dev/null || printf %s "$uid")"
		return
	done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
	printf 'another program'
}

# A port may be kept by what a connection has left there, for a minute; a program keeps it for as long as it likes.
port_free_soon() { # PORT
	port_free "$1" && return
	[[ $(port_owner "$1") == 'a connection that'* ]] && return 1
	return 2
}

need_free_port() { # PORT WHAT
	wait_until "port $1, which is held by a connection that has just ended" 70 port_free_soon "$1" ||
		die "port $1, wanted for $2, is taken by $(port_owner "$1")" "stop that, or choose other ports: make run BASE_PORT=$(next_base_port "$BASE_PORT")"
}

# Blocks of ports, one after the other from the default on, below the range the kernel hands out to clients (from 32768 on)
next_base_port() { # BASE
	local next=$(($1 + PORTS_OF_BLOCK))
	((next + PORTS_OF_BLOCK < 32768 && next > DEFAULT_BASE_PORT)) || next=$DEFAULT_BASE_PORT
	printf '%s' "$next"
}

check_base_port() {
	is_number "$1" && (($1 >= 1024 && $1 <= 65535 - 110)) ||
		bad_usage "BASE_PORT must be a number from 1024 to $((65535 - 110)), not '$1'"
}

# a block of free ports below the range the kernel hands out
find_base_port() {
	local try base p
	for try in {1..50}; do
		base=$((10000 + (RANDOM + try) % 200 * PORTS_OF_BLOCK))
		for p in 100 101 102 103; do port_free $((base + p)) || continue 2; done
		printf '%s' "$base"
		return
	done
	die "no free ports found"
}

# --- the directory's memory: $DIR/stack.env ------------------------------------------------------

# Fills BASE_PORT, KAFKA_PORT, CONNECT_PORT, CONTROLLER_PORT, CLUSTER_ID, CLIENTS; false if there is none.
load_state() {
	[[ -r $DIR/stack.env ]] || return 1
	local key value
	while IFS='=' read -r key value; do
		case $key in
		BASE_PORT | KAFKA_PORT | CONNECT_PORT | CONTROLLER_PORT | CLUSTER_ID | CLIENTS) printf -v "$key" '%s' "$value" ;;
		esac
	done <"$DIR/stack.env"
}

save_state() {
	local key
	for key in BASE_PORT KAFKA_PORT CONNECT_PORT CONTROLLER_PORT CLUSTER_ID CLIENTS; do
		printf '%s=%s\n' "$key" "${!key}"
	done >"$DIR/stack.env.new"
	mv "$DIR/stack.env.new" "$DIR/stack.env"
}

set_ports() { # BASE
	BASE_PORT=$1
	KAFKA_PORT=$((BASE_PORT + 100))
	CONNECT_PORT=$((BASE_PORT + 101))
	CONTROLLER_PORT=$((BASE_PORT + 103))
}

need_state() {
	load_state || die "there is no stack in $DIR" "start one: make run n=2"
}

# One command at a time in a directory. Descriptor 9 must not reach what lives on (see proc_start).
take_lock() {
	mkdir -p "$DIR" 2>/dev/null && [[ -w $DIR ]] ||
		die "$DIR cannot be written by $(id -un)" "it may belong to another user: remove it, or run as its owner"
	{ exec 9>>"$DIR/lock"; } 2>/dev/null ||
		die "$DIR/lock cannot be written by $(id -un)" "it belongs to $(stat -c %U "$DIR/lock"): run this as that user, or remove $DIR"
	flock -n 9 || die "another command is at work on $DIR" "wait for it to end, then try again"
}

# --- processes, by pid ---------------------------------------------------------------------------

STARTED=() # what this command has started, to be stopped again if it fails

# start time of a live process, so that a pid used anew is not taken for ours
proc_birth() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	stat=${stat##*) }
	if [[ ${stat%% *} == [ZX] ]]; then
		# dead, unless it is only the first of several threads
		local threads=("/proc/$1/task/"*)
		((${#threads[@]} > 1)) || return 1
	fi
	local -a field
	read -ra field <<<"$stat"
	printf '%s' "${field[19]}"
}

# proc_pid NAME: the pid if it is alive
proc_pid() {
	local pid birth
	read -r pid birth 2>/dev/null <"$DIR/pid/$1" || return 1
	[[ $(proc_birth "$pid") == "$birth" ]] || return 1
	printf '%s' "$pid"
}

proc_alive() { proc_pid "$1" >/dev/null; }

# proc_start NAME COMMAND…: in the background, detached, writing to $DIR/log/NAME.log
proc_start() {
	local name=$1 pid birth
	shift
	mkdir -p "$DIR/pid" "$DIR/log"
	printf '%(%F %T)T starting\n' -1 >>"$DIR/log/$name.log"
	setsid "$@" >>"$DIR/log/$name.log" 2>&1 </dev/null 9>&- &
	pid=$!
	disown "$pid"
	STARTED+=("$name")
	birth=$(proc_birth "$pid") || birth=0
	printf '%s %s\n' "$pid" "$birth" >"$DIR/pid/$name"
}

# proc_stop NAME SECONDS: SIGTERM, and SIGKILL when it does not obey
proc_stop() {
	local pid
	pid=$(proc_pid "$1") || { rm -f "$DIR/pid/$1"; return 0; }
	kill -TERM "$pid" 2>/dev/null
	if ! wait_until "$1 to stop" "$2" proc_gone "$1"; then
		warn "$1 (pid $pid) did not stop in $2 s: killed"
		kill -KILL "$pid" 2>/dev/null
		wait_until "$1 to die" 10 proc_gone "$1" || warn "$1 (pid $pid) is still there"
	fi
	rm -f "$DIR/pid/$1"
}

# proc_buried PID…: nothing is left of them, not even a zombie
proc_buried() {
	local pid
	for pid in "$@"; do [[ -z $pid || ! -e /proc/$pid ]] || return 1; done
}

proc_kill() {
	local pid
	pid=$(proc_pid "$1") || die "$1 is not running"
	kill -KILL "$pid"
	wait_until "$1 to die" 10 proc_gone "$1" || die "$1 (pid $pid) is still there"
	rm -f "$DIR/pid/$1"
}

proc_gone() { ! proc_alive "$1"; }
