# shellcheck shell=bash
# Kafka: one broker and controller in one process (KRaft), data in $DIR/kafka.

# java_start NAME HEAP_MB CLASS ARGUMENT…: a JVM in the background, in $DIR. The first one that is stopped in
# good order leaves an archive of its classes beside the jars, with which later ones start in half the time.
java_start() {
	local name=$1 heap=$2 archive
	shift 2
	archive=$JARS/$name-$("$JAVA" -version 2>&1 | cksum | cut -d ' ' -f 1).jsa
	local -a options=("-Xmx${heap}m" -XX:+UseSerialGC -Duser.timezone=UTC "-Dlog4j2.configurationFile=$HERE/log4j2.properties")
	rm -f "$DIR/pid/$name.archive"
	if [[ -r $archive ]]; then
		options+=("-XX:SharedArchiveFile=$archive")
	elif [[ -w $JARS ]]; then
		options+=("-XX:ArchiveClassesAtExit=$archive.$$" "-Xlog:cds*=off")
		mkdir -p "$DIR/pid"
		printf '%s\n' "$archive.$$" >"$DIR/pid/$name.archive"
	fi
	# $DIR may have signs that a properties file or a class path would not bear: all paths in there are relative
	cd "$DIR" || die "cannot enter $DIR"
	CLASSPATH=$(printf '%s:' "$JARS"/*.jar) proc_start "$name" "$JAVA" "${options[@]}" "$@"
	cd "$OLDPWD" || exit 1
}

# java_stopped NAME: keep the archive it wrote at its end
java_stopped() {
	local archive
	read -r archive 2>/dev/null <"$DIR/pid/$1.archive" || return 0
	[[ -s $archive ]] && mv "$archive" "${archive%.*}"
	rm -f "$DIR/pid/$1.archive"
}

java_stop() { # NAME
	proc_stop "$1" "$(java_patience "$1")"
	java_stopped "$1"
}

# writing the archive takes its time
java_patience() { if [[ -f $DIR/pid/$1.archive ]]; then echo 180; else echo 60; fi; }

java_kill() { # NAME
	local archive
	proc_kill "$1"
	read -r archive 2>/dev/null <"$DIR/pid/$1.archive" && rm -f "$archive" "$DIR/pid/$1.archive"
	return 0
}

kafka_configure() {
	mkdir -p "$DIR/kafka"
	cat >"$DIR/kafka/server.properties" <<-EOF
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$CONTROLLER_PORT
		listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$CONTROLLER_PORT
		advertised.listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT
		controller.listener.names=CONTROLLER
		inter.broker.listener.name=PLAINTEXT
		log.dirs=kafka/data
		num.partitions=1
		auto.create.topics.enable=false
		# a node may be away for long: nothing is thrown away
		log.retention.ms=-1
		message.max.bytes=16777216
		replica.fetch.max.bytes=16777216
		offsets.topic.num.partitions=1
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.num.partitions=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
		# quick to be back after a kill
		controller.quorum.election.timeout.ms=200
		controller.quorum.fetch.timeout.ms=500
		broker.session.timeout.ms=3000
		broker.heartbeat.interval.ms=500
		# small machine
		num.network.threads=2
		num.io.threads=4
		background.threads=4
		log.cleaner.dedupe.buffer.size=8388608
	EOF
	# what a test needs besides, such as a listener with TLS: the last line of a name holds
	[[ ! -r $DIR/kafka/extra.properties ]] || cat "$DIR/kafka/extra.properties" >>"$DIR/kafka/server.properties"
}

kafka_scram_user() { # NAME PASSWORD
	CLASSPATH=$(printf '%s:' "$JARS"/*.jar) "$JAVA" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
		"-Dlog4j2.configurationFile=$HERE/log4j2.properties" kafka.admin.ConfigCommand \
		--bootstrap-server "127.0.0.1:$KAFKA_PORT" --alter --entity-type users --entity-name "$1" \
		--add-config "SCRAM-SHA-512=[iterations=4096,password=$2]" >>"$DIR/log/kafka.log" 2>&1
}

# kafka_launch, then kafka_wait: other work can be done between the two
kafka_launch() {
	proc_alive kafka && return
	need_free_port "$KAFKA_PORT" Kafka
	need_free_port "$CONTROLLER_PORT" "Kafka's controller"
	kafka_configure
	KAFKA_SINCE=$(now_ms)
	mkdir -p "$DIR/log"
	if [[ ! -f $DIR/kafka/data/meta.properties ]]; then
		rm -rf "$DIR/kafka/data"
		if ! (cd "$DIR" && CLASSPATH=$(printf '%s:' "$JARS"/*.jar) "$JAVA" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
			"-Dlog4j2.configurationFile=$HERE/log4j2.properties" \
			kafka.tools.StorageTool format -t "$CLUSTER_ID" -c kafka/server.properties) >>"$DIR/log/kafka.log" 2>&1 9>&-; then
			rm -rf "$DIR/kafka/data"
			show_tail "$DIR/log/kafka.log"
			die "Kafka's data directory could not be made"
		fi
	fi
	java_start kafka 384 kafka.Kafka kafka/server.properties
}

kafka_ready() {
	proc_alive kafka || return 2
	port_open "$KAFKA_PORT" && "$KAFKA_ADMIN" "127.0.0.1:$KAFKA_PORT" ping 2>/dev/null
}

kafka_wait() {
	if ! wait_until Kafka 120 kafka_ready; then
		show_tail "$DIR/log/kafka.log" 30
		die "Kafka does not come up" "the whole log is $DIR/log/kafka.log"
	fi
	[[ ${KAFKA_SINCE:-} ]] && say "==> Kafka on localhost:$KAFKA_PORT, up in $(seconds_since "$KAFKA_SINCE") s"
	KAFKA_SINCE=
}

kafka_admin() { "$KAFKA_ADMIN" "127.0.0.1:$KAFKA_PORT" "$@"; }

new_cluster_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=\n'; }
