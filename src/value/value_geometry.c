/*
 * value_geometry.c
 *		The server's geometric types, PostGIS's, and pgvector's.
 *
 * Of the server's own, Debezium knew only point before 3.7: the others came as the text of
 * an unknown type.  Since then lseg, box, path and polygon come as WKB, which has neither
 * of them: they are made again from the points.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "event/token.h"
#include "value/value_convert.h"

#define WKB_LINE_STRING	2
#define WKB_POLYGON		3
#define EWKB_SRID		0x20000000

/* A reader of WKB */
typedef struct Wkb
{
	const unsigned char *p;
	const unsigned char *end;
	bool		little;
} Wkb;

typedef struct Vertex
{
	double		x;
	double		y;
} Vertex;

static void
append_point(StringInfo buf, CdcConversion *c, const CdcToken *x, const CdcToken *y)
{
	appendStringInfo(buf, "(%s,%s)", cdc_value_double_text(c, x), cdc_value_double_text(c, y));
}

/* {"x":1.0,"y":2.0,…} */
static CdcValueStatus
convert_point(CdcConversion *c, Datum *value)
{
	static const char *const names[] = {"x", "y"};
	CdcToken	found[lengthof(names)];
	StringInfoData buf;

	cdc_value_members(c, names, lengthof(names), found);
	initStringInfo(&buf);
	append_point(&buf, c, &found[0], &found[1]);
	return cdc_value_set_input(c, buf.data, value);
}

/* {"a":1.0,"b":-1.0,"c":0.0} */
static CdcValueStatus
convert_line(CdcConversion *c, Datum *value)
{
	static const char *const names[] = {"a", "b", "c"};
	CdcToken	found[lengthof(names)];

	cdc_value_members(c, names, lengthof(names), found);
	return cdc_value_set_input(c, psprintf("{%s,%s,%s}", cdc_value_double_text(c, &found[0]),
										   cdc_value_double_text(c, &found[1]),
										   cdc_value_double_text(c, &found[2])), value);
}

/* {"center":{"x":1.0,"y":2.0,…},"radius":3.0} */
static CdcValueStatus
convert_circle(CdcConversion *c, Datum *value)
{
	static const char *const names[] = {"center", "radius"};
	static const char *const center_names[] = {"x", "y"};
	CdcToken	found[lengthof(names)];
	CdcToken	xy[lengthof(center_names)];
	CdcConversion center = *c;
	StringInfoData buf;

	cdc_value_members(c, names, lengthof(names), found);
	if (found[0].type != CDC_TOKEN_OBJECT)
		cdc_value_invalid(c);
	center.token = &found[0];
	cdc_value_members(&center, center_names, lengthof(center_names), xy);
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '<');
	append_point(&buf, c, &xy[0], &xy[1]);
	appendStringInfo(&buf, ",%s>", cdc_value_double_text(c, &found[1]));
	return cdc_value_set_input(c, buf.data, value);
}

static void
wkb_open(CdcConversion *c, const CdcToken *token, Wkb *wkb)
{
	int			n = 0;
	char	   *bytes = cdc_token_bytes(token, 0, &n);

	if (bytes == NULL || n < 1 || (unsigned char) bytes[0] > 1)
		cdc_value_invalid(c);
	wkb->p = (unsigned char *) bytes + 1;
	wkb->end = (unsigned char *) bytes + n;
	wkb->little = bytes[0] == 1;
}

static uint32
wkb_uint32(CdcConversion *c, Wkb *wkb)
{
	uint32		n;

	if (wkb->end - wkb->p < sizeof(n))
		cdc_value_invalid(c);
	memcpy(&n, wkb->p, sizeof(n));
	wkb->p += sizeof(n);
	n = pg_ntoh32(n);
	return wkb->little ? pg_bswap32(n) : n;
}

static double
wkb_double(CdcConversion *c, Wkb *wkb)
{
	uint64		n;
	double		result;

	if (wkb->end - wkb->p < sizeof(n))
		cdc_value_invalid(c);
	memcpy(&n, wkb->p, sizeof(n));
	wkb->p += sizeof(n);
	n = pg_ntoh64(n);
	if (wkb->little)
		n = pg_bswap64(n);
	memcpy(&result, &n, sizeof(result));
	return result;
}

static Vertex *
wkb_vertices(CdcConversion *c, Wkb *wkb, int *n)
{
	uint32		type = wkb_uint32(c, wkb);
	Vertex	   *vertices;

	if (type == WKB_POLYGON ? wkb_uint32(c, wkb) != 1 : type != WKB_LINE_STRING)
		cdc_value_invalid(c);
	*n = wkb_uint32(c, wkb);
	if (*n < 1 || (wkb->end - wkb->p) / (int) sizeof(Vertex) != *n ||
		(wkb->end - wkb->p) % sizeof(Vertex) != 0)
		cdc_value_invalid(c);
	vertices = palloc(*n * sizeof(Vertex));
	for (int i = 0; i < *n; i++)
	{
		vertices[i].x = wkb_double(c, wkb);
		vertices[i].y = wkb_double(c, wkb);
	}
	return vertices;
}

static void
append_vertex(StringInfo buf, const Vertex *v)
{
	appendStringInfo(buf, "(%s,%s)", float8out_internal(v->x), float8out_internal(v->y));
}

/* A box's ring has its corners at 0 and 2; a polygon's is closed by its first point again */
static char *
shape_text(CdcConversion *c, const Vertex *v, int n, bool closed)
{
	Oid			type = c->vt->base_type;
	bool		ring = n > 1 && v[0].x == v[n - 1].x && v[0].y == v[n - 1].y;
	StringInfoData buf;

	if ((type == BOXOID && n != 5) || (type == LSEGOID && n != 2))
		cdc_value_invalid(c);
	if (type == POLYGONOID && ring)
		n--;
	initStringInfo(&buf);
	if (type != BOXOID)
		appendStringInfoChar(&buf, type == LSEGOID || (type == PATHOID && !closed) ? '[' : '(');
	for (int i = 0; i < n; i += type == BOXOID ? 2 : 1)
	{
		if (type == BOXOID && i == 4)
			break;
		if (i > 0)
			appendStringInfoChar(&buf, ',');
		append_vertex(&buf, &v[i]);
	}
	if (type != BOXOID)
		appendStringInfoChar(&buf, type == LSEGOID || (type == PATHOID && !closed) ? ']' : ')');
	return buf.data;
}

/* Also checks that it is a shape of this type, for WKB does not say so */
static bool
is_closed(CdcConversion *c, const CdcToken *extensions)
{
	static const char *const names[] = {"type", "closed"};
	const char *type = format_type_be(c->vt->base_type);
	const char *chars;
	int			len;
	CdcToken	found[lengthof(names)];
	CdcConversion inner = *c;

	if (extensions->type != CDC_TOKEN_OBJECT)
		cdc_value_invalid(c);
	inner.token = extensions;
	cdc_value_members(&inner, names, lengthof(names), found);
	if (found[0].type != CDC_TOKEN_STRING)
		cdc_value_invalid(c);
	chars = cdc_token_chars(&found[0], &len);
	if (len != strlen(type) || memcmp(chars, type, len) != 0)
		cdc_value_invalid(c);
	return cdc_token_is(&found[1], "true");
}

/* {"wkb":"…","srid":null,"extensions":{"type":"path","closed":"true"}} */
static CdcValueStatus
convert_shape(CdcConversion *c, Datum *value)
{
	static const char *const names[] = {"wkb", "extensions"};
	CdcToken	found[lengthof(names)];
	Wkb			wkb;
	Vertex	   *vertices;
	int			n;

	cdc_value_members(c, names, lengthof(names), found);
	wkb_open(c, &found[0], &wkb);
	vertices = wkb_vertices(c, &wkb, &n);
	return cdc_value_set_input(c, shape_text(c, vertices, n, is_closed(c, &found[1])), value);
}

/*
 * The bytes are PostGIS's own, with the SRID in them: its input function takes them in
 * hex.  An SRID that stands beside them only is put before.
 */
static CdcValueStatus
convert_geometry(CdcConversion *c, Datum *value)
{
	static const char *const names[] = {"wkb", "srid"};
	CdcToken	found[lengthof(names)];
	Wkb			wkb;
	StringInfoData buf;
	int64		srid = 0;

	cdc_value_members(c, names, lengthof(names), found);
	if (found[1].type != CDC_TOKEN_NULL &&
		(!cdc_token_integer(&found[1], &srid) || srid < 0 || srid > PG_INT32_MAX))
		cdc_value_invalid(c);
	wkb_open(c, &found[0], &wkb);
	initStringInfo(&buf);
	if (srid != 0 && (wkb_uint32(c, &wkb) & EWKB_SRID) == 0)
		appendStringInfo(&buf, "SRID=%d;", (int) srid);
	wkb_open(c, &found[0], &wkb);
	for (const unsigned char *p = wkb.p - 1; p < wkb.end; p++)
		appendStringInfo(&buf, "%02X", *p);
	return cdc_value_set_input(c, buf.data, value);
}

/* [1.0,2.0] */
static CdcValueStatus
convert_vector(CdcConversion *c, Datum *value)
{
	int			n;
	CdcToken   *elements = cdc_token_elements(c->token, &n);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? "," : "", cdc_value_double_text(c, &elements[i]));
	appendStringInfoChar(&buf, ']');
	return cdc_value_set_input(c, buf.data, value);
}

static void
append_sparse_element(StringInfo buf, CdcConversion *c, const CdcToken *pair)
{
	int			n = 0;
	CdcToken   *tokens = NULL;

	if (pair->type == CDC_TOKEN_ARRAY)
		tokens = cdc_token_elements(pair, &n);
	if (n != 2 || tokens[0].type != CDC_TOKEN_NUMBER)
		cdc_value_invalid(c);
	appendStringInfo(buf, "%s:%s", cdc_token_string(&tokens[0]),
					 cdc_value_double_text(c, &tokens[1]));
}

/* {"dimensions":5,"vector":[[1,1.0],[3,2.0]]}: a map whose keys are no strings */
static CdcValueStatus
convert_sparse_vector(CdcConversion *c, Datum *value)
{
	static const char *const names[] = {"dimensions", "vector"};
	CdcToken	found[lengthof(names)];
	CdcToken   *pairs;
	int			n;
	StringInfoData buf;

	cdc_value_members(c, names, lengthof(names), found);
	if (found[0].type != CDC_TOKEN_NUMBER || found[1].type != CDC_TOKEN_ARRAY)
		cdc_value_invalid(c);
	pairs = cdc_token_elements(&found[1], &n);
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(&buf, ',');
		append_sparse_element(&buf, c, &pairs[i]);
	}
	appendStringInfo(&buf, "}/%s", cdc_token_string(&found[0]));
	return cdc_value_set_input(c, buf.data, value);
}

#define OBJECT CDC_FORM_OBJECT
#define ARRAY CDC_FORM_ARRAY

static const CdcConversionRule point_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_POINT, OBJECT, convert_point, OBJECT},
	{0}
};

static const CdcConversionRule line_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_LINE, OBJECT, convert_line, OBJECT},
	{0}
};

static const CdcConversionRule circle_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_CIRCLE, OBJECT, convert_circle, OBJECT},
	{0}
};

static const CdcConversionRule shape_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_GEOMETRY, OBJECT, convert_shape, OBJECT},
	{0}
};

static const CdcConversionRule geometry_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_GEOMETRY, OBJECT, convert_geometry, OBJECT},
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_GEOGRAPHY, OBJECT, convert_geometry},
	{0}
};

static const CdcConversionRule vector_rules[] = {
	{CDC_SCHEMA_ARRAY, CDC_SEMANTIC_DOUBLE_VECTOR, ARRAY, convert_vector, ARRAY},
	{CDC_SCHEMA_ARRAY, CDC_SEMANTIC_FLOAT_VECTOR, ARRAY, convert_vector},
	{0}
};

static const CdcConversionRule sparse_vector_rules[] = {
	{CDC_SCHEMA_STRUCT, CDC_SEMANTIC_SPARSE_VECTOR, OBJECT, convert_sparse_vector, OBJECT},
	{0}
};

/* PostGIS's types never came as a string; the vectors were unknown to Debezium before 3.0 */
const CdcValueKind cdc_value_geometry_kinds[] = {
	{POINTOID, NULL, {point_rules}, .rows_are_null = true},
	{LINEOID, NULL, {line_rules, cdc_value_opaque_rules}, .rows_are_null = true},
	{CIRCLEOID, NULL, {circle_rules, cdc_value_opaque_rules}, .rows_are_null = true},
	{BOXOID, NULL, {shape_rules, cdc_value_opaque_rules}, .rows_are_null = true},
	{LSEGOID, NULL, {shape_rules, cdc_value_opaque_rules}, .rows_are_null = true},
	{PATHOID, NULL, {shape_rules, cdc_value_opaque_rules}, .rows_are_null = true},
	{POLYGONOID, NULL, {shape_rules, cdc_value_opaque_rules}, .rows_are_null = true},
	{InvalidOid, "geography", {geometry_rules}, .rows_are_null = true},
	{InvalidOid, "geometry", {geometry_rules}, .rows_are_null = true},
	{InvalidOid, "halfvec", {vector_rules, cdc_value_opaque_rules}, .rows_are_null = true,.is_array = true},
	{InvalidOid, "sparsevec", {sparse_vector_rules, cdc_value_opaque_rules}, .rows_are_null = true},
	{InvalidOid, "vector", {vector_rules, cdc_value_opaque_rules}, .rows_are_null = true,.is_array = true},
	{InvalidOid}
};
