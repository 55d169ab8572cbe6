/* url.h — base URLs of providers, and percent-decoding of paths
 * Owns:     nothing; views into the text.
 * Process:  any; pure.
 * Memory:   none.
 * Fails:    url_parse() with a text that names what is wrong: scheme, user info, fragment, query, white space, backslash, host characters.
 * Not here: resolving; which addresses may be dialled is url_address_is_private() plus the provider's flag. */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/str.h"

struct url {
    bool tls;
    struct str host; /* without brackets; lower case is not forced */
    uint16_t port;   /* given or the scheme's */
    struct str path; /* starts with '/', no slash at the end; empty for none */
    bool is_ip;
    bool explicit_port;
};

bool url_parse(struct str text, struct url *ret_url, const char **ret_why);
/* "host", "host:port", "[v6]:port": what a Host header or listen address holds. */
bool url_parse_authority(struct str text, struct str *ret_host, uint16_t *ret_port, const char **ret_why);
/* false on a broken escape or an encoded NUL. */
bool url_percent_decode(struct str text, struct buf *out);
/* RFC 3986 §2.3: letters, digits, '-' '.' '_' '~' */
bool url_is_unreserved(char c);
/* Escapes all but the unreserved characters and those in `keep` ("" for a query value or one segment of a path). */
void url_percent_encode(struct str text, const char *keep, struct buf *out);

/* Loopback, private, link-local, CGNAT, multicast, unspecified, documentation, 6to4 / NAT64 / mapped forms of these.
 * family 4: ip[0..3]; 6: ip[0..15]. Source: IANA special-purpose address registries. */
bool url_address_is_private(int family, const uint8_t ip[16]);
/* 169.254/16, fe80::/10 and Amazon's fd00:ec2::/32: where clouds keep their metadata. */
bool url_address_is_link_local(int family, const uint8_t ip[16]);
bool url_parse_ip(struct str host, int *ret_family, uint8_t ret_ip[16]);
