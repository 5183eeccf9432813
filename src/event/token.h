/*
 * token.h
 *		What a token says, in whatever format it was written.
 *
 * Each wire format has one table of functions, and its tokens point to it.  A format whose
 * bytes say nothing without a type (Avro) makes the table the first member of the type, one
 * for each.
 */
#ifndef CDC_TOKEN_H
#define CDC_TOKEN_H

#include "base/printable.h"
#include "event/event.h"

/*
 * Results are in CurrentMemoryContext; tokens in them point into the message's bytes.  All
 * but print() may raise a data error.
 */
typedef struct CdcTokenOps
{
	/* A string without its escapes, or the text of a number or boolean; NUL-terminated */
	char	   *(*string) (const CdcToken *token);

	/* A whole number in the range of int64; false if it is none */
	bool		(*integer) (const CdcToken *token, int64 *result);

	/* Of Connect's type bytes, which come as strings: after reserve bytes of room; NULL if it is none */
	char	   *(*bytes) (const CdcToken *token, int reserve, int *nbytes);

	/* Of an object and of an array */
	CdcField   *(*members) (const CdcToken *token, int *nmembers);
	CdcToken   *(*elements) (const CdcToken *token, int *nelems);

	/* For people, of any token: JSON's text as it stands */
	char	   *(*print) (const CdcToken *token);
} CdcTokenOps;

static inline char *
cdc_token_string(const CdcToken *token)
{
	Assert(token->type != CDC_TOKEN_NULL);
	return token->ops->string(token);
}

/* Also of a token that is not there */
static inline bool
cdc_token_integer(const CdcToken *token, int64 *result)
{
	return token->type != CDC_TOKEN_NULL && token->ops->integer(token, result);
}

static inline char *
cdc_token_bytes(const CdcToken *token, int reserve, int *nbytes)
{
	return token->type == CDC_TOKEN_STRING ? token->ops->bytes(token, reserve, nbytes) : NULL;
}

static inline CdcField *
cdc_token_members(const CdcToken *token, int *nmembers)
{
	Assert(token->type == CDC_TOKEN_OBJECT);
	return token->ops->members(token, nmembers);
}

static inline CdcToken *
cdc_token_elements(const CdcToken *token, int *nelems)
{
	Assert(token->type == CDC_TOKEN_ARRAY);
	return token->ops->elements(token, nelems);
}

static inline char *
cdc_token_print(const CdcToken *token)
{
	return token->type == CDC_TOKEN_NULL ? pstrdup("null") : token->ops->print(token);
}

/* The beginning of that, fit for an error message */
static inline char *
cdc_token_excerpt(const CdcToken *token)
{
	char	   *text = cdc_token_print(token);

	return cdc_excerpt(text, strlen(text));
}

/*
 * The characters of a string in the message itself, with its escapes: what most strings
 * have none of, and what has no letter that a format could escape (a UUID, a number, a word
 * of Debezium's) needs no more.
 */
static inline const char *
cdc_token_chars(const CdcToken *token, int *len)
{
	Assert(token->type == CDC_TOKEN_STRING);
	*len = token->rawlen;
	return token->raw;
}

/* Is it the string of these characters?  They must need no escapes */
#define cdc_token_is(token, literal) \
	((token)->type == CDC_TOKEN_STRING && \
	 (token)->rawlen == sizeof(literal) - 1 && \
	 memcmp((token)->raw, (literal), sizeof(literal) - 1) == 0)

/* The same of a field's name */
#define cdc_field_is(field, literal) \
	((field)->namelen == sizeof(literal) - 1 && \
	 memcmp((field)->name, (literal), sizeof(literal) - 1) == 0)

#endif							/* CDC_TOKEN_H */
