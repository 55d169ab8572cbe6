/* media.h — what a client names by URL and a provider takes only as bytes (fetch_media)
 * Owns:     nothing; the list lives as long as the request.
 * Process:  any; pure.
 * Memory:   the arena given in.
 * Fails:    media_inline() with the text of the one that could not be had.
 * Not here: fetching (dataplane/media.c), which addresses may be dialled (wire/url.h).
 * Source of the signatures: PNG, JPEG, GIF, WebP, PDF, RIFF/WAVE, ID3 and MPEG audio frame headers. */
#pragma once

#include "proto/dialect/chat.h"

enum { MEDIA_MOST = 32, MEDIA_BYTES = 20 * 1024 * 1024 };

struct media {
    struct media *next;
    struct str url;
    enum part_kind kind; /* IMAGE, DOCUMENT, AUDIO: what it was named as first */
    const char *failed;  /* why it cannot be had; NULL: not tried yet, or here */
    bool is_here;        /* type and base64 are set */
    struct str type, base64;
};

struct media_list {
    struct media *first, *last;
    unsigned n;
};

/* Parts by http(s) URL that the target takes only as bytes get them from the list. What is not there yet is added to it: *ret_wanted
 * counts what has to be fetched first. bytes_only: the target takes no URL at all, whatever its dialect says. */
enum weir_err media_inline(struct chat *chat, const struct dialect *target, bool bytes_only, struct media_list *list,
                           struct arena *a, unsigned *ret_wanted, struct str *ret_why);

/* Media in the request's own base64, as every provider takes it: pictures and PDFs with the type that their first bytes tell (providers
 * refuse a PNG that is called JPEG), types small and without parameters, base64 of the standard alphabet, padded, without white space.
 * Text files become text where the target takes no other. What is no base64 stays as it is, for the provider to judge. */
void media_settle(struct chat *chat, const struct dialect *target, struct arena *a);

/* What bytes are, by how they begin (what a server says of them is not believed); of sound OpenAI's word. Empty: no part of this kind. */
struct str media_type_of(enum part_kind kind, struct str first_bytes);
const char *media_types(enum part_kind kind); /* "it is no PNG …": why there is no type */
/* "image", "document", "audio": for texts. */
const char *media_word(enum part_kind kind);
/* "https://host/path", without a query (it may hold a secret) and not too long. */
struct str media_name(struct str url);
/* The origin and the rest of a URL, the fragment left out; false: a byte that no URL may have. */
bool media_split_url(struct str url, struct str *ret_origin, struct str *ret_target);
