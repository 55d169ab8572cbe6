"""What an answer says, read from its bytes without any code of weir's: the yardstick that translations are held against."""
import base64
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import frames  # noqa: E402

STOPS = {
    "stop": "stop", "eos": "stop", "end_turn": "stop", "pause_turn": "stop", "stop_sequence": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length", "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls", "tool_use": "tool_calls", "function_call": "tool_calls",
    "content_filter": "refused", "refusal": "refused", "sensitive": "refused",
    "content_filtered": "refused", "guardrail_intervened": "refused",
    "complete": "stop", "tool_call": "tool_calls",
}


class Said:
    def __init__(self):
        self.text = self.reasoning = self.refusal = ""
        self.calls = []  # [id, name, arguments text]
        self.finish = None
        self.usage = None  # (input, cache read, cache written, output, reasoning)
        self.ended = False
        self.error = None
        self.signatures = []
        self.has_media = False
        self.out_of_step = None

    def calls_parsed(self):
        return [(name, arguments_of(text)) for _, name, text in self.calls]


def arguments_of(text):
    if text.strip() == "":
        return {}
    try:
        value = json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        return {"_raw": text}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"_raw": text}


def events(body):
    """(name, data) of an SSE body, in one rough pass over the text."""
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    for block in text.split("\n\n"):
        name, data = "", []
        for line in block.split("\n"):
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
        if data:
            yield name, "\n".join(data)


# ---- OpenAI Chat ----


def content_texts(content, kind):
    if isinstance(content, str):
        return content if kind == "text" else ""
    if isinstance(content, dict):  # Cloudflare: JSON that was asked for comes parsed
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")) if kind == "text" else ""
    out = ""
    for part in content or []:
        if kind == "text" and part.get("type") == "text":
            out += part.get("text") or ""
        if kind == "thinking" and part.get("type") == "thinking":
            out += "".join(t.get("text") or "" for t in part.get("thinking") or [])
    return out


def openai_usage(body):
    u = body.get("usage") or (body.get("x_groq") or {}).get("usage")
    if not isinstance(u, dict) or "prompt_tokens" not in u:
        return None
    details, out = u.get("prompt_tokens_details") or {}, u.get("completion_tokens_details") or {}
    read = details.get("cached_tokens")
    if read is None:
        read = u.get("prompt_cache_hit_tokens", u.get("cached_tokens")) or 0
    written = details.get("cache_write_tokens") or 0
    prompt, completion = u["prompt_tokens"], u.get("completion_tokens") or 0
    reasoning = out.get("reasoning_tokens", u.get("reasoning_tokens")) or 0
    if reasoning and u.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # Grok
    if read + written > prompt:  # a host's own contradiction: the total stands
        read = prompt - min(written, prompt)
    return (prompt, read, written, completion, min(reasoning, completion))


def openai_message(said, m):
    m = m or {}
    content = m.get("content")
    thinking = content_texts(content, "thinking") or m.get("reasoning_content") or m.get("reasoning") or ""
    said.reasoning += thinking
    said.text += content_texts(content, "text")
    said.refusal += m.get("refusal") or ""
    said.has_media |= bool(m.get("audio") or m.get("images"))
    for detail in m.get("reasoning_details") or []:
        if detail.get("signature") or detail.get("data"):
            said.signatures.append(detail.get("signature") or detail.get("data"))


def openai_unary(body):
    said, root = Said(), json.loads(body, parse_float=str)
    if root.get("error"):
        said.error = root["error"]
        return said
    said.usage = openai_usage(root)
    choice = (root.get("choices") or [{}])[0]
    m = choice.get("message") or {}
    openai_message(said, m)
    for c in m.get("tool_calls") or []:
        said.calls.append([c.get("id"), c["function"]["name"], as_text(c["function"].get("arguments"))])
    if m.get("function_call"):
        said.calls.append([None, m["function_call"]["name"], m["function_call"]["arguments"]])
    said.finish = finish_of(choice.get("finish_reason"), said)
    said.ended = True
    return said


def as_text(arguments):
    return arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments)


def finish_of(word, said):
    if word is None:
        return None
    f = STOPS.get(str(word).lower(), "other")
    return "tool_calls" if f == "stop" and said.calls else f


def openai_stream(body):
    said, slots = Said(), {}
    for name, data in events(body):
        if data.strip() == "[DONE]":
            said.ended = True
            break
        root = json.loads(data, parse_float=str)
        groq = root.get("x_groq") or {}
        if root.get("error") or name == "error" or groq.get("error"):
            said.error = root.get("error") or groq.get("error") or root
            break
        said.usage = openai_usage(root) or said.usage
        for position, choice in enumerate(root.get("choices") or []):
            if choice.get("error"):
                said.error = choice["error"]
                break
            if choice.get("index", position) != 0:
                continue
            delta = choice.get("delta") or choice.get("message") or {}
            openai_message(said, delta)
            for c in delta.get("tool_calls") or []:
                f, index = c.get("function") or {}, c.get("index")
                slot = slots.get(index) if index is not None else (said.calls[-1] if said.calls and not c.get("id") else None)
                if slot is None or (c.get("id") and f.get("name") and slot[0] and slot[0] != c["id"]):
                    slot = [c.get("id"), f.get("name") or "", ""]
                    said.calls.append(slot)
                    slots[index] = slot
                slot[2] += as_text(f.get("arguments"))
            if delta.get("function_call"):
                if not said.calls:
                    said.calls.append([None, delta["function_call"].get("name"), ""])
                said.calls[-1][2] += delta["function_call"].get("arguments") or ""
            if choice.get("finish_reason"):
                said.finish = finish_of(choice["finish_reason"], said)
    if said.finish is not None and said.error is None:
        said.ended = True  # look-alikes leave [DONE] out
    return said


# ---- Anthropic ----


def anthropic_usage(u, before=None):
    if not isinstance(u, dict):
        return before
    old = before or (0, 0, 0, 0, 0)
    read, written = u.get("cache_read_input_tokens"), u.get("cache_creation_input_tokens")
    read = old[1] if read is None else read
    written = old[2] if written is None else written
    fresh = u.get("input_tokens")
    fresh = old[0] - old[1] - old[2] if fresh is None else fresh
    out = u.get("output_tokens")
    out = old[3] if out is None else out
    reasoning = (u.get("output_tokens_details") or {}).get("thinking_tokens")
    return (fresh + read + written, read, written, out, old[4] if reasoning is None else min(reasoning, out))


def anthropic_unary(body):
    said, root = Said(), json.loads(body, parse_float=str)
    if root.get("type") == "error" or root.get("error"):
        said.error = root.get("error")
        return said
    for b in root.get("content") or []:
        if b["type"] == "text":
            said.text += b["text"]
        elif b["type"] == "thinking":
            said.reasoning += b["thinking"]
            said.signatures.append(b.get("signature") or "")
        elif b["type"] == "redacted_thinking":
            said.signatures.append(b["data"])
        elif b["type"] == "tool_use":
            said.calls.append([b["id"], b["name"], raw_member(body, b)])
    said.usage = anthropic_usage(root.get("usage"))
    said.refusal = (root.get("stop_details") or {}).get("explanation") or ""
    said.finish = STOPS.get(root.get("stop_reason"), "other") if root.get("stop_reason") else None
    said.ended = True
    return said


def raw_member(body, block):
    return json.dumps(block["input"])


def anthropic_stream(body):
    said, blocks = Said(), {}
    for name, data in events(body):
        root = json.loads(data, parse_float=str)
        kind = root.get("type") or name
        if kind == "message_start":
            if said.usage is None:
                said.usage = anthropic_usage(root["message"].get("usage"))
        elif kind == "content_block_start":
            b = root["content_block"]
            blocks[root["index"]] = b
            if b["type"] == "tool_use":
                said.calls.append([b["id"], b["name"], json.dumps(b["input"]) if b.get("input") else ""])
                b["slot"] = said.calls[-1]
            elif b["type"] == "text":
                said.text += b.get("text") or ""
            elif b["type"] == "thinking":
                said.reasoning += b.get("thinking") or ""
                said.signatures.append(b.get("signature") or "")
            elif b["type"] == "redacted_thinking":
                said.signatures.append(b["data"])
        elif kind == "content_block_delta":
            d = root["delta"]
            if d["type"] == "text_delta":
                said.text += d["text"]
            elif d["type"] == "thinking_delta":
                said.reasoning += d["thinking"]
            elif d["type"] == "signature_delta":
                said.signatures[-1] += d["signature"]
            elif d["type"] == "input_json_delta" and "slot" in blocks[root["index"]]:
                blocks[root["index"]]["slot"][2] += d["partial_json"]
        elif kind == "message_delta":
            said.usage = anthropic_usage(root.get("usage"), said.usage)
            if root["delta"].get("stop_reason"):
                said.finish = STOPS.get(root["delta"]["stop_reason"], "other")
            said.refusal = (root["delta"].get("stop_details") or {}).get("explanation") or ""
        elif kind == "message_stop":
            said.ended = True
            break
        elif kind == "error":
            said.error = root.get("error")
            break
    return said


# ---- Gemini ----


def gemini_usage(u):
    if not isinstance(u, dict) or "promptTokenCount" not in u:
        return None
    thoughts = u.get("thoughtsTokenCount") or 0
    total_in = u["promptTokenCount"] + (u.get("toolUsePromptTokenCount") or 0)
    return (total_in, u.get("cachedContentTokenCount") or 0, 0, (u.get("candidatesTokenCount") or 0) + thoughts, thoughts)


GEMINI_REFUSED = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"}
GEMINI_BROKEN = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"}


def gemini_root(said, root):
    if isinstance(root, list):
        root = root[0] if root else {}
    if root.get("error"):
        said.error = root["error"]
        return
    said.usage = gemini_usage(root.get("usageMetadata")) or said.usage
    candidates = [c for c in root.get("candidates") or [] if not c.get("index")]
    if not root.get("candidates") and (root.get("promptFeedback") or {}).get("blockReason"):
        said.finish, said.ended = "refused", True
    for c in candidates[:1]:
        for part in (c.get("content") or {}).get("parts") or []:
            if "functionCall" in part:
                said.calls.append([part["functionCall"].get("id"), part["functionCall"].get("name"), json.dumps(part["functionCall"].get("args") or {})])
            elif "text" in part and part.get("thought"):
                said.reasoning += part["text"]
            elif "text" in part:
                said.text += part["text"]
            elif part:
                said.has_media = True
        word = c.get("finishReason")
        if word in GEMINI_BROKEN:
            said.error = word
        elif word:
            plain = "refused" if word in GEMINI_REFUSED else {"STOP": "stop", "MAX_TOKENS": "length"}.get(word, "other")
            said.finish = "tool_calls" if plain == "stop" and said.calls else plain
            said.ended = True


def gemini_unary(body):
    said = Said()
    gemini_root(said, json.loads(body, parse_float=str))
    return said


def gemini_stream(body):
    said = Said()
    for _, data in events(body):
        gemini_root(said, json.loads(data, parse_float=str))
        if said.error is not None:
            break
    return said


# ---- OpenAI Responses ----


def responses_usage(u):
    if not isinstance(u, dict) or "input_tokens" not in u:
        return None
    details, out = u.get("input_tokens_details") or {}, u.get("output_tokens_details") or {}
    read, written, output = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0, u.get("output_tokens") or 0
    return (u["input_tokens"], read, written, output, min(out.get("reasoning_tokens") or 0, output))


RESPONSES_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}


def responses_item(said, item):
    kind = item.get("type")
    if kind == "message":
        for part in item.get("content") or []:
            said.text += part.get("text") or ""
            said.refusal += part.get("refusal") or ""
    elif kind == "reasoning":
        summary = [part["text"] for part in item.get("summary") or [] if part.get("text")]
        said.reasoning += "\n\n".join(summary) or "".join(part.get("text") or "" for part in item.get("content") or [])
        if item.get("encrypted_content"):
            said.signatures.append(item["encrypted_content"])
    elif kind in RESPONSES_CALLS:
        space = f"{item['namespace']}__" if item.get("namespace") else ""
        said.calls.append([item.get("call_id"), space + (item.get("name") or ""), item.get(RESPONSES_CALLS[kind]) or ""])
    elif kind:
        said.has_media = True  # a hosted tool


def responses_end(said, root):
    said.usage = responses_usage(root.get("usage"))
    if root.get("status") in ("failed", "cancelled") or root.get("error"):
        said.error = root.get("error") or root["status"]
        return
    reason = (root.get("incomplete_details") or {}).get("reason")
    if root.get("status") == "incomplete":
        said.finish = {"max_output_tokens": "length", "content_filter": "refused"}.get(reason, "other")
    elif root.get("status") == "completed":
        said.finish = "tool_calls" if said.calls else "stop"
    said.ended = said.finish is not None


def responses_unary(body):
    said, root = Said(), json.loads(body, parse_float=str)
    for item in root.get("output") or []:
        responses_item(said, item)
    responses_end(said, root)
    said.ended = said.error is None  # without a finish it is at work in the background
    return said


def responses_stream(body):
    """The items as their .done events hold them. out_of_step: where the deltas said something else, or a number was left out."""
    said, done, told, sequence = Said(), {}, {}, []
    for _, data in events(body):
        if data.strip() == "[DONE]":
            break
        root = json.loads(data, parse_float=str)
        kind = root.get("type") or ""
        sequence.append(root.get("sequence_number"))
        if kind == "error":
            said.error = root.get("error") or root
            break
        if kind.endswith((".delta", "_text.done", "arguments.done", "input.done", "refusal.done")):
            key = (root.get("output_index"), kind.rpartition(".")[0], root.get("content_index"), root.get("summary_index"))
            if kind.endswith(".delta"):
                told[key] = told.get(key, "") + as_text(root.get("delta"))
            elif key in told:
                whole = next(root[k] for k in ("text", "arguments", "input", "refusal") if k in root)
                if told[key] != whole:
                    said.out_of_step = f"{kind} holds {whole[:80]!r}, its deltas {told[key][:80]!r}"
        if kind == "response.output_item.done":
            done[root["output_index"]] = root["item"]
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            for index, item in enumerate(root["response"].get("output") or []):
                done.setdefault(index, item)
            for index in sorted(done):
                responses_item(said, done[index])
            responses_end(said, root["response"])
            break
    if not said.ended and said.error is None:
        for index in sorted(done):
            responses_item(said, done[index])
    if sequence != list(range(len(sequence))):
        said.out_of_step = f"sequence_number: {sequence}"
    return said


# ---- Converse ----


CONVERSE_BROKEN = {"malformed_model_output", "malformed_tool_use"}


def converse_usage(u):
    if not isinstance(u, dict) or "inputTokens" not in u:
        return None
    read, written = u.get("cacheReadInputTokens") or 0, u.get("cacheWriteInputTokens") or 0
    return (u["inputTokens"] + read + written, read, written, u.get("outputTokens") or 0, 0)


def converse_end(said, reason):
    if reason in CONVERSE_BROKEN:
        said.error = reason
    elif reason:
        said.finish, said.ended = STOPS.get(reason, "other"), True


def converse_reasoning(said, r):
    text = r.get("reasoningText") or {}
    said.reasoning += text.get("text") or ""
    signature = text.get("signature") or r.get("redactedContent")
    if signature:
        said.signatures.append(signature)


def converse_unary(body):
    said, root = Said(), json.loads(body, parse_float=str)
    content = ((root.get("output") or {}).get("message") or {}).get("content")
    if content is None:
        said.error = root.get("message") or root.get("Message") or "no content"
        return said
    for b in content:
        if "text" in b:
            said.text += b["text"]
        elif "reasoningContent" in b:
            converse_reasoning(said, b["reasoningContent"])
        elif "toolUse" in b and b["toolUse"].get("type") != "server_tool_use":
            said.calls.append([b["toolUse"]["toolUseId"], b["toolUse"]["name"], json.dumps(b["toolUse"]["input"])])
        elif "citationsContent" in b:
            said.text += "".join(piece.get("text") or "" for piece in b["citationsContent"].get("content") or [])
        else:
            said.has_media = True
    said.usage = converse_usage(root.get("usage"))
    converse_end(said, root.get("stopReason"))
    return said


def converse_stream(body):
    said, slots, signing = Said(), {}, None
    try:
        for kind, name, payload in frames.read(body):
            if kind != "event":
                said.error = name
                break
            root = json.loads(payload, parse_float=str)
            index = root.get("contentBlockIndex")
            if name == "contentBlockStart":
                call = (root.get("start") or {}).get("toolUse") or {}
                if call and call.get("type") != "server_tool_use":
                    slots[index] = [call["toolUseId"], call["name"], ""]
                    said.calls.append(slots[index])
                else:
                    said.has_media = True
            elif name == "contentBlockDelta":
                delta = root["delta"]
                said.text += delta.get("text") or ""
                if index in slots:
                    slots[index][2] += (delta.get("toolUse") or {}).get("input") or ""
                r = delta.get("reasoningContent") or {}
                said.reasoning += r.get("text") or ""
                signature = r.get("signature") or r.get("redactedContent")
                if signature and signing == index:
                    said.signatures[-1] += signature
                elif signature:
                    said.signatures.append(signature)
                    signing = index
            elif name == "messageStop":
                converse_end(said, root.get("stopReason"))
            elif name == "metadata":
                said.usage = converse_usage(root.get("usage"))
    except ValueError as e:
        said.error, said.ended = str(e), False
    return said


def unwrapped(body):
    """The events of a Claude behind InvokeModel, as it sends them elsewhere; an exception as an event of its own."""
    out = []
    for kind, name, payload in frames.read(body):
        root = json.loads(payload)
        if kind != "event":
            out.append("event: error\ndata: " + json.dumps({"type": "error", "error": {"type": name, "message": root.get("message")}}))
        elif "bytes" in root:
            event = base64.b64decode(root["bytes"]).decode()
            out.append(f"event: {json.loads(event).get('type')}\ndata: {event}")
    return "".join(event + "\n\n" for event in out).encode()


# ---- Cohere, Ollama ----


def cohere_end(said, root):
    billed = (root.get("usage") or {}).get("billed_units") or {}
    said.usage = (billed.get("input_tokens"), 0, 0, billed.get("output_tokens"), 0) if billed else None
    said.finish = finish_of(root.get("finish_reason"), said)


def cohere_unary(body):
    said, root = Said(), json.loads(body, parse_float=str)
    m = root["message"]
    said.reasoning = m.get("tool_plan") or ""
    for c in m.get("content") or []:
        said.text += c.get("text") or ""
        said.reasoning += c.get("thinking") or ""
    said.calls = [[c["id"], c["function"]["name"], c["function"]["arguments"]] for c in m.get("tool_calls") or []]
    cohere_end(said, root)
    said.ended = True
    return said


def cohere_stream(body):
    said = Said()
    for _, data in events(body):
        if data.strip() == "[DONE]":
            said.ended = True
            break
        root = json.loads(data, parse_float=str)
        delta = root.get("delta") or {}
        m = delta.get("message") or {}
        content, call = m.get("content") or {}, m.get("tool_calls") or {}
        if root["type"] in ("content-start", "content-delta"):
            said.text += content.get("text") or ""
            said.reasoning += content.get("thinking") or ""
        elif root["type"] == "tool-plan-delta":
            said.reasoning += m.get("tool_plan") or ""
        elif root["type"] == "tool-call-start":
            said.calls.append([call["id"], call["function"]["name"], call["function"].get("arguments") or ""])
        elif root["type"] == "tool-call-delta":
            said.calls[-1][2] += call["function"]["arguments"]
        elif root["type"] == "message-end":
            cohere_end(said, delta)
    return said


def ollama_lines(body):
    said = Said()
    for line in filter(None, body.splitlines()):
        root = json.loads(line, parse_float=str)
        m = root.get("message") or {}
        said.text += m.get("content") or ""
        said.reasoning += m.get("thinking") or ""
        said.calls += [[c.get("id"), c["function"]["name"], json.dumps(c["function"]["arguments"])] for c in m.get("tool_calls") or []]
        if root.get("done"):
            said.usage = (root.get("prompt_eval_count"), 0, 0, root.get("eval_count"), 0)
            said.finish = finish_of(root.get("done_reason", "stop"), said)
            said.ended = True
    return said


READERS = {
    ("cohere", False): cohere_unary,
    ("cohere", True): cohere_stream,
    ("ollama", False): ollama_lines,
    ("ollama", True): ollama_lines,
    ("responses", False): responses_unary,
    ("responses", True): responses_stream,
    ("converse", False): converse_unary,
    ("converse", True): converse_stream,
    ("gemini", False): gemini_unary,
    ("gemini", True): gemini_stream,
    ("openai", False): openai_unary,
    ("openai", True): openai_stream,
    ("anthropic", False): anthropic_unary,
    ("anthropic", True): anthropic_stream,
}


# ---- What providers refuse ----


def gemini_request_faults(root):
    faults, before, contents = [], [], root["contents"]
    if not contents or contents[0]["role"] != "user":
        faults.append("does not begin with user")
    for i, content in enumerate(contents):
        where = f"contents[{i}]"
        results = [p["functionResponse"]["name"] for p in content["parts"] if "functionResponse" in p]
        if results != before:
            faults.append(f"{where}: results {results} for calls {before}")
        before = [p["functionCall"]["name"] for p in content["parts"] if "functionCall" in p]
        if i and contents[i - 1]["role"] == content["role"]:
            faults.append(f"{where}: same role twice")
        if not content["parts"] or any(p.get("text") == "" and not p.get("thought") for p in content["parts"]):
            faults.append(f"{where}: empty")
        if any(not isinstance(p["functionResponse"]["response"], dict) for p in content["parts"] if "functionResponse" in p):
            faults.append(f"{where}: a response is no object")
        if any("thoughtSignature" in p for p in content["parts"] if "functionCall" in p) and "thoughtSignature" not in next(
            p for p in content["parts"] if "functionCall" in p
        ):
            faults.append(f"{where}: a sibling is signed and the first call is not")
    allowed = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"}
    faults += [f"unknown member {k}" for k in root if k not in allowed]
    return faults


def openai_request_faults(root):
    faults, open_ids = [], None
    for i, m in enumerate(root["messages"]):
        role = m.get("role")
        if open_ids and role != "tool":
            faults.append(f"messages[{i}] stands before the results of {sorted(open_ids)}")
            open_ids = None
        if role == "assistant":
            ids = [c["id"] for c in m.get("tool_calls") or []]
            open_ids = set(ids) if ids else None
            if m.get("content") is None and not ids:
                faults.append(f"messages[{i}] has neither content nor calls")
        elif role == "tool":
            if not open_ids or m["tool_call_id"] not in open_ids:
                faults.append(f"messages[{i}] is a result without its call")
            else:
                open_ids.remove(m["tool_call_id"])
        elif role not in ("user", "system"):
            faults.append(f"messages[{i}] has the role {role}")
    if open_ids:
        faults.append("the last calls have no results")
    allowed = {
        "model", "messages", "max_completion_tokens", "max_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls",
        "response_format", "reasoning_effort", "temperature", "top_p", "user", "service_tier", "stream", "stream_options",
        "frequency_penalty", "logprobs", "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "seed", "top_logprobs", "verbosity",
    }
    faults += [f"unknown member {k}" for k in root if k not in allowed]
    return faults


def anthropic_blocks_faults(where, blocks):
    faults = []
    for b in blocks:
        if b["type"] == "text" and b["text"] == "":
            faults.append(f"{where}: empty text")
        if b["type"] == "tool_use" and not isinstance(b["input"], dict):
            faults.append(f"{where}: input is no object")
        if b["type"] in ("tool_use", "tool_result") and not re.fullmatch(r"[a-zA-Z0-9_-]+", b.get("id", b.get("tool_use_id"))):
            faults.append(f"{where}: bad id")
    return faults


def anthropic_request_faults(root):
    faults, before = [], []
    messages = root["messages"]
    if not isinstance(root.get("max_tokens"), int) or root["max_tokens"] < 1:
        faults.append("max_tokens")
    if messages[0]["role"] != "user":
        faults.append("does not begin with user")
    for i, m in enumerate(messages):
        blocks = m["content"]
        where = f"messages[{i}]"
        faults += anthropic_blocks_faults(where, blocks)
        if i and messages[i - 1]["role"] == m["role"]:
            faults.append(f"{where}: same role twice")
        if not blocks:
            faults.append(f"{where}: empty")
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if sorted(results) != sorted(before):
            faults.append(f"{where}: results {results} for calls {before}")
        if any(b["type"] != "tool_result" for b in blocks[: len(results)]):
            faults.append(f"{where}: results are not first")
        before = [b["id"] for b in blocks if b["type"] == "tool_use"]
    if before:
        faults.append("the last calls have no results")
    return faults


def converse_request_faults(root):
    faults, before, messages = [], [], root["messages"]
    if not messages or messages[0]["role"] != "user":
        faults.append("does not begin with user")
    names, has_tools = [], False
    for i, m in enumerate(messages):
        where, blocks = f"messages[{i}]", m["content"]
        if i and messages[i - 1]["role"] == m["role"]:
            faults.append(f"{where}: same role twice")
        if not blocks:
            faults.append(f"{where}: empty")
        if any(len(b) != 1 for b in blocks):
            faults.append(f"{where}: a block with more than one member")
        texts = [b["text"] for b in blocks if "text" in b]
        if any(not t.strip() for t in texts):
            faults.append(f"{where}: blank text")
        documents = [b["document"] for b in blocks if "document" in b]
        names += [d["name"] for d in documents]
        if documents and not texts:
            faults.append(f"{where}: a document without a text")
        if any(not re.fullmatch(r"[A-Za-z0-9()\[\]-]+( [A-Za-z0-9()\[\]-]+)*", d["name"]) or len(d["name"]) > 200 for d in documents):
            faults.append(f"{where}: bad name of a document")
        results = [b["toolResult"]["toolUseId"] for b in blocks if "toolResult" in b]
        if sorted(results) != sorted(before):
            faults.append(f"{where}: results {results} for calls {before}")
        calls = [b["toolUse"] for b in blocks if "toolUse" in b]
        has_tools |= bool(calls)
        before = [c["toolUseId"] for c in calls]
        if any(not isinstance(c["input"], dict) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", c["toolUseId"]) for c in calls):
            faults.append(f"{where}: bad call")
    if before:
        faults.append("the last calls have no results")
    if len(set(names)) != len(names):
        faults.append("two documents of one name")
    tools = [t["toolSpec"] for t in (root.get("toolConfig") or {}).get("tools") or [] if "toolSpec" in t]
    if has_tools and not tools:
        faults.append("calls without toolConfig")
    if any(not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", t["name"]) or t.get("description") == "" for t in tools):
        faults.append("bad tool")
    allowed = {
        "system", "messages", "inferenceConfig", "toolConfig", "outputConfig", "additionalModelRequestFields",
        "additionalModelResponseFieldPaths", "serviceTier",
    }
    faults += [f"unknown member {k}" for k in root if k not in allowed]
    return faults


def responses_request_faults(root):
    faults, calls = [], {}
    for i, item in enumerate(root["input"]):
        kind, where = item.get("type") or "message", f"input[{i}]"
        if kind == "message":
            wanted = {"output_text", "refusal"} if item["role"] == "assistant" else {"input_text", "input_image", "input_file", "input_audio"}
            parts = item["content"] if isinstance(item["content"], list) else []
            if item["role"] not in ("user", "assistant", "developer", "system"):
                faults.append(f"{where}: role {item['role']}")
            if any(p["type"] not in wanted for p in parts):
                faults.append(f"{where}: a part of the wrong type")
            if not item["content"] or any(p.get("text") == "" for p in parts):
                faults.append(f"{where}: empty")
            if any(p["type"] == "input_image" and not isinstance(p.get("image_url", p.get("file_id")), str) for p in parts):
                faults.append(f"{where}: image_url is no text")
        elif kind in ("function_call", "custom_tool_call"):
            calls[item["call_id"]] = kind
            if not isinstance(item[RESPONSES_CALLS[kind]], str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", item["name"]):
                faults.append(f"{where}: bad call")
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if calls.pop(item["call_id"], "") + "_output" != kind:
                faults.append(f"{where}: an output without its call")
        elif kind == "reasoning":
            if not item.get("encrypted_content") or not isinstance(item.get("summary"), list):
                faults.append(f"{where}: bad reasoning")
        else:
            faults.append(f"{where}: type {kind}")
    if calls:
        faults.append(f"no outputs of {sorted(calls)}")
    for i, tool in enumerate(root.get("tools") or []):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool.get("name") or ""):
            faults.append(f"tools[{i}]: bad name")
    if root.get("store") is not False:
        faults.append("store is not false")
    if isinstance(root.get("max_output_tokens", 16), int) and root.get("max_output_tokens", 16) < 16:
        faults.append("max_output_tokens is below 16")
    allowed = {
        "model", "input", "instructions", "store", "include", "max_output_tokens", "tools", "tool_choice", "parallel_tool_calls", "text",
        "reasoning", "temperature", "top_p", "safety_identifier", "service_tier", "stream",
    }
    faults += [f"unknown member {k}" for k in root if k not in allowed]
    return faults


REQUEST_FAULTS = {
    "responses": responses_request_faults,
    "converse": converse_request_faults, "gemini": gemini_request_faults, "openai": openai_request_faults, "anthropic": anthropic_request_faults,
}
