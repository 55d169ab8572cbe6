// The vendors' SDKs behind one form, so that each check is written once:
//   ask({model, system, user, history, tools, toolChoice, parallel, schema, maxTokens, stop, thinking, stream})
//     -> {text, reasoning, calls: [{id, name, args}], finish: stop|length|tools|sequence|refusal, usage: {input, cached, output}, message}
// `message` is the assistant turn as the SDK gave it, to be sent back; `results(message, […])` makes the turn that answers its calls.
import OpenAI from 'openai';
import Anthropic1 from '@anthropic-ai/sdk';
import Anthropic0 from 'anthropic-sdk-0';
import { converse } from './bedrock.mjs';
import { cohere } from './cohere.mjs';
import { gemini } from './gemini.mjs';
import { ollama } from './ollama.mjs';
import { responses } from './responses.mjs';

const TIMEOUT_MS = 20000;

// ---- OpenAI ----

const openaiFinish = { stop: 'stop', length: 'length', tool_calls: 'tools', content_filter: 'refusal' };

function openaiPart(part) {
  if (part.image) return { type: 'image_url', image_url: { url: `data:${part.image.type};base64,${part.image.data}` } };
  if (part.imageUrl) return { type: 'image_url', image_url: { url: part.imageUrl } };
  return { type: 'text', text: part.text };
}

function openaiBody(q) {
  const messages = [];
  if (q.system) messages.push({ role: 'system', content: q.system });
  messages.push(...(q.history ?? []));
  if (q.user) messages.push({ role: 'user', content: typeof q.user === 'string' ? q.user : q.user.map(openaiPart) });
  const body = { model: q.model, messages };
  if (q.tools) body.tools = q.tools.map(t => ({ type: 'function', function: { name: t.name, description: t.description, parameters: t.schema } }));
  if (q.toolChoice) body.tool_choice = q.toolChoice === 'any' ? 'required' : { type: 'function', function: { name: q.toolChoice } };
  if (q.parallel !== undefined) body.parallel_tool_calls = q.parallel;
  if (q.schema) body.response_format = { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema: q.schema } };
  if (q.maxTokens) body.max_completion_tokens = q.maxTokens;
  if (q.stop) body.stop = q.stop;
  if (q.thinking) body.reasoning_effort = 'high';
  return body;
}

function openaiAnswer(completion) {
  const { message, finish_reason: finish } = completion.choices[0];
  const usage = completion.usage;
  return {
    text: message.content ?? '',
    refusal: message.refusal ?? '',
    calls: (message.tool_calls ?? []).map(c => ({ id: c.id, name: c.function.name, args: JSON.parse(c.function.arguments) })),
    finish: message.refusal ? 'refusal' : openaiFinish[finish],
    usage: usage && { input: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0, output: usage.completion_tokens },
    message: { role: 'assistant', content: message.content, ...(message.tool_calls ? { tool_calls: message.tool_calls } : {}) },
  };
}

function openai(base, key) {
  const client = new OpenAI({ apiKey: key, baseURL: base + '/v1', maxRetries: 0, timeout: TIMEOUT_MS });
  return {
    name: 'openai 6.49', errors: OpenAI, dialect: 'openai',
    async ask(q) {
      if (!q.stream) return openaiAnswer(await client.chat.completions.create(openaiBody(q)));
      // The event helper of the SDK: it insists on a proper stream, and puts tool calls together itself.
      const stream = client.chat.completions.stream({ ...openaiBody(q), stream_options: { include_usage: true } });
      let pieces = 0;
      stream.on('content', () => pieces++);
      return { ...openaiAnswer(await stream.finalChatCompletion()), pieces };
    },
    async rawStream(q) { // chunk by chunk, without the helper
      const chunks = [];
      for await (const c of await client.chat.completions.create({ ...openaiBody(q), stream: true })) chunks.push(c);
      return chunks;
    },
    results: (message, texts) => message.tool_calls.map((c, i) => ({ role: 'tool', tool_call_id: c.id, content: texts[i] })),
    userTurn: text => ({ role: 'user', content: text }),
    models: async () => { const ids = []; for await (const m of client.models.list()) ids.push(m.id); return ids; },
    oneModel: async id => (await client.models.retrieve(id)).id,
    lacksAlone: ['one model'],
  };
}

// ---- Anthropic ----

const anthropicFinish = { end_turn: 'stop', max_tokens: 'length', tool_use: 'tools', stop_sequence: 'sequence', refusal: 'refusal' };

function anthropicBlock(part) {
  if (part.image) return { type: 'image', source: { type: 'base64', media_type: part.image.type, data: part.image.data } };
  if (part.imageUrl) return { type: 'image', source: { type: 'url', url: part.imageUrl } };
  return { type: 'text', text: part.text };
}

function anthropicBody(q) {
  const messages = [...(q.history ?? [])];
  if (q.user) messages.push({ role: 'user', content: typeof q.user === 'string' ? q.user : q.user.map(anthropicBlock) });
  const body = { model: q.model, max_tokens: q.maxTokens ?? 4000, messages };
  if (q.system) body.system = q.system;
  if (q.tools) body.tools = q.tools.map(t => ({ name: t.name, description: t.description, input_schema: t.schema }));
  if (q.toolChoice || q.parallel !== undefined) {
    body.tool_choice = !q.toolChoice ? { type: 'auto' } : q.toolChoice === 'any' ? { type: 'any' } : { type: 'tool', name: q.toolChoice };
    if (q.parallel === false) body.tool_choice.disable_parallel_tool_use = true;
  }
  if (q.schema) body.output_config = { format: { type: 'json_schema', schema: q.schema } };
  if (q.stop) body.stop_sequences = q.stop;
  if (q.thinking) body.thinking = { type: 'adaptive', display: 'summarized' };
  return body;
}

function anthropicAnswer(m) {
  const of = type => m.content.filter(b => b.type === type);
  return {
    text: of('text').map(b => b.text).join(''),
    reasoning: of('thinking').map(b => b.thinking).join(''),
    calls: of('tool_use').map(b => ({ id: b.id, name: b.name, args: b.input })),
    finish: anthropicFinish[m.stop_reason],
    stopSequence: m.stop_sequence,
    usage: {
      input: m.usage.input_tokens + (m.usage.cache_read_input_tokens ?? 0) + (m.usage.cache_creation_input_tokens ?? 0),
      cached: m.usage.cache_read_input_tokens ?? 0,
      output: m.usage.output_tokens,
    },
    message: { role: 'assistant', content: m.content.map(({ citations, caller, ...block }) => block) },
  };
}

function anthropic(Sdk, name) {
  return (base, key) => {
    const client = new Sdk({ apiKey: key, baseURL: base, maxRetries: 0, timeout: TIMEOUT_MS });
    return {
      name, errors: Sdk, dialect: 'anthropic',
      async ask(q) {
        if (!q.stream) return anthropicAnswer(await client.messages.create(anthropicBody(q)));
        const stream = client.messages.stream(anthropicBody(q));
        let pieces = 0;
        stream.on('text', () => pieces++);
        return { ...anthropicAnswer(await stream.finalMessage()), pieces };
      },
      async rawStream(q) {
        const events = [];
        for await (const e of await client.messages.create({ ...anthropicBody(q), stream: true })) events.push(e);
        return events;
      },
      results: (message, texts) => [{
        role: 'user',
        content: message.content.filter(b => b.type === 'tool_use').map((b, i) => ({ type: 'tool_result', tool_use_id: b.id, content: texts[i] })),
      }],
      userTurn: text => ({ role: 'user', content: text }),
      models: async () => { const ids = []; for await (const m of client.models.list()) ids.push(m.id); return ids; },
      oneModel: async id => (await client.models.retrieve(id)).id,
      lacksAlone: ['one model'],
    };
  };
}

export const adapters = [openai, responses, anthropic(Anthropic0, 'anthropic 0.122'), anthropic(Anthropic1, 'anthropic 1.12'), converse, gemini, cohere, ollama];
