/* Credential files and token answers: any bytes are read or refused, and what is read can stand in a header. The first byte picks
 * the reader. */
#include "proto/auth/aws.h"
#include "proto/auth/gcp_jwt.h"
#include "proto/auth/signer.h"
#include "proto/auth/token.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_header(struct str value)
{
    struct buf line = {0};
    if (!http1_write_header(&line, STR("x"), value)) abort();
    buf_fini(&line);
}

static void read_gcp(struct str text, struct arena *a)
{
    struct gcp_file f;
    struct str token;
    const char *why = NULL;
    struct buf body = {0};
    if (!gcp_file_read(text, a, &f, &why)) {
        if (why == NULL) abort();
        return;
    }
    if (f.type == GCP_AUTHORIZED_USER) gcp_refresh_body(&f, &body);
    if (f.type == GCP_EXTERNAL_ACCOUNT && gcp_subject_token(&f, text, a, &token))
        gcp_exchange_body(&f, token, GCP_SCOPE, &body);
    buf_fini(&body);
}

static void read_aws(struct aws_keys *k, bool ok)
{
    if (ok) {
        check_header(k->access_key_id);
        check_header(k->session_token);
    } else if (k->why.n == 0) {
        abort();
    }
}

static int no_random(void *context, unsigned char *out, size_t n)
{
    (void)context, (void)out, (void)n;
    return -1;
}

static void sign_with(struct str pem)
{
    struct gcp_file f = {.private_key_pem = pem};
    struct gcp_claims c = {.scope = GCP_SCOPE};
    struct buf out = {0};
    const char *why = NULL;
    if (gcp_jwt_write(&f, &c, 0, no_random, NULL, &out, &why) || why == NULL || buf_len(&out) > 0) abort();
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct token t;
    struct aws_keys k;
    struct credential c;
    if (size == 0) return 0;
    struct str text = {(const char *)data + 1, size - 1};
    uint16_t status = data[0] & 0x10 ? 200 : 400;
    arena_init(&a, 4096);
    switch (data[0] % 6) {
    case 0: read_gcp(text, &a); break;
    case 1:
        if (token_read(status, text, 1000, &a, &t))
            check_header(t.text);
        else if (t.why.n == 0)
            abort();
        break;
    case 2: read_aws(&k, aws_read_sts(status, text, &a, &k)); break;
    case 3: read_aws(&k, aws_read_json(status, text, &a, &k)); break;
    case 4: sign_with(text); break;
    default: {
        struct buf again = {0};
        if (credential_unpack(text, &c) && (!credential_pack(&c, &again) || !str_eq(buf_view(&again), text))) abort();
        buf_fini(&again);
    }
    }
    arena_fini(&a);
    return 0;
}
