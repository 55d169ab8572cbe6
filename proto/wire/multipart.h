/* multipart.h — one field of a multipart/form-data body, found without taking the body apart
 * Owns:     nothing; views into the body.
 * Process:  any; pure.
 * Memory:   none, whatever the size of the body.
 * Fails:    MULTIPART_BAD where the body does not follow its boundary, or a part's head may be the field's to another parser (folded or
 *           bare line ends, name*, escapes in the name); MULTIPART_TWICE where the field stands twice.
 * Not here: sending files on (their bytes stay as they came), limits on the body (http1).
 * Source: RFC 7578, RFC 2046 §5.1. */
#pragma once

#include "proto/base/str.h"

enum { MULTIPART_BOUNDARY_BYTES = 70 }; /* RFC 2046: the longest one */

/* Of a content-type header's value. false: it is not multipart/form-data, or its boundary cannot be read. */
bool multipart_boundary(struct str content_type, struct str *ret_boundary);

enum multipart_find { MULTIPART_ABSENT, MULTIPART_FOUND, MULTIPART_TWICE, MULTIPART_BAD };
/* The value of the field without a file name that is called `name`; a view into the body. */
enum multipart_find multipart_find(struct str body, struct str boundary, const char *name, struct str *ret_value);
/* The same for a part with a file name; ret_type: its content-type, empty where it says none. */
enum multipart_find multipart_find_file(struct str body, struct str boundary, const char *name, struct str *ret_type,
                                        struct str *ret_value);
