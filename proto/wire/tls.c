#include "proto/wire/tls.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/wire/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>

/* The special difficulties, each learnt by hanging or by reading mbedTLS:
 * - mbedtls_ssl_read() says WANT_READ although input is left (between the steps of a TLS 1.3 ticket): only our own on_recv() knows that
 *   the input is used up, so `starved` decides when to stop.
 * - A TLS 1.3 ticket is announced by an error code and must be taken out at once, before the next call; one of TLS 1.2 is taken after
 *   the handshake.
 * - Nothing tells whether a session was resumed, but only a full handshake shows a certificate: on_certificate() was not called. */

enum {
    PLAIN_BYTES = 4096,      /* room made for one read; what is left of a larger record is read in one piece */
    MAX_TICKET_BYTES = 4095, /* of the contract */
};

struct tls_trust {
    mbedtls_ssl_config conf;
    mbedtls_ssl_config conf12; /* TLS 1.2 without RSA-PSS: see `signatures` */
    mbedtls_x509_crt authorities;
    unsigned users; /* its owner and its connections */

    uint64_t no_pss[32]; /* hashes of hosts that need conf12; the oldest is overwritten */
    unsigned no_pss_next;
};

struct tls {
    mbedtls_ssl_context ssl;
    struct tls_trust *trust;
    enum tls_state state;

    struct str in; /* what the caller feeds */
    bool starved;  /* mbedTLS asked for more than there was */
    struct buf out;

    bool offered;   /* a session was offered */
    bool is_conf12; /* met with the trust's conf12 */
    bool redial;    /* the trust has learnt something from the failure */
    bool full;      /* the server showed a certificate */
    bool is_ip;     /* host is an address: checked here, and not sent as SNI */
    uint8_t ip[16]; /* with is_ip */
    uint8_t ip_bytes;

    struct buf ticket;
    char *host;
    char about[128]; /* what on_certificate() found worth telling */
    char reason[256];
};

/* ---- Trust ---- */

static const char *const alpn[] = {"http/1.1", NULL};

/* mbedTLS offers RSA-PSS to every server but takes it from those of TLS 1.3 only. A server of TLS 1.2 that picks by our order must
 * find PKCS#1 first. One that picks by its own order fails the handshake once (OpenSSL with an RSA key and server preference); its
 * host is then remembered, and the next try is made with TLS 1.2 and no PSS. */
static const uint16_t signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE,
};

static const uint16_t signatures12[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE,
};

/* Authenticated encryption with forward secrecy only. ChaCha first: without it mbedTLS moves a third fewer bytes a second. */
static const int ciphers[] = {
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

/* The first one's key share is sent: X25519 is what servers prefer, another would cost a round trip. */
static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

static void trust_drop(struct tls_trust *t)
{
    if (--t->users > 0) return;
    mbedtls_ssl_config_free(&t->conf);
    mbedtls_ssl_config_free(&t->conf12);
    mbedtls_x509_crt_free(&t->authorities);
    free(t);
}

void tls_trust_free(struct tls_trust **t)
{
    if (*t != NULL) trust_drop(*t);
    *t = NULL;
}

static bool configure(struct tls_trust *t, mbedtls_ssl_config *conf, const uint16_t *sig_algs)
{
    if (mbedtls_ssl_config_defaults(conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_alpn_protocols(conf, (const char **)(uintptr_t)alpn) != 0)
        return false;
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(conf, &t->authorities, NULL);
    mbedtls_ssl_conf_rng(conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_sig_algs(conf, sig_algs);
    mbedtls_ssl_conf_ciphersuites(conf, ciphers);
    mbedtls_ssl_conf_groups(conf, groups);
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(conf,
                                                             MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    return true;
}

static uint64_t hash_of(const char *host)
{
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */
    for (; *host != '\0'; host++) {
        unsigned char c = (unsigned char)*host;
        h = (h ^ (c >= 'A' && c <= 'Z' ? c | 0x20u : c)) * 0x100000001B3u;
    }
    return h;
}

static bool needs_conf12(const struct tls_trust *t, const char *host)
{
    uint64_t h = hash_of(host);
    for (size_t i = 0; i < sizeof t->no_pss / sizeof t->no_pss[0]; i++)
        if (t->no_pss[i] == h) return true;
    return false;
}

static void remember_conf12(struct tls_trust *t, const char *host)
{
    if (needs_conf12(t, host)) return;
    t->no_pss[t->no_pss_next++ % (sizeof t->no_pss / sizeof t->no_pss[0])] = hash_of(host);
}

static int parse_pem(struct tls_trust *t, struct str pem)
{
    char *text = xmalloc(pem.n + 1); /* mbedTLS wants PEM with its NUL */
    memcpy(text, pem.p, pem.n);
    text[pem.n] = '\0';
    int bad = mbedtls_x509_crt_parse(&t->authorities, (const unsigned char *)text, pem.n + 1);
    free(text);
    return bad;
}

/* A bundle with some certificates that cannot be read is used as far as it can be: systems ship such. */
static const char *load_authorities(struct tls_trust *t, struct str pem)
{
    static char why[320];
    const char *file = getenv("SSL_CERT_FILE");
    if (file == NULL || file[0] == '\0') file = "/etc/ssl/certs/ca-certificates.crt";
    int bad = pem.n > 0 ? parse_pem(t, pem) : mbedtls_x509_crt_parse_file(&t->authorities, file);
    if (t->authorities.version != 0) return NULL;
    if (pem.n > 0) return "no certificate in the CA text";
    snprintf(why, sizeof why, "no CA certificate in %.200s (%s)", file,
             bad == MBEDTLS_ERR_PK_FILE_IO_ERROR || bad == MBEDTLS_ERR_X509_FILE_IO_ERROR ? "cannot be read"
                                                                                          : "none is valid");
    return why;
}

struct tls_trust *tls_trust_new(struct str pem, const char **ret_why)
{
    struct tls_trust *t = xcalloc(1, sizeof *t);
    t->users = 1;
    mbedtls_ssl_config_init(&t->conf);
    mbedtls_ssl_config_init(&t->conf12);
    mbedtls_x509_crt_init(&t->authorities);
    const char *why = psa_crypto_init() == PSA_SUCCESS ? NULL : "no random numbers from the system";
    if (why == NULL) why = load_authorities(t, pem);
    if (why == NULL && !(configure(t, &t->conf, signatures) && configure(t, &t->conf12, signatures12)))
        why = "TLS cannot be set up";
    mbedtls_ssl_conf_max_tls_version(&t->conf12, MBEDTLS_SSL_VERSION_TLS1_2);
    if (why != NULL) {
        *ret_why = why;
        tls_trust_free(&t);
    }
    return t;
}

/* ---- Between mbedTLS and the bufs ---- */

static int on_send(void *p, const unsigned char *bytes, size_t n)
{
    struct tls *t = p;
    buf_add(&t->out, (struct str){(const char *)bytes, n});
    return (int)n;
}

static int on_recv(void *p, unsigned char *bytes, size_t n)
{
    struct tls *t = p;
    if (t->in.n == 0) {
        t->starved = true;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    if (n > t->in.n) n = t->in.n;
    memcpy(bytes, t->in.p, n);
    t->in = str_slice(t->in, n, t->in.n);
    return (int)n;
}

/* ---- Certificates ---- */

static void add_printable(char *to, size_t room, const unsigned char *p, size_t n)
{
    size_t at = strlen(to);
    for (size_t i = 0; i < n && at + 1 < room; i++) to[at++] = p[i] > 0x20 && p[i] < 0x7F ? (char)p[i] : '?';
    to[at] = '\0';
}

enum {
    SAN_TAG = 0xC0 | 0x20 | 0x1F,
    SAN_DNS = 0x82,
    SAN_IP = 0x87
}; /* RFC 5280 §4.2.1.6: [2] dNSName, [7] iPAddress */

static bool has_ip(const mbedtls_x509_crt *crt, const uint8_t *ip, size_t n)
{
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next)
        if (s->buf.tag == SAN_IP && s->buf.len == n && memcmp(s->buf.p, ip, n) == 0) return true;
    return false;
}

/* The first names that the certificate is for: what one looks for when a name is wrong. */
static void tell_names(const mbedtls_x509_crt *crt, char *to, size_t room)
{
    int named = 0;
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL && named < 2; s = s->next) {
        if (s->buf.tag != SAN_DNS || s->buf.p == NULL) continue;
        if (named++ > 0) add_printable(to, room, (const unsigned char *)",", 1);
        add_printable(to, room, s->buf.p, s->buf.len < 48 ? s->buf.len : 48);
    }
}

static void tell_time(const mbedtls_x509_time *when, const char *text, char *to, size_t room)
{
    snprintf(to, room, "%s%04d-%02d-%02d", text, when->year, when->mon, when->day);
}

static void tell_clock(char *to, size_t room)
{
    time_t now = (time_t)(clock_wall_ns() / 1000000000u);
    struct tm tm;
    size_t at = strlen(to);
    if (gmtime_r(&now, &tm) != NULL) strftime(to + at, room - at, ", and the clock here says %Y-%m-%d", &tm);
}

static bool is_self_issued(const mbedtls_x509_crt *crt)
{
    return crt->issuer_raw.len == crt->subject_raw.len &&
           memcmp(crt->issuer_raw.p, crt->subject_raw.p, crt->subject_raw.len) == 0;
}

/* Called for each certificate of the chain, the server's last (depth 0). It adds faults and never takes one away. */
static int on_certificate(void *p, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls *t = p;
    t->full = true;
    if (depth == 0 && !mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
        *flags |=
            MBEDTLS_X509_BADCERT_CN_MISMATCH; /* mbedTLS would look at the common name: RFC 9525 §6.3 forbids it */
    if (depth == 0 && t->is_ip && !has_ip(crt, t->ip, t->ip_bytes)) *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if (*flags & MBEDTLS_X509_BADCERT_EXPIRED) {
        tell_time(&crt->valid_to, " on ", t->about, sizeof t->about);
    } else if (*flags & MBEDTLS_X509_BADCERT_FUTURE) {
        tell_time(&crt->valid_from, ": it begins on ", t->about, sizeof t->about);
        tell_clock(t->about, sizeof t->about);
    } else if (*flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        t->about[0] = '\0';
        if (is_self_issued(crt)) add_printable(t->about, sizeof t->about, (const unsigned char *)"self", 4);
    } else if (*flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) {
        tell_names(crt, t->about, sizeof t->about);
    }
    return 0;
}

/* Most telling fault first: a chain that is expired is often "not trusted" as well. */
static void explain_certificate(struct tls *t, uint32_t flags)
{
    const char *about = t->about;
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED)
        snprintf(t->reason, sizeof t->reason, "certificate expired%s", about);
    else if (flags & MBEDTLS_X509_BADCERT_FUTURE)
        snprintf(t->reason, sizeof t->reason, "certificate is not yet valid%s", about);
    else if (flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY))
        snprintf(t->reason, sizeof t->reason, "certificate has too weak a key or signature");
    else if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        snprintf(t->reason, sizeof t->reason,
                 strcmp(about, "self") == 0 ? "certificate is self-signed"
                                            : "certificate is from an unknown authority");
    else if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        snprintf(t->reason, sizeof t->reason, "certificate is for another name%s%s, not %.80s",
                 about[0] != '\0' ? ": " : "", about, t->host);
    else if (flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE))
        snprintf(t->reason, sizeof t->reason, "certificate is not for servers");
    else
        snprintf(t->reason, sizeof t->reason, "certificate is not valid (0x%x)", (unsigned)flags);
}

/* ---- Faults ---- */

/* RFC 8446 §6.2. mbedTLS has no accessor for the alert it received. */
static void explain_alert(struct tls *t)
{
    unsigned alert = t->ssl.MBEDTLS_PRIVATE(in_msg) != NULL ? t->ssl.MBEDTLS_PRIVATE(in_msg)[1] : 0;
    const char *text = alert == 40    ? "no common cipher or group"
                       : alert == 70  ? "it wants another TLS version"
                       : alert == 112 ? "it does not know the name"
                       : alert == 116 ? "it wants a client certificate"
                       : alert == 120 ? "it does not speak HTTP/1.1"
                                      : "see RFC 8446 §6.2";
    snprintf(t->reason, sizeof t->reason, "the server refused: alert %u, %s", alert, text);
}

static void explain(struct tls *t, int e)
{
    const char *text = NULL;
    uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
    switch (e) {
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
        if (flags != 0 && flags != UINT32_MAX) {
            explain_certificate(t, flags);
            return;
        }
        text = "certificate cannot be read";
        break;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: explain_alert(t); return;
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION: text = "the server speaks neither TLS 1.2 nor 1.3"; break;
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE: text = "no common cipher or group"; break;
    case MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER: text = "the server chose what was not offered"; break;
    case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL: text = "the server does not speak HTTP/1.1"; break;
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        text = tls_is_handshake_done(t) ? "a broken record" : "the server does not speak TLS";
        break;
    case MBEDTLS_ERR_SSL_INVALID_MAC: text = "a record was changed on its way"; break;
    default: break;
    }
    if (text != NULL) {
        snprintf(t->reason, sizeof t->reason, "%s", text);
        return;
    }
    char words[120] = "";
    mbedtls_strerror(e, words, sizeof words);
    snprintf(t->reason, sizeof t->reason, "%s (-0x%04x)", words, (unsigned)-e);
}

static enum tls_state fail(struct tls *t, int e)
{
    if (e == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER && !tls_is_handshake_done(t) && !t->is_conf12 &&
        mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_2) {
        remember_conf12(t->trust, t->host);
        t->redial = true;
    }
    if (t->state != TLS_BAD) explain(t, e);
    return t->state = TLS_BAD;
}

/* ---- Life ---- */

static void set_address(struct tls *t, struct str host)
{
    int family = 0;
    t->is_ip = url_parse_ip(host, &family, t->ip);
    t->ip_bytes = family == 4 ? 4 : 16;
}

static void offer_session(struct tls *t, struct str ticket)
{
    mbedtls_ssl_session s;
    mbedtls_ssl_session_init(&s);
    if (mbedtls_ssl_session_load(&s, (const unsigned char *)ticket.p, ticket.n) == 0 &&
        mbedtls_ssl_set_session(&t->ssl, &s) == 0)
        t->offered = true;
    mbedtls_ssl_session_free(&s);
}

struct tls *tls_new(struct tls_trust *trust, struct str host, struct str ticket)
{
    if (host.n == 0 || memchr(host.p, '\0', host.n) != NULL) return NULL;
    struct tls *t = xcalloc(1, sizeof *t);
    t->host = memcpy(xcalloc(1, host.n + 1), host.p, host.n);
    t->trust = trust;
    trust->users++;
    mbedtls_ssl_init(&t->ssl);
    set_address(t, host);
    /* mbedTLS sends every host it is given as SNI, which RFC 6066 §3 forbids for addresses: those are checked in on_certificate(). */
    t->is_conf12 = needs_conf12(trust, t->host);
    if (mbedtls_ssl_setup(&t->ssl, t->is_conf12 ? &trust->conf12 : &trust->conf) != 0 ||
        mbedtls_ssl_set_hostname(&t->ssl, t->is_ip ? NULL : t->host) != 0) {
        tls_free(&t);
        return NULL;
    }
    mbedtls_ssl_set_verify(&t->ssl, on_certificate, t);
    mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
    if (ticket.n > 0) offer_session(t, ticket);
    return t;
}

void tls_free(struct tls **pt)
{
    struct tls *t = *pt;
    *pt = NULL;
    if (t == NULL) return;
    mbedtls_ssl_free(&t->ssl);
    trust_drop(t->trust);
    buf_fini(&t->out);
    buf_fini(&t->ticket);
    free(t->host);
    free(t);
}

/* ---- Sessions ---- */

static void take_session(struct tls *t)
{
    mbedtls_ssl_session s;
    size_t n = 0;
    mbedtls_ssl_session_init(&s);
    buf_clear(&t->ticket);
    if (mbedtls_ssl_get_session(&t->ssl, &s) == 0 &&
        mbedtls_ssl_session_save(&s, (unsigned char *)buf_reserve(&t->ticket, MAX_TICKET_BYTES), MAX_TICKET_BYTES,
                                 &n) == 0)
        buf_commit(&t->ticket, n);
    mbedtls_ssl_session_free(&s);
}

bool tls_ticket(struct tls *t, struct buf *out)
{
    if (buf_len(&t->ticket) == 0) return false;
    buf_add(out, buf_view(&t->ticket));
    buf_fini(&t->ticket);
    return true;
}

bool tls_should_redial(const struct tls *t)
{
    return t->redial;
}

bool tls_was_resumed(const struct tls *t)
{
    return tls_is_handshake_done(t) && t->offered && !t->full;
}

bool tls_is_handshake_done(const struct tls *t)
{
    return mbedtls_ssl_is_handshake_over((mbedtls_ssl_context *)(uintptr_t)&t->ssl) != 0;
}

/* ---- Bytes ---- */

/* Not an error but a pause: go on while there is input. */
static bool is_pause(int e)
{
    return e == MBEDTLS_ERR_SSL_WANT_READ || e == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static enum tls_state shake_hands(struct tls *t)
{
    for (;;) {
        t->starved = false;
        int e = mbedtls_ssl_handshake(&t->ssl);
        if (e == 0) break;
        if (e == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            take_session(t);
        else if (!is_pause(e))
            return fail(t, e);
        else if (t->starved)
            return TLS_MORE;
    }
    if (mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_2) take_session(t);
    return t->state = TLS_READY;
}

static enum tls_state read_plain(struct tls *t, struct buf *plain)
{
    for (;;) {
        t->starved = false;
        size_t room = mbedtls_ssl_get_bytes_avail(&t->ssl);
        if (room < PLAIN_BYTES) room = PLAIN_BYTES;
        int n = mbedtls_ssl_read(&t->ssl, (unsigned char *)buf_reserve(plain, room), room);
        if (n > 0)
            buf_commit(plain, (size_t)n);
        else if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            take_session(t);
        else if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
            return t->state = TLS_CLOSED;
        else if (n != 0 && !is_pause(n))
            return fail(t, n);
        else if (t->starved)
            return TLS_READY;
    }
}

enum tls_state tls_feed(struct tls *t, struct str cipher, struct buf *plain)
{
    if (t->state == TLS_BAD || t->state == TLS_CLOSED) return t->state;
    t->in = cipher;
    enum tls_state s = t->state;
    if (s == TLS_MORE) s = shake_hands(t);
    if (s == TLS_READY) s = read_plain(t, plain);
    t->in = STR_NULL; /* nothing is left but behind a close or a fault */
    return s;
}

enum tls_state tls_start(struct tls *t)
{
    return t->state == TLS_MORE ? shake_hands(t) : t->state;
}

void tls_write(struct tls *t, struct str plain)
{
    while (plain.n > 0 && t->state == TLS_READY) {
        int n = mbedtls_ssl_write(&t->ssl, (const unsigned char *)plain.p, plain.n);
        if (n > 0)
            plain = str_slice(plain, (size_t)n, plain.n);
        else if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            take_session(t);
        else if (!is_pause(n))
            fail(t, n);
    }
}

void tls_close(struct tls *t)
{
    if (t->state == TLS_READY || t->state == TLS_CLOSED) mbedtls_ssl_close_notify(&t->ssl);
}

struct buf *tls_out(struct tls *t)
{
    return &t->out;
}

const char *tls_reason(const struct tls *t)
{
    return t->reason;
}
