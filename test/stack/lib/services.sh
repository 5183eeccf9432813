# shellcheck shell=bash
# Kafka and Debezium alone, for tests: any directory, any ports, any Postgres.

# services start [--base-port P] [--kafka-only] | stop | env
cmd_services() {
	local verb=${1:-} base=${BASE_PORT:-} kafka_only=
	shift
	while (($#)); do
		case $1 in
		--base-port) base=${2-}; shift ;;
		--kafka-only) kafka_only=yes ;;
		*) bad_usage "services: unknown option $1" ;;
		esac
		shift
	done
	case $verb in
	start)
		take_lock
		install_tools
		load_state && [[ -z $base || $base == "$BASE_PORT" ]] || {
			proc_alive kafka && die "$DIR already runs on BASE_PORT=$BASE_PORT" "stop it first"
			[[ -z $base ]] || check_base_port "$base"
			set_ports "${base:-$(find_base_port)}"
		}
		: "${CLUSTER_ID:=$(new_cluster_id)}" "${CLIENTS:=0}"
		save_state
		kafka_launch
		kafka_wait
		if [[ -z $kafka_only ]]; then
			debezium_launch
			debezium_wait
		fi
		STARTED=()
		services_env
		;;
	stop)
		[[ -d $DIR ]] || return 0
		take_lock
		proc_alive debezium && java_stop debezium
		proc_alive kafka && java_stop kafka
		return 0
		;;
	env)
		need_state
		services_env
		;;
	*) bad_usage "services start|stop|env" ;;
	esac
}

services_env() {
	printf 'KAFKA=localhost:%s\nCONNECT=http://localhost:%s\n' "$KAFKA_PORT" "$CONNECT_PORT"
}

# kafka|debezium start|stop|kill
cmd_part() {
	local part=$1
	need_state
	take_lock
	case ${2:-} in
	start)
		find_java || die "no java of version $JAVA_MIN or newer" "test/stack/stack install"
		"${part}_launch"
		"${part}_wait"
		STARTED=()
		;;
	stop) java_stop "$part" ;;
	kill) java_kill "$part" ;;
	*) bad_usage "$part start|stop|kill" ;;
	esac
}

# scram-user NAME PASSWORD: somebody who may log in, where a listener asks for it by SCRAM-SHA-512
cmd_scram_user() {
	(($# == 2)) || bad_usage "scram-user NAME PASSWORD"
	need_state
	find_java || die "no java of version $JAVA_MIN or newer" "test/stack/stack install"
	kafka_scram_user "$@"
}

cmd_topic() { # topic-create|topic-delete|topic-grow|topic-offsets|records-delete|acl-read|topics|transaction ARGUMENT…
	local verb=$1
	shift
	need_state
	if [[ $verb == topic-create ]] && ! is_number "${2:-x}"; then
		set -- "${1:-}" 1 "${@:2}" # partitions may be left out
	fi
	kafka_admin "$verb" "$@"
}

# connector-create --node NODE --port PORT [--host H] [--dbname D] [--user U] [--password P] [--name NAME]
#	[--schemas true|false] [--set KEY=VALUE]… [--print] [--no-wait]
connector_create() {
	local node='' host=127.0.0.1 port='' dbname=postgres user=postgres password='' name='' schemas=true mode=wait json
	local settings=()
	while (($#)); do
		case $1 in
		--node | --host | --port | --dbname | --user | --password | --name | --schemas)
			(($# > 1)) || bad_usage "connector-create: $1 needs a value"
			printf -v "${1#--}" '%s' "$2"
			shift
			;;
		--set)
			[[ ${2-} == *=* ]] || bad_usage "connector-create: --set KEY=VALUE"
			settings+=("$2")
			shift
			;;
		--print) mode=print ;;
		--no-wait) mode=go ;;
		*) bad_usage "connector-create: unknown option $1" ;;
		esac
		shift
	done
	[[ $node && $port ]] || bad_usage "connector-create: --node NODE and --port PORT are needed"
	json=$(connector_json "$node" "$host" "$port" "$dbname" "$user" "$password" "$schemas" "${settings[@]}") || exit 1
	[[ $mode == print ]] && { printf '%s\n' "$json"; return; }
	need_state
	connector_put "${name:-$node}" "$json"
	[[ $mode == go ]] || connector_wait "${name:-$node}"
}

# connector-pause|resume|stop|restart|delete|status|wait NAME [SECONDS]
cmd_connector() {
	local verb=${1#connector-} name=${2:-} reader
	if [[ $verb == create ]]; then
		shift
		connector_create "$@"
		return
	fi
	[[ $name ]] || bad_usage "$1 needs the name of a connector"
	need_state
	case $verb in
	pause) connector_set_state "$name" pause PAUSED ;;
	stop) connector_set_state "$name" stop STOPPED ;;
	resume)
		connector_set_state "$name" resume RUNNING
		connector_wait "$name" "${3:-120}"
		;;
	restart)
		reader=$(connector_reader "$name")
		rest_or_die POST "connectors/$name/restart?includeTasks=true" >/dev/null
		connector_wait "$name" "${3:-120}" "$reader"
		;;
	delete) connector_delete "$name" ;;
	status) rest_or_die GET "connectors/$name/status" && echo ;;
	wait) connector_wait "$name" "${3:-120}" ;;
	*) bad_usage "unknown command connector-$verb" ;;
	esac
}
