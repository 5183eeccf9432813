# shellcheck shell=bash
# The todo app of demo/: one process, its Python packages in a virtual environment.

DEMO=$ROOT/demo

demo_port() { printf '%s' $((BASE_PORT + 102)); }

SYSTEM_PYTHON=/usr/bin/python3 # which every user can run

# Sets PYTHON to one that can make a virtual environment.
find_python() {
	local candidate
	for candidate in "$SYSTEM_PYTHON" "$(type -P python3)"; do
		"$candidate" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < ($PYTHON_MIN))" 2>/dev/null || continue
		PYTHON=$candidate
		return 0
	done
	return 1
}

# python_environment FILE: where the packages of a requirements.txt are, or will be; named after what is to be in it
python_environment() { printf '%s/python-%s' "$CACHE" "$({ cat "$1"; "$PYTHON" -V; } | cksum | cut -d ' ' -f 1)"; }

# show_pip LOG: what pip fetches shown, all of it into the log
show_pip() {
	local line
	: >"$1"
	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$1"
		[[ ! $line =~ ^\ *Downloading\ ([^ ]*)\ (\(.*\)) ]] || progress "fetching ${BASH_REMATCH[1]##*/} ${BASH_REMATCH[2]}"
		[[ $line != 'Installing collected packages'* ]] || progress "installing them"
	done
	progress_end
}

install_packages_of() { # FILE
	local environment start log=$CACHE/pip.log
	start=$(now_ms)
	environment=$(python_environment "$1")
	[[ -f $environment/.complete ]] && return
	mkdir -p "$CACHE" 2>/dev/null && [[ -w $CACHE ]] || die "$CACHE cannot be written" "run 'test/stack/stack install' as its owner first"
	say "==> fetching the Python packages of ${1#"$ROOT/"} (pip, log in $log)"
	rm -rf "$environment"
	if ! { "$PYTHON" -m venv "$environment" &&
		"$environment/bin/python" -m pip install --disable-pip-version-check --no-input --no-color --progress-bar off -r "$1"; } 2>&1 9>&- | show_pip "$log"; then
		show_tail "$log" 5
		die "pip could not fetch the packages of $1" "is there a network? the whole output is in $log"
	fi
	touch "$environment/.complete"
	say "    done in $(seconds_since "$start") s"
}

install_demo() { install_packages_of "$DEMO/requirements.txt"; }

# Started anew each time: it keeps nothing, and there may be more nodes.
demo_start() {
	local i nodes=()
	demo_stop
	need_free_port "$(demo_port)" "the demo"
	for ((i = 0; i <= CLIENTS; i++)); do nodes+=("$(node_name "$i")=127.0.0.1:$(node_port "$i")"); done
	proc_start demo "$(python_environment "$DEMO/requirements.txt")/bin/python" "$DEMO/app.py" --port "$(demo_port)" \
		--connect "http://127.0.0.1:$CONNECT_PORT" --kafka "127.0.0.1:$KAFKA_PORT" --database "$DATABASE" "${nodes[@]}"
	if ! wait_until "the demo" 30 demo_ready; then
		show_tail "$DIR/log/demo.log"
		die "the demo does not come up" "the whole log is $DIR/log/demo.log"
	fi
}

demo_stop() { proc_stop demo 10; }

demo_ready() {
	proc_alive demo || return 2
	curl -sS --noproxy '*' --fail --max-time 5 -o /dev/null "http://127.0.0.1:$(demo_port)/" 2>/dev/null
}

# in the browser of whoever sits at this machine
demo_open() {
	[[ ${DISPLAY:-}${WAYLAND_DISPLAY:-} && -t 1 ]] && type -P xdg-open >/dev/null || return 0
	xdg-open "http://localhost:$(demo_port)" >/dev/null 2>&1 9>&- &
}

# browser: prints the python that drives a browser, for the demo's test
cmd_browser() {
	local requirements=$ROOT/test/demo/requirements.txt
	find_python || die "no python3 of version ${PYTHON_MIN/,/.} or newer with venv" "apt-get install python3-venv"
	install_packages_of "$requirements"
	printf '%s/bin/python\n' "$(python_environment "$requirements")"
}
