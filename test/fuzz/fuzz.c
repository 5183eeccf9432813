/*
 * fuzz.c
 *		libFuzzer inside a backend: messages of its making go through the doors.
 *
 * An input is a byte, the message's key up to the end of the line, and its value; an empty one stands for
 * none.  The byte's remainder by 8 is the number of the producer's modes; the message is decoded, twice, as
 * the second time its schema is known, and if the byte is a letter it is applied as well, which takes ten
 * times as long.  What the quick scan of JSON accepts, the parser must find the same in.  All is in a subtransaction and a memory context of its own, and nothing is left of it.
 * An error is what becomes of most; but an internal one, which nobody foresaw, is a finding as a crash is.
 *
 * The message lies in memory of its very size, as one that came from Kafka does.
 */
#include "context.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/regproc.h"
#include "utils/resowner.h"

/* for its cache, which is emptied from time to time */
#include "../../src/event/decode_schema.c"

/* to compare the quick scan with the parser */
#include "../../src/event/decode_json.c"

#define TOPIC "peer.public.typed"

/* So many schemas are remembered; to look for one takes longer with each */
#define SCHEMAS_TO_KEEP 200

extern int	LLVMFuzzerRunDriver(int *argc, char ***argv,
								int (*callback) (const uint8_t *data, size_t size));

static MemoryContext input_context;
static FmgrInfo decode_door;
static FmgrInfo apply_door;
static Datum *producers;
static int	nproducers;

static void find_door(const char *signature, FmgrInfo *door);
static int	run_input(const uint8_t *data, size_t size);
static void run_message(const char *data, size_t size);
static void check_scan(const char *json, int len);
static bool same_fields(const CdcFieldList *a, const CdcFieldList *b);
static void check_error(void);
static Datum call_door(FmgrInfo *door, text *key, text *value, Datum producer);
static text *exact_text(const char *data, size_t size);
static void forget_schemas(void);

/* fuzz(options of libFuzzer text[], producers jsonb[]): does not return unless all options are inputs */
PG_FUNCTION_INFO_V1(fuzz);
Datum
fuzz(PG_FUNCTION_ARGS)
{
	Datum	   *options;
	int			noptions;
	char	  **argv;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &options, NULL,
					  &noptions);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), JSONBOID, -1, false, TYPALIGN_INT, &producers,
					  NULL, &nproducers);
	argv = palloc0((noptions + 2) * sizeof(char *));
	argv[0] = "fuzz";
	for (int i = 0; i < noptions; i++)
		argv[i + 1] = TextDatumGetCString(options[i]);
	noptions++;

	find_door("cdcsync.decode(text,text,text,jsonb)", &decode_door);
	find_door("cdcsync.apply(text,text,text,jsonb,text)", &apply_door);
	input_context = fuzz_context_create(TopMemoryContext, "fuzz input");
	PG_RETURN_INT32(LLVMFuzzerRunDriver(&noptions, &argv, run_input));
}

static void
find_door(const char *signature, FmgrInfo *door)
{
	fmgr_info_cxt(DatumGetObjectId(DirectFunctionCall1(regprocedurein,
													   CStringGetDatum(signature))),
				  door, TopMemoryContext);
}

static int
run_input(const uint8_t *data, size_t size)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	if (size == 0)
		return 0;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(input_context);
	PG_TRY();
	{
		run_message((const char *) data, size);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(input_context);
		check_error();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	MemoryContextReset(input_context);
	if (nprefixes > SCHEMAS_TO_KEEP)
		forget_schemas();
	return 0;
}

static void
run_message(const char *data, size_t size)
{
	const char *end = memchr(data, '\n', size);
	size_t		line = end == NULL ? size : end - data;
	Datum		producer = producers[(unsigned char) data[0] % nproducers];
	text	   *key = exact_text(data + 1, line > 0 ? line - 1 : 0);
	text	   *value = end == NULL ? NULL : exact_text(end + 1, size - line - 1);

	if (key)
		check_scan(VARDATA(key), VARSIZE(key) - VARHDRSZ);
	if (value)
		check_scan(VARDATA(value), VARSIZE(value) - VARHDRSZ);
	call_door(&decode_door, key, value, producer);
	call_door(data[0] >= 'A' ? &apply_door : &decode_door, key, value, producer);
}

static void
check_scan(const char *json, int len)
{
	for (int depth = 1; depth <= 2; depth++)
	{
		CdcFieldLevels quick = {.depth = depth};
		FieldCollector parsed = {.found = {.depth = depth}};

		if (!cdc_decode_scan(json, len, &quick))
			continue;
		if (parse_text(&parsed, json, len) != JSON_SUCCESS ||
			!same_fields(&quick.levels[0], &parsed.found.levels[0]) ||
			!same_fields(&quick.levels[1], &parsed.found.levels[1]))
		{
			fprintf(stderr, "scan and parser differ: %.*s\n", len, json);
			abort();
		}
		for (int i = 0; i < quick.levels[0].n && depth > 1; i++)
		{
			if (quick.first_child[i] != parsed.found.first_child[i])
				abort();
		}
	}
}

static bool
same_fields(const CdcFieldList *a, const CdcFieldList *b)
{
	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
	{
		const CdcField *x = &a->fields[i];
		const CdcField *y = &b->fields[i];

		if (x->name != y->name || x->namelen != y->namelen || x->token.type != y->token.type ||
			x->token.raw != y->token.raw || x->token.rawlen != y->token.rawlen ||
			x->token.escaped != y->token.escaped)
			return false;
	}
	return true;
}

static void
check_error(void)
{
	ErrorData  *error = CopyErrorData();

	FlushErrorState();
	if (error->sqlerrcode == ERRCODE_INTERNAL_ERROR)
	{
		fprintf(stderr, "internal error: %s (%s, %s:%d)\n", error->message, error->funcname,
				error->filename, error->lineno);
		abort();
	}
}

static Datum
call_door(FmgrInfo *door, text *key, text *value, Datum producer)
{
	LOCAL_FCINFO(fcinfo, 5);

	InitFunctionCallInfoData(*fcinfo, door, 5, InvalidOid, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){CStringGetTextDatum(TOPIC), false};
	fcinfo->args[1] = (NullableDatum){PointerGetDatum(key), key == NULL};
	fcinfo->args[2] = (NullableDatum){PointerGetDatum(value), value == NULL};
	fcinfo->args[3] = (NullableDatum){producer, false};
	fcinfo->args[4] = (NullableDatum){CStringGetTextDatum("any"), false};
	return FunctionCallInvoke(fcinfo);
}

static text *
exact_text(const char *data, size_t size)
{
	text	   *copy;

	if (size == 0)
		return NULL;
	copy = palloc(VARHDRSZ + size);
	SET_VARSIZE(copy, VARHDRSZ + size);
	memcpy(VARDATA(copy), data, size);
	return copy;
}

/* With what relation.c knows by the address of a schema */
static void
forget_schemas(void)
{
	MemoryContextDelete(prefix_context);
	prefix_context = NULL;
	dlist_init(&prefixes);
	nprefixes = 0;
	memset(hinted_prefixes, 0, sizeof(hinted_prefixes));
	InvalidateSystemCaches();
}
