/* endpoints.tbl.h — the endpoints that are passed through: one row each, nothing else is needed for another one
 *
 * PASSED(name, method, path, dialect, body, model, meter)
 *   name     label of logs and records
 *   method   one of them; a path may have a row for each
 *   path     behind the version ("/v1"); {id} stands for one segment
 *   dialect  of the clients, and of the providers that have it
 *   body     NONE, JSON, or FORM: multipart/form-data
 *   model    where its name stands: BODY (must be there), MAYBE (the provider has a default), NONE
 *   meter    what is counted: TOKENS, or UNITS in what `unit` of the usage reader says (IMAGES, CHARACTERS, SEARCHES),
 *            SECONDS (of sound), FREE: nothing is paid for the call itself,
 *            VIDEO: a task, paid when it has ended. What begins with "videos." is read and translated by video.h */

PASSED("embeddings", "POST", "/embeddings", OPENAI_CHAT, JSON, BODY, TOKENS)
PASSED("completions", "POST", "/completions", OPENAI_CHAT, JSON, BODY, TOKENS)
PASSED("moderations", "POST", "/moderations", OPENAI_CHAT, JSON, MAYBE, FREE)
PASSED("rerank", "POST", "/rerank", OPENAI_CHAT, JSON, BODY, SEARCHES)
PASSED("images.generations", "POST", "/images/generations", OPENAI_CHAT, JSON, MAYBE, IMAGES)
PASSED("images.edits", "POST", "/images/edits", OPENAI_CHAT, FORM, MAYBE, IMAGES)
PASSED("images.variations", "POST", "/images/variations", OPENAI_CHAT, FORM, MAYBE, IMAGES)
PASSED("audio.speech", "POST", "/audio/speech", OPENAI_CHAT, JSON, BODY, CHARACTERS)
PASSED("audio.transcriptions", "POST", "/audio/transcriptions", OPENAI_CHAT, FORM, BODY, SECONDS)
PASSED("audio.translations", "POST", "/audio/translations", OPENAI_CHAT, FORM, BODY, SECONDS)
PASSED("files.create", "POST", "/files", OPENAI_CHAT, FORM, NONE, FREE)
PASSED("files.list", "GET", "/files", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("files.retrieve", "GET", "/files/{id}", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("files.delete", "DELETE", "/files/{id}", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("files.content", "GET", "/files/{id}/content", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("uploads.create", "POST", "/uploads", OPENAI_CHAT, JSON, NONE, FREE)
PASSED("uploads.part", "POST", "/uploads/{id}/parts", OPENAI_CHAT, FORM, NONE, FREE)
PASSED("uploads.complete", "POST", "/uploads/{id}/complete", OPENAI_CHAT, JSON, NONE, FREE)
PASSED("uploads.cancel", "POST", "/uploads/{id}/cancel", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("batches.create", "POST", "/batches", OPENAI_CHAT, JSON, NONE, FREE)
PASSED("batches.list", "GET", "/batches", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("batches.retrieve", "GET", "/batches/{id}", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("batches.cancel", "POST", "/batches/{id}/cancel", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("responses.retrieve", "GET", "/responses/{id}", RESPONSES, NONE, NONE, FREE)
PASSED("responses.delete", "DELETE", "/responses/{id}", RESPONSES, NONE, NONE, FREE)
PASSED("responses.cancel", "POST", "/responses/{id}/cancel", RESPONSES, NONE, NONE, FREE)
PASSED("responses.input_items", "GET", "/responses/{id}/input_items", RESPONSES, NONE, NONE, FREE)
PASSED("responses.input_tokens", "POST", "/responses/input_tokens", RESPONSES, JSON, BODY, FREE)
PASSED("videos.create", "POST", "/videos", OPENAI_CHAT, ANY, MAYBE, VIDEO)
PASSED("videos.list", "GET", "/videos", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("videos.retrieve", "GET", "/videos/{id}", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("videos.delete", "DELETE", "/videos/{id}", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("videos.content", "GET", "/videos/{id}/content", OPENAI_CHAT, NONE, NONE, FREE)
PASSED("videos.edits", "POST", "/videos/edits", OPENAI_CHAT, ANY, NONE, FREE)
PASSED("videos.extensions", "POST", "/videos/extensions", OPENAI_CHAT, ANY, NONE, FREE)
PASSED("videos.characters", "POST", "/videos/characters", OPENAI_CHAT, ANY, NONE, FREE)
PASSED("videos.remix", "POST", "/videos/{id}/remix", OPENAI_CHAT, ANY, NONE, FREE)
PASSED("responses.compact", "POST", "/responses/compact", RESPONSES, JSON, BODY, TOKENS)
PASSED("cohere.embed", "POST", "/v2/embed", COHERE, JSON, BODY, TOKENS)
PASSED("ollama.embed", "POST", "/api/embed", OLLAMA, JSON, BODY, TOKENS)
PASSED("messages.batches.create", "POST", "/messages/batches", ANTHROPIC, JSON, NONE, FREE)
PASSED("messages.batches.list", "GET", "/messages/batches", ANTHROPIC, NONE, NONE, FREE)
PASSED("messages.batches.retrieve", "GET", "/messages/batches/{id}", ANTHROPIC, NONE, NONE, FREE)
PASSED("messages.batches.delete", "DELETE", "/messages/batches/{id}", ANTHROPIC, NONE, NONE, FREE)
PASSED("messages.batches.results", "GET", "/messages/batches/{id}/results", ANTHROPIC, NONE, NONE, FREE)
PASSED("messages.batches.cancel", "POST", "/messages/batches/{id}/cancel", ANTHROPIC, NONE, NONE, FREE)
