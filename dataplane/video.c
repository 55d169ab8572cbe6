#include "dataplane/video.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "dataplane/secret.h"
#include "proto/dialect/provider_type.h"

/* Of a fetched credential there is nothing that lasts as long as an id must: such an id is bound to the client's key alone. */
static struct str credential_at(const struct request *r, unsigned i)
{
    bool lasts = !r->provider->token && r->provider->secret != ID_NONE;
    return lasts ? snap_secret_at(r->gen->sn, r->provider, i) : STR_NULL;
}

static uint64_t print_at(const struct request *r, unsigned i)
{
    return video_print(credential_at(r, i));
}

static bool find_credential(struct request *r, const struct video_call *v)
{
    unsigned n = r->provider->secrets > 0 ? r->provider->secrets : 1;
    for (unsigned i = 0; i < n; i++)
        if (print_at(r, i) == v->id.print && video_id_is_good(&v->id, credential_at(r, i), v->caller)) {
            r->secret = (uint8_t)i;
            return true;
        }
    return false;
}

enum weir_err video_prepare(struct request *r, struct str *ret_why)
{
    struct video_call *v = r->call.video;
    v->form = provider_type_of(r->provider->type)->tasks ? VIDEO_ARK : VIDEO_OPENAI;
    v->task = v->location = STR_NULL;
    v->caller = STR_NULL;
    if (r->key != NULL) v->caller = (struct str){(const char *)r->key->sha256, sizeof r->key->sha256};
    if (v->op == VIDEO_LIST && (v->form != VIDEO_ARK || r->key != NULL)) {
        *ret_why = v->form != VIDEO_ARK
                       ? STR("a list is made of Seedance's tasks only")
                       : STR("a list would show the videos of all keys: the provider does not say whose each is. Keep "
                             "the ids that create gave");
        return WEIR_NOT_IMPLEMENTED;
    }
    if (v->op != VIDEO_CREATE && v->op != VIDEO_LIST) {
        if (find_credential(r, v)) return WEIR_OK;
        *ret_why = STR("no video of this id: it was made by another key, or the provider's key has changed since");
        return WEIR_UP_NOT_FOUND;
    }
    v->credential = credential_at(r, r->secret);
    v->id = (struct video_id){
        .provider = snap_text(r->gen->sn, r->provider->name), .model = r->call.model, .print = print_at(r, r->secret)};
    return WEIR_OK;
}
