/*
 * conflict_rules.c
 *		How conflicts are handled, as a subscription or a table rule says it.
 *
 * A word stands for all conflict types; a JSON object names some, and leaves the others
 * to whoever is asked next: the table's rule, the subscription, last_update_wins.
 *
 * A preset (hub, spoke) is no handling of a type but a side: on which side of a connection
 * this node is, where versions of rows do not decide.  It holds unless the table's own
 * rule is a word, which means every type for this table, whoever brings the event.  What
 * a handling does is decided in apply/, which asks here.
 *
 * Functions are kept by name and not by oid: a dump brings them along, and who replaces one
 * means the new one.  They are looked for when the option is given, so that whoever wrote
 * a wrong name hears of it, and again when a conflict is handled.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/extension.h"
#include "stored/conflict_rules.h"

#define HINT_WORDS \
	"Available values: \"last_update_wins\", \"hub\", \"spoke\", \"apply_remote\", \"keep_local\", \"skip\", \"error\", or a JSON object of conflict types and their handling."

static const struct
{
	const char *name;
	CdcHandling handling;
}			handlings[] = {
	{"last_update_wins", CDC_HANDLING_LAST_UPDATE_WINS},
	{"apply_remote", CDC_HANDLING_APPLY_REMOTE},
	{"keep_local", CDC_HANDLING_KEEP_LOCAL},
	{"skip", CDC_HANDLING_SKIP},
	{"error", CDC_HANDLING_ERROR},
};

static const struct
{
	const char *name;
	CdcPreset	preset;
}			presets[] = {
	{"hub", CDC_PRESET_HUB},
	{"spoke", CDC_PRESET_SPOKE},
};

/* False if it is none */
static bool
take_word(CdcConflictRules *rules, const char *word)
{
	CdcHandling handling = CDC_HANDLING_LAST_UPDATE_WINS;

	for (int i = 0; i < lengthof(presets); i++)
	{
		if (strcmp(presets[i].name, word) == 0)
			rules->preset = presets[i].preset;
	}
	if (rules->preset == CDC_PRESET_NONE && !cdc_conflict_rules_find_handling(word, &handling))
		return false;
	rules->whole = true;
	for (int type = 0; type < CDC_NCONFLICT_TYPES; type++)
	{
		rules->given[type] = true;
		rules->handling[type] = handling;
	}
	return true;
}

static CdcConflictType
type_from_name(const char *name)
{
	for (int type = 0; type < CDC_NCONFLICT_TYPES; type++)
	{
		if (strcmp(cdc_conflict_type_names[type], name) == 0)
			return type;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("conflict type \"%s\" does not exist", name),
			 errhint("The conflict types are those that cdcsync.stat_table counts.")));
}

/* How a conflict type is handled: a resolution, or a function */
static void
take_pair(CdcConflictRules *rules, CdcConflictType type, const JsonbValue *value)
{
	char	   *text;
	List	   *parts;

	if (value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("handling of conflict type \"%s\" must be a string",
						cdc_conflict_type_names[type]),
				 errhint("Name a resolution, or a function as \"schema.function\".")));
	text = pnstrdup(value->val.string.val, value->val.string.len);
	rules->given[type] = true;
	if (cdc_conflict_rules_find_handling(text, &rules->handling[type]))
		return;
	rules->handling[type] = CDC_HANDLING_FUNCTION;
	parts = textToQualifiedNameList(cstring_to_text(text));
	if (list_length(parts) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is neither a resolution nor the qualified name of a function",
						text),
				 errhint("Available values: \"last_update_wins\", \"apply_remote\", \"keep_local\", \"skip\", \"error\", or a function as \"schema.function\".")));
	rules->function[type] = quote_qualified_identifier(strVal(linitial(parts)), strVal(lsecond(parts)));
}

/* {"conflict type": "resolution or function"} */
static void
take_object(CdcConflictRules *rules, const char *text)
{
	Jsonb	   *object = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	JsonbIterator *it = JsonbIteratorInit(&object->root);
	CdcConflictType type = CDC_CT_NONE;
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			type = type_from_name(pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE)
			take_pair(rules, type, &value);
	}
}

/*
 * Read 'last_update_wins', 'hub', 'spoke', a resolution, or a JSON object of conflict
 * types and resolutions or functions.  Raises invalid_parameter_value for anything else.
 * The result is in CurrentMemoryContext; NULL for NULL.
 */
CdcConflictRules *
cdc_conflict_rules_parse(const char *text)
{
	CdcConflictRules *rules;

	if (text == NULL)
		return NULL;
	rules = palloc0(sizeof(CdcConflictRules));
	if (take_word(rules, text))
		return rules;
	if (text[strspn(text, " \t\r\n")] != '{')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": \"%s\"", "conflicts", text),
				 errhint(HINT_WORDS)));
	take_object(rules, text);
	return rules;
}

/* A handling by its name, but for functions; false if there is none of this name */
bool
cdc_conflict_rules_find_handling(const char *name, CdcHandling *handling)
{
	for (int i = 0; i < lengthof(handlings); i++)
	{
		if (strcmp(handlings[i].name, name) == 0)
		{
			*handling = handlings[i].handling;
			return true;
		}
	}
	return false;
}

/* A function that handles conflicts, by its quoted name; raises an error if there is none */
Oid
cdc_conflict_rules_find_function(const char *function)
{
	Oid			argtypes[1] = {cdc_conflict_rules_argument_type()};
	List	   *name = textToQualifiedNameList(cstring_to_text(function));
	Oid			funcid = LookupFuncName(name, 1, argtypes, true);

	if (!OidIsValid(funcid) || get_func_rettype(funcid) != JSONBOID ||
		get_func_retset(funcid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s(cdcsync.conflict) returning jsonb does not exist", function),
				 errhint("Create it before it is named in conflicts.")));
	return funcid;
}

/* Whoever owns a table need not have any right on the schema */
Oid
cdc_conflict_rules_argument_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("conflict"),
						   ObjectIdGetDatum(get_namespace_oid(CDC_EXTENSION_NAME, false)));
}

/* Of an option: a text as parse takes it, whose functions exist */
Datum
cdc_conflict_rules_check(Oid relid, Datum value)
{
	CdcConflictRules *rules = cdc_conflict_rules_parse(TextDatumGetCString(value));

	for (int type = 0; type < CDC_NCONFLICT_TYPES; type++)
	{
		if (rules->function[type])
			(void) cdc_conflict_rules_find_function(rules->function[type]);
	}
	return value;
}

CdcPreset
cdc_conflict_rules_preset(const CdcConflictRules *table, const CdcConflictRules *subscription)
{
	if (table && table->whole)
		return table->preset;
	return subscription ? subscription->preset : CDC_PRESET_NONE;
}

CdcHandling
cdc_conflict_rules_handling(const CdcConflictRules *table, const CdcConflictRules *subscription,
							CdcConflictType type, const char **function)
{
	const CdcConflictRules *rules = table && table->given[type] ? table : subscription;

	*function = rules ? rules->function[type] : NULL;
	return rules && rules->given[type] ? rules->handling[type] : CDC_HANDLING_LAST_UPDATE_WINS;
}
