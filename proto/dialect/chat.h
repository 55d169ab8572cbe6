/* chat.h — the hub: one form of a conversation, an answer and a stream step that every dialect reads into and writes from
 * Owns:     nothing; every view points into the arena that the reader was given.
 * Process:  any; sans-I/O.
 * Memory:   the arena. JSON that is only carried (schemas, arguments, numbers) stays text, so 2^53 + 1 stays what it is.
 * Fails:    never here; readers and writers say what they cannot read or carry.
 * Not here: a dialect's field names (openai_chat_*.c, anthropic_*.c), JSON trees (tree.h). */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/dialect/citation.h"
#include "proto/dialect/dialect.h"
#include "proto/money/usage.h"

/* ---- Parts: what a message is made of ---- */

enum part_kind {
    PART_TEXT,
    PART_IMAGE,
    PART_DOCUMENT,
    PART_AUDIO,
    PART_TOOL_CALL,
    PART_TOOL_RESULT,
    PART_REASONING,
    PART_REDACTED, /* reasoning that only its maker can read: `signature` holds it */
    PART_REFUSAL,
    PART_OTHER, /* a block that only its own dialect knows; `name` is its type. Never translated, always named as lost */
};

enum part_source { SOURCE_NONE, SOURCE_BASE64, SOURCE_URL, SOURCE_TEXT, SOURCE_FILE };

/* How long a cached prefix that ends here is to live. OpenAI's 30 m is the short one, its 12 h the long one. */
enum cache_mark { CACHE_NONE, CACHE_SHORT, CACHE_LONG };

struct part;
struct parts {
    struct part *first, *last;
    unsigned n;
};

struct part {
    struct part *next;
    enum part_kind kind;
    enum cache_mark cache;

    struct str text;     /* TEXT, REASONING, REFUSAL; TOOL_CALL of a custom tool: its input */
    struct str logprobs; /* TEXT of an answer: JSON array in OpenAI's form; empty: none */

    enum part_source source;    /* IMAGE, DOCUMENT, AUDIO */
    struct str media_type;      /* "image/png"; AUDIO: its format word ("wav") */
    struct str data;            /* base64 text, URL, plain text, or file id */
    struct str title;           /* DOCUMENT: file name or title */
    bool has_detail;            /* IMAGE: OpenAI's `detail` was given … */
    struct str detail;          /* … and its word */
    bool has_citations;         /* DOCUMENT: they are asked for; TEXT: they were there */
    struct citations citations; /* TEXT: what it rests on */

    struct str id;        /* TOOL_CALL, TOOL_RESULT: of the call */
    struct str name;      /* TOOL_CALL: of the function; OTHER: type of the block */
    struct str space;     /* TOOL_CALL: the namespace it stands in, for clients that know such */
    struct str arguments; /* TOOL_CALL: JSON text as the model wrote it, may be invalid */
    bool custom;          /* TOOL_CALL, TOOL_RESULT: of a custom tool (custom_tool.h) */
    bool is_error;        /* TOOL_RESULT */
    struct parts content; /* TOOL_RESULT: TEXT, IMAGE and DOCUMENT parts */

    struct str signature; /* REASONING: opaque proof of its maker; REDACTED: all of it */
    bool foreign;         /* REASONING: made by a provider of another dialect, its signature is a mark of ours */
};

enum role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT };

struct message {
    struct message *next;
    enum role role;
    struct parts parts;
    unsigned index; /* of the client's message, for error texts */
};

/* ---- A request ---- */

struct tool {
    struct tool *next;
    struct str name, description;
    struct str schema; /* JSON text; empty: no arguments */
    int8_t strict;     /* -1 not said */
    bool custom;       /* takes free text (custom_tool.h); schema: the same as a function */
    struct str format; /* custom: JSON of the grammar; empty: any text */
    enum cache_mark cache;
};

struct name {
    struct name *next;
    struct str text;
    struct str value; /* for renamed tools: what `text` stands for */
};

struct names {
    struct name *first, *last;
    unsigned n;
};

/* A member that several dialects have, each in its way, under OpenAI's name for it. */
struct shared {
    struct shared *next;
    const char *name;
    struct str said; /* as the client calls it */
    struct str json;
    bool taken; /* by a writer; what none took is named as lost */
};

/* What a request asked for, to be told again in its answer (Responses): JSON text, empty where it was not said. */
struct request_echo {
    struct str instructions, max_output_tokens, max_tool_calls, metadata, parallel_tool_calls, prompt_cache_key,
        reasoning, safety_identifier, temperature, text, tool_choice, tools, top_logprobs, top_p, truncation, user;
};

enum tool_choice { TOOLS_UNSET, TOOLS_AUTO, TOOLS_NONE, TOOLS_REQUIRED, TOOLS_ONE };
enum format { FORMAT_TEXT, FORMAT_JSON_OBJECT, FORMAT_JSON_SCHEMA };
enum effort {
    EFFORT_UNSET,
    EFFORT_NONE,
    EFFORT_MINIMAL,
    EFFORT_LOW,
    EFFORT_MEDIUM,
    EFFORT_HIGH,
    EFFORT_XHIGH,
    EFFORT_MAX
};
enum thinking { THINKING_UNSET, THINKING_OFF, THINKING_ADAPTIVE, THINKING_BUDGET };

struct chat {
    size_t used_before; /* of the arena, as reading began */
    struct message *messages;

    struct tool *tools;
    bool has_custom_tools;
    bool custom_as_such; /* set by a writer whose target knows custom tools */
    enum tool_choice tool_choice;
    struct str tool_choice_name; /* TOOLS_ONE */
    struct names allowed_tools;  /* a subset; empty: all */
    int8_t parallel_tools;       /* -1 not said */

    int64_t max_output;                   /* -1 not said */
    struct str temperature, top_p, top_k; /* number text; empty: not said */
    struct names stop;
    bool cut_stops; /* set by a writer that cannot send them: the answer is cut (stop_cut.h) */
    enum format format;
    struct str schema, schema_name, schema_description; /* JSON text of the schema */
    int8_t schema_strict;

    enum effort effort;
    enum thinking thinking;
    int64_t thinking_budget;
    bool budget_is_part;   /* it counts within max_output, as Claude's does */
    int8_t thinking_shown; /* Anthropic `display`: 1 summarized, 0 omitted, -1 not said */

    bool stream;
    int64_t choices;          /* n */
    struct str logprobs_said; /* the member that asked for logprobs, which is among the demands; empty: none did */
    int64_t top_logprobs;     /* alternatives for each token; 0 none */
    bool of_openai;           /* a client of OpenAI's: file ids, schemas and strictness follow its rules */
    bool old_functions;       /* OpenAI's first form of tools (`functions`): calls are told in it, too */
    struct shared *shared;
    const struct request_echo *echo; /* NULL: none is told */
    struct str user;
    struct str service_tier;
    enum cache_mark cache_all; /* Anthropic: automatic caching of the whole prefix */

    struct names document_ids; /* Cohere: of the request's documents, in their order */
    struct names hints;   /* fields of the client's dialect that only steer: dropped by another dialect, and named */
    struct names demands; /* fields whose loss would change the answer: refused by another dialect, by name */
    struct names
        spaces; /* of tools that stand in a namespace: text = the flat name, value = the namespace (Responses) */
    struct names renamed; /* set by a writer: tool names the target cannot take, text = sent, value = the client's */
};

/* ---- An answer ---- */

/* One vocabulary of why an answer ended. The words are also `finish` of struct exchange, logs and records. */
enum finish {
    FINISH_NONE, /* none seen */
    FINISH_STOP,
    FINISH_STOP_SEQUENCE,
    FINISH_TOOL_CALLS,
    FINISH_LENGTH,
    FINISH_CONTEXT_FULL,
    FINISH_CONTENT_FILTER,
    FINISH_REFUSAL,
    FINISH_PAUSE,
    FINISH_ERROR, /* OpenRouter: the provider behind it failed */
    FINISH_OTHER,
};

const char *finish_word(enum finish f); /* "stop", "length" …; "" for FINISH_NONE */

struct answer {
    struct str id, model;
    int64_t created_s; /* 0 unknown */
    struct parts parts;
    enum finish finish;
    struct str stop_sequence;
    struct usage usage;
    unsigned choices;        /* that were there; parts are the first one's */
    bool has_error;          /* the body is an error in a 200 */
    const struct chat *chat; /* the request, for writers; NULL: not known */
};

/* ---- A step of a stream ---- */

enum delta_kind {
    DELTA_START,     /* id, model; usage if it is known already */
    DELTA_OPEN,      /* part `index` of kind `part` begins; TOOL_CALL: id and name */
    DELTA_TEXT,      /* of TEXT, REASONING or REFUSAL */
    DELTA_ARGUMENTS, /* of a TOOL_CALL */
    DELTA_SIGNATURE, /* of REASONING; whole, of REDACTED */
    DELTA_CITATION,  /* of a TEXT that is open: citation */
    DELTA_CLOSE,
    DELTA_FINISH, /* finish, stop_sequence */
    DELTA_USAGE,  /* so far; the last one counts */
    DELTA_END,    /* the dialect's terminal event */
    DELTA_ERROR,  /* error */
};

/* Parts may be open side by side (OpenAI interleaves parallel calls); indexes count up in the order of opening. */
struct delta {
    enum delta_kind kind;
    enum part_kind part;
    unsigned index;
    struct str id, name, space, model; /* space: as of struct part */
    bool custom;                       /* OPEN of a TOOL_CALL: its ARGUMENTS are the input of a custom tool */
    struct str text;
    struct str logprobs; /* TEXT: as of struct part, of this piece */
    enum finish finish;
    struct str stop_sequence;
    const struct usage *usage;
    const struct upstream_error *error;
    const struct citation *citation;
    int64_t before;     /* CITATION, to a writer: characters of the texts before this part */
    uint64_t created_s; /* START; 0 unknown */
    unsigned choice;    /* of n > 1: above 0 there are only TEXT and ARGUMENTS, to be counted */
    bool usage_only;    /* the event that this came from holds nothing but usage: OpenAI's extra chunk */
};

/* What a stream writer is told at its start; its own state follows. */
struct stream_writer {
    struct arena *arena;
    const struct chat *chat; /* the request; NULL: not known */
    struct str model;        /* asked for: named until the provider names its own */
    bool include_usage;      /* OpenAI clients: the client asked for the usage chunk */
    bool started;            /* the client has the opening already */
    uint64_t created_s;
    int64_t input_estimate; /* tokens, until the provider says */
    size_t end_at;          /* set by the writer at DELTA_END: where in out the terminal event begins */
};

/* What a stream reader is told at its start; its own state follows. */
struct stream_reader {
    struct arena *arena; /* lives as long as the stream; the arena of read_event() only as long as the event */
    bool ending;         /* set by readers with a read_end(): the event just read may be the last one */
};

/* ---- Loss ---- */

enum { LOSS_MAX_BYTES = 200 };

/* Names of what was dropped, comma-separated, each once; the value of x-weir-loss. */
struct loss {
    char text[LOSS_MAX_BYTES];
    size_t n;
    bool cut; /* more was lost than there was room to name; the list then ends in "..." */
};

void loss_add(struct loss *l, struct str name); /* bytes that a header cannot hold become '_' */
void loss_addz(struct loss *l, const char *name);
void loss_add_list(struct loss *l, struct str names); /* of what loss_view() gave */
struct str loss_view(const struct loss *l);

/* ---- Building and asking, shared by readers and writers ---- */

/* What a client's message and request may have at most: some of it is searched for each of the other. */
enum { PARTS_MOST = 4096, TOOLS_MOST = 2048, HINTS_MOST = 64 };

/* A request of which nothing has been read yet: every "not said" is set, one choice. */
struct chat *chat_new(struct arena *a);

/* A body of many tiny messages costs far more in the hub than its bytes: beyond this it is refused. */
enum { CHAT_MAX_BYTES = 64 * 1024 * 1024 };
enum weir_err chat_check_size(const struct chat *chat, const struct arena *a, struct str *ret_why);

struct part *part_add(struct parts *list, struct arena *a, enum part_kind kind);
struct name *name_add(struct names *list, struct arena *a, struct str text);
bool name_in(const struct names *list, struct str text);
/* Notes a field that another dialect drops: each once, and not more than can be told. */
void chat_hint(struct chat *chat, struct arena *a, struct str name);
/* The client's name of a tool that a writer had to rename. *ret_space: the namespace where it stands apart; may be NULL. */
struct str chat_tool_name(const struct chat *chat, struct str name, struct str *ret_space);

/* For APIs whose scale ends at 1; halving would change what 1 means. */
void chat_write_temperature(const struct chat *chat, struct buf *out);
/* A tool's name in 1 to 64 of [A-Za-z0-9_-], as most APIs want it; two names that were told apart still are. */
struct str chat_fit_tool_name(struct str name, struct arena *a);
struct str chat_nine_id(struct str id,
                        struct arena *a); /* of a call, as Mistral wants it; the same id, the same nine */

/* The first demand is what the refusal names: fills the text and returns WEIR_UNSUPPORTED; WEIR_OK without demands. */
enum weir_err chat_refuse_demands(const struct chat *chat, const char *target, struct arena *a, struct str *ret_why);
void chat_lose_hints(const struct chat *chat, struct loss *loss);
/* A writer carries what is among the demands: it is none any more. */
void chat_meet_demand(struct chat *chat, struct str name);

/* Readers give what other dialects may have, too; writers take what they can send: its JSON, empty if it was not said. */
void chat_share(struct chat *chat, struct arena *a, const char *name, struct str said, struct str json);
struct str chat_take_shared(struct chat *chat, const char *name);
void chat_lose_shared(const struct chat *chat, struct loss *loss); /* after writing, for all writers (exchange.c) */

/* Text of all TEXT parts of a list, joined by a blank line. Empty texts are passed over. */
struct str parts_join_text(const struct parts *parts, struct arena *a);

enum effort effort_of_word(struct str word); /* EFFORT_UNSET: no such word */
const char *effort_word(enum effort e);
/* A budget of thinking in words. By its size the bounds are between the budgets that gateways give to the words (1024, 4096 to 8192,
 * 16 k and more); where it is a part of the answer's limit, between the parts that writers give to them (20, 50, 80 of a hundred): the higher
 * one, so that a word that became a budget becomes that word again. */
enum effort chat_effort_of_budget(const struct chat *c);

/* "data:image/png;base64,AAAA": true and its pieces. */
bool data_url_split(struct str url, struct str *ret_media_type, struct str *ret_data);
