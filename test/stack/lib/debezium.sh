# shellcheck shell=bash
# Debezium: one Kafka Connect worker and its connectors.

debezium_configure() {
	mkdir -p "$DIR/debezium" && mkdir -p -m 700 "$DIR/secrets"
	cat >"$DIR/debezium/worker.properties" <<-EOF
		bootstrap.servers=127.0.0.1:$KAFKA_PORT
		listeners=http://127.0.0.1:$CONNECT_PORT
		rest.advertised.host.name=127.0.0.1
		# a name of its own for every start: no waiting for a killed worker's membership to expire
		group.id=connect-$(now_ms)
		config.storage.topic=connect-configs
		config.storage.replication.factor=1
		offset.storage.topic=connect-offsets
		offset.storage.replication.factor=1
		offset.storage.partitions=1
		status.storage.topic=connect-status
		status.storage.replication.factor=1
		status.storage.partitions=1
		offset.flush.interval.ms=5000
		scheduled.rebalance.max.delay.ms=0
		plugin.discovery=service_load
		key.converter=org.apache.kafka.connect.json.JsonConverter
		value.converter=org.apache.kafka.connect.json.JsonConverter
		connector.client.config.override.policy=All
		# a connector's properties may name keys of files instead of passwords: of these, for whoever is on this machine may ask
		config.providers=file
		config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
		config.providers.file.param.allowed.paths=$DIR/secrets
		producer.max.request.size=16777216
		${CONNECT_PLUGINS:+plugin.path=$CONNECT_PLUGINS}
	EOF
}

debezium_launch() {
	proc_alive debezium && return
	need_free_port "$CONNECT_PORT" "Debezium (Kafka Connect)"
	debezium_configure
	DEBEZIUM_SINCE=$(now_ms)
	java_start debezium "${CONNECT_HEAP:-512}" org.apache.kafka.connect.cli.ConnectDistributed debezium/worker.properties
}

debezium_ready() {
	proc_alive debezium || return 2
	rest GET connectors >/dev/null 2>&1
}

debezium_wait() {
	if ! wait_until "Debezium (Kafka Connect)" 180 debezium_ready; then
		show_tail "$DIR/log/debezium.log" 30
		die "Kafka Connect does not come up" "the whole log is $DIR/log/debezium.log"
	fi
	[[ ${DEBEZIUM_SINCE:-} ]] && say "==> Debezium on http://localhost:$CONNECT_PORT, up in $(seconds_since "$DEBEZIUM_SINCE") s"
	DEBEZIUM_SINCE=
}

# rest METHOD PATH [JSON]: Kafka Connect's REST interface
rest() {
	local body=()
	[[ ${3:-} ]] && body=(-H 'Content-Type: application/json' --data-binary "$3")
	curl -sS --noproxy '*' --fail-with-body --max-time 60 -X "$1" "${body[@]}" "http://127.0.0.1:$CONNECT_PORT/$2"
}

# rest_or_die METHOD PATH [JSON]: tries again while the worker is busy with itself (joining, rebalancing, Kafka away),
# and says what Kafka Connect said when it refuses
rest_or_die() {
	wait_until "Kafka Connect to take $1 /$2" 30 rest_accepted "$@" ||
		die "Kafka Connect refused $1 /$2: $(jq -r '.message? // .' <<<"$REST_ANSWER" 2>/dev/null || printf '%s' "$REST_ANSWER")"
	printf '%s' "$REST_ANSWER"
}

rest_accepted() {
	REST_ANSWER=$(rest "$@" 2>&1) && return
	[[ $REST_ANSWER =~ \{.*\} ]] && REST_ANSWER=${BASH_REMATCH[0]} # without curl's own words
	proc_alive debezium || return 2
	[[ $REST_ANSWER =~ \"error_code\":([0-9]+) ]] || return 1
	[[ ${BASH_REMATCH[1]} == @(409|5??) ]] && return 1
	return 2
}

# --- connectors ------------------------------------------------------------------------------------

# cdcsync.connector_config's config of a database, with what suits a small machine. A database without the extension, such
# as that of a recording, has the function for as long as it takes.
# connector_json NODE HOST PORT DATABASE USER PASSWORD SCHEMAS(true|false) [KEY=VALUE…]: an empty VALUE takes KEY away
connector_json() {
	local node=$1 host=$2 port=$3 database=$4 user=$5 password=$6 schemas=$7 json
	local -a settings=(slot.max.retries=30 slot.retry.delay.ms=1000 retriable.restart.connector.wait.ms=1000 "${@:8}")
	json=$({
		cat <<-'EOF'
			SELECT set_config('cdcsync.node_name', :'node', false), to_regnamespace('cdcsync') IS NULL AS bare
			\gset
			\if :bare
		EOF
		sed -n '/^CREATE TABLE cdcsync.table_rule /,/;$/p; /^CREATE FUNCTION cdcsync.connector_config(/,/^\$\$;$/p' "$ROOT"/cdcsync--*.sql |
			sed 's/cdcsync\.\(table_rule\|connector_config\)/pg_temp.\1/'
		cat <<-'EOF'
				\set where pg_temp
			\else
				\set where cdcsync
			\endif
			SELECT :where.connector_config(:'host', :'port', :'user', nullif(:'password', ''), schemas => :'schemas', extra => :'extra') -> 'config';
		EOF
	} | PGPASSWORD=${PGPASSWORD:-$password} psql -XqAt -v ON_ERROR_STOP=1 -h "$host" -p "$port" -U "$user" -d "$database" -v node="$node" -v host="$host" \
		-v port="$port" -v user="$user" -v password="$password" -v schemas="$schemas" -v extra="$(settings_json "${settings[@]}")" -f -) ||
		die "$host:$port/$database does not say how its connector should be"
	jq . <<<"$json"
}

# settings_json KEY=VALUE…
settings_json() {
	jq -n 'reduce $ARGS.positional[] as $set ({}; ($set | index("=")) as $at
		| .[$set[:$at]] = ($set[$at + 1:] | if . == "" then null else . end))' --args -- "$@"
}

connector_failed() { [[ $(connector_status "$1" 2>/dev/null) == *'"state":"FAILED"'* ]]; }

connector_status() { rest GET "connectors/$1/status"; }

# The connector and its task run, and Postgres has a reader on the slot, another one than OLD_READER (or it is paused).
connector_streams() { # NAME [OLD_READER]
	local status reader
	status=$(connector_status "$1" 2>/dev/null) || return 1
	case $(jq -r '[.connector.state, (.tasks[]?.state)] | unique | join(" ")' <<<"$status") in
	RUNNING) [[ $(jq '.tasks | length' <<<"$status") == 1 ]] || return 1 ;;
	PAUSED | STOPPED) return 0 ;;
	# it may be the old state of one that was just restarted
	*FAILED*) ((++FAILED_LOOKS < 30)) && return 1; return 2 ;;
	*) return 1 ;;
	esac
	reader=$(connector_reader "$1") && [[ $reader && $reader != "${2:-}" ]]
}

# the pid of the walsender that streams to the connector
connector_reader() { # NAME
	local config host port database user password slot
	config=$(rest GET "connectors/$1/config" 2>/dev/null) || return 1
	{ read -r host; read -r port; read -r database; read -r user; read -r password; read -r slot; } < <(jq -r '
		.["database.hostname"], .["database.port"], .["database.dbname"], .["database.user"], (.["database.password"] // ""), .["slot.name"]' <<<"$config")
	PGPASSWORD=${PGPASSWORD:-$password} psql -XqAt -h "$host" -p "$port" -U "$user" -d "$database" -v slot="$slot" 2>/dev/null <<-'EOF'
		SELECT r.pid FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
		WHERE s.slot_name = :'slot' AND r.state = 'streaming'
	EOF
}

connector_wait() { # NAME [SECONDS [OLD_READER]]
	FAILED_LOOKS=0
	wait_until "connector $1" "${2:-120}" connector_streams "$1" "${3:-}" && return
	connector_explain "$1"
	die "connector $1 does not stream" "the whole log is $DIR/log/debezium.log"
}

connector_explain() { # NAME
	local status
	status=$(connector_status "$1" 2>&1) || { printf 'connector %s: %s\n' "$1" "$status" >&2; return; }
	jq -r '"connector \(.name): \(.connector.state), tasks: \([.tasks[]?.state] | join(" "))",
		(.connector, .tasks[]? | .trace // empty | split("\n") | map(select(test("^Caused by|^[a-z]"))) | .[0:6][] | "    " + .)' <<<"$status" |
		cut -c -400 >&2
	[[ ! -r $DIR/log/debezium.log ]] || tail -n 2000 "$DIR/log/debezium.log" | grep -E ' ERROR |^Caused by|^[a-z.]*Exception:' | tail -n 4 | sed 's/^/    /' | cut -c -400 >&2
}

# A config that is there already is left alone: setting it again would restart the connector.
connector_put() { # NAME JSON
	local old
	old=$(rest GET "connectors/$1/config" 2>/dev/null) &&
		jq -e --argjson new "$2" 'del(.name) == ($new | del(.name))' <<<"$old" >/dev/null && return
	rest_or_die PUT "connectors/$1/config" "$2" >/dev/null
}

connector_set_state() { # NAME pause|resume|stop STATE
	connector_gone "$1" && die "there is no connector $1" "make it again: make run"
	rest_or_die PUT "connectors/$1/$2" >/dev/null
	wait_until "connector $1 to be $3" 30 connector_has_state "$1" "$3" || {
		connector_explain "$1"
		die "connector $1 does not become $3"
	}
}

# connector and tasks alike
connector_has_state() {
	[[ $(connector_status "$1" 2>/dev/null | jq -r '[.connector.state, (.tasks[]?.state)] | unique | join(" ")') == "$2" ]]
}

# Forgets its offsets too, so that a new connector of this name starts with a snapshot. The slot is left to its database.
connector_delete() { # NAME
	connector_set_state "$1" stop STOPPED
	rest_or_die DELETE "connectors/$1/offsets" >/dev/null
	rest_or_die DELETE "connectors/$1" >/dev/null
	wait_until "connector $1 to be gone" 30 connector_gone "$1" || die "connector $1 is still there"
}

connector_gone() { [[ $(rest GET "connectors/$1/status" 2>/dev/null | jq -r .error_code) == 404 ]]; }
