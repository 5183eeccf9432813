"""The topics, by a Kafka client: where they begin and end, and the last messages of one."""

import asyncio

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

TIMEOUT = 3
AT_ONCE = 10  # messages; one may have 16 MB


class KafkaFailed(Exception):
    """Kafka cannot be reached, or refuses."""


class Kafka:
    def __init__(self, address):
        self.address = address
        # what it cannot do it says to those who ask, and not in a log as well
        self.config = {"bootstrap.servers": address, "reconnect.backoff.max.ms": 1000, "log_level": 2}
        self.admin = AdminClient(self.config)

    async def ends(self):
        """By topic and partition: the first offset, and the next one to be written (behind what is committed)."""
        try:
            return await asyncio.to_thread(self._ends)
        except KafkaException as error:
            raise KafkaFailed(f"Kafka at {self.address} does not answer: {error.args[0].str()}") from error

    def _ends(self):
        topics = self.admin.list_topics(timeout=TIMEOUT).topics.values()
        partitions = [TopicPartition(topic.topic, partition) for topic in topics for partition in topic.partitions]
        firsts, ends = self._offsets(partitions, OffsetSpec.earliest()), self._offsets(partitions, OffsetSpec.latest())
        found = {topic.topic: {} for topic in topics}
        for topic, partition in sorted(firsts.keys() & ends.keys()):
            found[topic][partition] = (firsts[topic, partition], ends[topic, partition])
        return found

    def _offsets(self, partitions, spec):
        """One that has gone since, or has no leader, is left out."""
        if not partitions:
            return {}
        found, failed = {}, None
        answers = self.admin.list_offsets(
            {partition: spec for partition in partitions}, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=TIMEOUT
        )
        for partition, answer in answers.items():
            try:
                found[partition.topic, partition.partition] = answer.result().offset
            except KafkaException as error:
                failed = error
        if failed and not found:
            raise failed
        return found


class Tail:
    """The last messages of one topic, and then those that come."""

    def __init__(self, kafka, topic, length):
        self.topic = topic
        self.length = length
        self.next = {}  # by partition: the offset to be read next
        # no group is joined and no position kept, but the client wants a name for one
        self.consumer = Consumer(
            kafka.config
            | {
                "group.id": "cdcsync-demo",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "queued.max.messages.kbytes": 16384,
            }
        )

    def close(self):
        self.consumer.close()

    def follow(self, ends):
        """Goes on in the topic as it is now. True if it begins anew: with other partitions, another topic of this name, or because more has
        come than is worth reading."""
        if self.next.keys() == ends.keys() and all(
            end - 10 * self.length <= self.next[partition] <= end for partition, (_, end) in ends.items()
        ):
            return False
        self.next = {partition: max(first, end - self.length) for partition, (first, end) in ends.items()}
        self.consumer.assign([TopicPartition(self.topic, partition, offset) for partition, offset in self.next.items()])
        return True

    def read(self):
        """What has come, and does not wait for it."""
        messages = []
        for message in self.consumer.consume(AT_ONCE, timeout=0):
            if not message.error():  # of errors tells who asks for the ends
                self.next[message.partition()] = message.offset() + 1
                messages.append(message)
        return messages
