/*
 * leaderless.c
 *		A cluster of two brokers, in this process, in which a partition can be without leader.
 *
 *	leaderless TOPIC PARTITIONS
 *
 * Says where it listens.  Each line of standard input, "PARTITION BROKER", gives a partition
 * to a broker, 1 or 2, or to none, -1, and is answered by a line.  It ends with its input.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	char		err[512];
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, err, sizeof(err));
	rd_kafka_mock_cluster_t *cluster = rk ? rd_kafka_mock_cluster_new(rk, 2) : NULL;
	int			partition;
	int			broker;

	if (argc != 3 || cluster == NULL || rd_kafka_mock_topic_create(cluster, argv[1], atoi(argv[2]), 1))
		return 1;
	puts(rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (scanf("%d %d", &partition, &broker) == 2)
	{
		puts(rd_kafka_err2str(rd_kafka_mock_partition_set_leader(cluster, argv[1], partition, broker)));
		fflush(stdout);
	}
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(rk);
	return 0;
}
