// Amazon's SDK in the form of adapters.mjs. Its own default speaks HTTP/2 for streams; weir speaks HTTP/1.1, as the handler here does.
import * as bedrock from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';

const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } = bedrock;
const TIMEOUT_MS = 20000;
const finishes = {
  end_turn: 'stop', max_tokens: 'length', tool_use: 'tools', stop_sequence: 'sequence', content_filtered: 'refusal', guardrail_intervened: 'refusal',
};
const oneOf = (...classes) => ({ [Symbol.hasInstance]: e => classes.some(c => e instanceof c) });
const errors = {
  AuthenticationError: bedrock.AccessDeniedException,
  PermissionDeniedError: bedrock.AccessDeniedException,
  BadRequestError: bedrock.ValidationException,
  NotFoundError: bedrock.ResourceNotFoundException,
  ConflictError: bedrock.ConflictException,
  UnprocessableEntityError: bedrock.ValidationException,
  RateLimitError: bedrock.ThrottlingException,
  InternalServerError: oneOf(bedrock.InternalServerException, bedrock.ServiceUnavailableException, bedrock.ModelTimeoutException),
  APIError: bedrock.BedrockRuntimeServiceException,
};

const block = part => (part.image ? { image: { format: part.image.type.split('/')[1], source: { bytes: Buffer.from(part.image.data, 'base64') } } } : { text: part.text });
const turn = m => ({ ...m, content: typeof m.content === 'string' ? [{ text: m.content }] : m.content });

function input(q) {
  const messages = (q.history ?? []).map(turn);
  if (q.user) messages.push({ role: 'user', content: typeof q.user === 'string' ? [{ text: q.user }] : q.user.map(block) });
  const body = { modelId: q.model, messages, inferenceConfig: {} };
  const own = {};
  if (q.system) body.system = [{ text: q.system }];
  if (q.tools) body.toolConfig = { tools: q.tools.map(t => ({ toolSpec: { name: t.name, description: t.description, inputSchema: { json: t.schema } } })) };
  if (q.toolChoice) body.toolConfig.toolChoice = q.toolChoice === 'any' ? { any: {} } : { tool: { name: q.toolChoice } };
  if (q.parallel === false) own.tool_choice = { type: 'auto', disable_parallel_tool_use: true };
  if (q.thinking) own.thinking = { type: 'adaptive' };
  if (q.schema) body.outputConfig = { textFormat: { type: 'json_schema', structure: { jsonSchema: { name: 'answer', schema: JSON.stringify(q.schema) } } } };
  if (q.maxTokens) body.inferenceConfig.maxTokens = q.maxTokens;
  if (q.stop) body.inferenceConfig.stopSequences = q.stop;
  if (Object.keys(own).length) body.additionalModelRequestFields = own;
  return body;
}

function answer(content, stopReason, usage) {
  return {
    text: content.map(b => b.text ?? '').join(''),
    reasoning: content.map(b => b.reasoningContent?.reasoningText?.text ?? '').join(''),
    calls: content.filter(b => b.toolUse).map(b => ({ id: b.toolUse.toolUseId, name: b.toolUse.name, args: b.toolUse.input })),
    finish: finishes[stopReason],
    usage: usage && {
      input: usage.inputTokens + (usage.cacheReadInputTokens ?? 0) + (usage.cacheWriteInputTokens ?? 0),
      cached: usage.cacheReadInputTokens ?? 0,
      output: usage.outputTokens,
    },
    message: { role: 'assistant', content },
  };
}

// Blocks put together from their events, as an app does it.
export function gather(events) {
  const content = [];
  let stopReason, usage, pieces = 0;
  for (const { contentBlockStart: start, contentBlockDelta: piece, messageStop, metadata } of events) {
    if (start?.start?.toolUse) content[start.contentBlockIndex] = { toolUse: { ...start.start.toolUse, input: '' } };
    const d = piece?.delta, at = piece?.contentBlockIndex;
    if (d?.text !== undefined) (content[at] ??= { text: '' }).text += d.text, pieces++;
    if (d?.toolUse) content[at].toolUse.input += d.toolUse.input;
    if (d?.reasoningContent) {
      const { text, signature, redactedContent } = d.reasoningContent;
      content[at] ??= { reasoningContent: redactedContent ? { redactedContent } : { reasoningText: { text: '' } } };
      if (text) content[at].reasoningContent.reasoningText.text += text;
      if (signature) content[at].reasoningContent.reasoningText.signature = (content[at].reasoningContent.reasoningText.signature ?? '') + signature;
    }
    stopReason = messageStop?.stopReason ?? stopReason;
    usage = metadata?.usage ?? usage;
  }
  for (const b of content) if (b?.toolUse) b.toolUse.input = JSON.parse(b.toolUse.input || '{}');
  return { ...answer(content.filter(Boolean), stopReason, usage), pieces };
}

export function client(base, key) {
  return new BedrockRuntimeClient({
    endpoint: base, region: 'us-east-1', credentials: { accessKeyId: key, secretAccessKey: 'not looked at' }, maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ requestTimeout: TIMEOUT_MS }),
  });
}

export function converse(base, key) {
  const sdk = client(base, key);
  const send = async command => {
    try {
      return await sdk.send(command);
    } catch (e) {
      e.status = e.$metadata?.httpStatusCode;
      throw e;
    }
  };
  const events = async q => {
    const all = [];
    for await (const e of (await send(new ConverseStreamCommand(input(q)))).stream) all.push(e);
    return all;
  };
  return {
    name: 'bedrock-runtime 3.1164', errors, dialect: 'converse',
    lacks: ['image: URL, two', 'list of models'], // the API takes no addresses; models are listed elsewhere
    async ask(q) {
      if (q.stream) return gather(await events(q));
      const whole = await send(new ConverseCommand(input(q)));
      return answer(whole.output.message.content, whole.stopReason, whole.usage);
    },
    rawStream: events,
    results: (message, texts) => [{
      role: 'user',
      content: message.content.filter(b => b.toolUse).map((b, i) => ({ toolResult: { toolUseId: b.toolUse.toolUseId, content: [{ text: texts[i] }] } })),
    }],
    userTurn: text => ({ role: 'user', content: [{ text }] }),
  };
}
