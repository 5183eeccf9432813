/*
 * publication.c
 *		The publication of registered tables, which the connector of this database reads.
 *
 * It is the extension's: made at the first use, owned by the extension's owner, and gone
 * with the extension, as the triggers are.  A dump brings the publication along, but not
 * what depends on what, so that is looked at whenever it is touched, and before DROP
 * EXTENSION.  Commands about it run with the extension owner's rights, for users have no
 * say in it; none of them evaluates anything of a user's table.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_publication.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/extension.h"
#include "base/table_name.h"
#include "table/publication.h"

#define PUBLICATION_NAME	"cdcsync"

/* There is no function of the server for it */
static Oid
publication_owner(Oid pubid)
{
	HeapTuple	tuple = SearchSysCache1(PUBLICATIONOID, ObjectIdGetDatum(pubid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for publication %u", pubid);
	owner = ((Form_pg_publication) GETSTRUCT(tuple))->pubowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* One that somebody else made: he could take out of it what others put in */
static void
refuse_foreign_publication(Oid pubid)
{
	Oid			owner = publication_owner(pubid);

	if (has_privs_of_role(owner, cdc_extension_owner()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("publication \"%s\" belongs to role \"%s\"", PUBLICATION_NAME,
					GetUserNameFromId(owner, false)),
			 errdetail("Its owner could take others' tables out of it."),
			 errhint("Run ALTER PUBLICATION %s OWNER TO %s.", PUBLICATION_NAME,
					 quote_identifier(GetUserNameFromId(cdc_extension_owner(), false)))));
}

/* DROP EXTENSION shall drop it; a dump does not bring that along */
static void
own_publication(Oid pubid)
{
	Oid			extension = cdc_extension_oid();
	ObjectAddress depender;
	ObjectAddress referenced;

	if (list_member_oid(getAutoExtensionsOfObject(PublicationRelationId, pubid), extension))
		return;
	ObjectAddressSet(depender, PublicationRelationId, pubid);
	ObjectAddressSet(referenced, ExtensionRelationId, extension);
	recordDependencyOn(&depender, &referenced, DEPENDENCY_AUTO_EXTENSION);
}

/* By itself, or as one of all */
static bool
is_published(const Publication *publication, Oid relid)
{
	return publication->alltables ||
		SearchSysCacheExists2(PUBLICATIONRELMAP, ObjectIdGetDatum(relid),
							  ObjectIdGetDatum(publication->oid));
}

/* Add a table to the publication, which is made if there is none; SPI is connected by the caller */
void
cdc_publication_add(Oid relid)
{
	Publication *publication;

	if (!OidIsValid(get_publication_oid(PUBLICATION_NAME, true)))
		cdc_extension_command("CREATE PUBLICATION " PUBLICATION_NAME
							  " WITH (publish_via_partition_root = true)");
	publication = GetPublicationByName(PUBLICATION_NAME, false);
	refuse_foreign_publication(publication->oid);
	own_publication(publication->oid);
	/* under REPLICA IDENTITY FULL the server refuses updates of a row that is not published whole */
	if (!cdc_publishes_generated(publication))
		cdc_extension_command("ALTER PUBLICATION " PUBLICATION_NAME
							" SET (" CDC_PUBLISH_GENERATED ")");
	if (!is_published(publication, relid))
		cdc_extension_command(psprintf("ALTER PUBLICATION " PUBLICATION_NAME " ADD TABLE %s",
									 cdc_table_name(relid)));
	if (!XLogLogicalInfoActive())
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("changes of table \"%s\" cannot be captured yet", get_rel_name(relid)),
				 errhint("Set \"wal_level\" to \"logical\" and restart the server.")));
}

/*
 * Before DROP EXTENSION: a dump does not bring along that the publication goes with the
 * extension.  In a transaction.
 */
void
cdc_publication_own(void)
{
	Oid			pubid = get_publication_oid(PUBLICATION_NAME, true);

	if (!OidIsValid(pubid) || !has_privs_of_role(publication_owner(pubid), cdc_extension_owner()))
		return;
	own_publication(pubid);
	CommandCounterIncrement();
}

/* Take a table out of it, unless it is there as one of all; SPI is connected by the caller */
void
cdc_publication_remove(Oid relid)
{
	Publication *publication = GetPublicationByName(PUBLICATION_NAME, true);

	if (publication != NULL && !publication->alltables && is_published(publication, relid))
		cdc_extension_command(psprintf("ALTER PUBLICATION " PUBLICATION_NAME " DROP TABLE %s",
									 cdc_table_name(relid)));
}
