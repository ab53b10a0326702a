// An OpenAI-compatible server around node-llama-cpp (llama.cpp, prebuilt), for tests with a real model.
//
//     NODE_LLAMA=FOLDER MODEL=FILE.gguf KEY=… SLOTS=2 node server.mjs        prints its port, runs until stdin ends
//
// GET /v1/models, POST /v1/chat/completions (streamed or not, response_format json_schema), 401 without the key. A client
// that hangs up ends its generation. Each slot is a sequence of its own in one context, with its prefix kept. A schema
// becomes a grammar by llama.cpp's own converter where that was built (FOLDER/grammar), else by the library's, which knows
// `anyOf` as `oneOf` only.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const NAME = "smollm2:135m";
const { NODE_LLAMA, MODEL, KEY = "", SLOTS = "2", CONTEXT = "4096", THREADS = "2" } = process.env;
const library = path.join(NODE_LLAMA, "node_modules", "node-llama-cpp", "dist", "index.js");
const { getLlama, LlamaChat } = await import(pathToFileURL(library));

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
const model = await llama.loadModel({ modelPath: MODEL });
const context = await model.createContext({
  sequences: Number(SLOTS), contextSize: Number(CONTEXT), threads: Number(THREADS),
});
const free = Array.from({ length: Number(SLOTS) }, () => context.getSequence());
const waiting = [];
let running = 0;

const take = () => (free.length ? Promise.resolve(free.pop()) : new Promise((resolve) => waiting.push(resolve)));
const give = (slot) => (waiting.length ? waiting.shift()(slot) : free.push(slot));

function history(messages) {
  return messages.map(({ role, content }) =>
    role === "assistant" ? { type: "model", response: [content] } : { type: role, text: content });
}

const converter = path.join(NODE_LLAMA, "grammar");
const grammars = new Map();

const renamed = (value) =>
  Array.isArray(value) ? value.map(renamed)
  : value && typeof value === "object"
    ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key === "anyOf" ? "oneOf" : key, renamed(each)]))
    : value;

async function grammarFor(schema) {
  const text = JSON.stringify(schema);
  if (!grammars.has(text)) {
    if (grammars.size > 20) grammars.clear();
    if (!fs.existsSync(converter)) grammars.set(text, await llama.createGrammarForJsonSchema(renamed(schema)));
    else {
      const made = spawnSync(converter, { input: text, encoding: "utf-8" });
      if (made.status !== 0) throw new Error(`the schema is not accepted: ${made.stderr}`);
      grammars.set(text, await llama.createGrammar({ grammar: made.stdout, rootRuleName: "root" }));
    }
  }
  return grammars.get(text);
}

async function generate(body, signal, onText) {
  const sequence = await take();
  const chat = new LlamaChat({ contextSequence: sequence, autoDisposeSequence: false });
  running += 1;
  try {
    if (signal.aborted) return null;
    const before = sequence.tokenMeter.getState();
    const schema = body.response_format?.json_schema?.schema;
    const got = await chat.generateResponse(history(body.messages), {
      signal,
      maxTokens: body.max_tokens ?? 256,
      temperature: body.temperature ?? 0,
      grammar: schema && (await grammarFor(schema)),
      onTextChunk: onText,
    });
    const used = sequence.tokenMeter.diff(before);
    const usage = { prompt_tokens: sequence.nextTokenIndex - used.usedOutputTokens, completion_tokens: used.usedOutputTokens };
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    const cut = got.metadata.stopReason === "maxTokens";
    return { text: got.response, finish: cut ? "length" : "stop", usage };
  } finally {
    running -= 1;
    chat.dispose();
    give(sequence);
  }
}

function reply(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function complete(request, response, body) {
  const controller = new AbortController();
  response.on("close", () => controller.abort());
  const head = { id: "chatcmpl-1", created: 1, model: NAME };
  const send = (more) =>
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...more })}\n\n`);
  const onText = (content) => body.stream && send({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
  if (body.stream) response.writeHead(200, { "content-type": "text/event-stream" });
  let got;
  try {
    got = await generate(body, controller.signal, onText);
  } catch (error) {
    if (controller.signal.aborted) return;
    const told = { error: { message: String(error.message), type: "server_error", code: 400 } };
    if (!body.stream) return reply(response, 400, told);
    return response.end(`data: ${JSON.stringify(told)}\n\n`);
  }
  if (!got || controller.signal.aborted) return;
  if (!body.stream) {
    const message = { role: "assistant", content: got.text };
    const choices = [{ index: 0, message, finish_reason: got.finish }];
    return reply(response, 200, { ...head, object: "chat.completion", choices, usage: got.usage });
  }
  send({ choices: [{ index: 0, delta: {}, finish_reason: got.finish }] });
  if (body.stream_options?.include_usage) send({ choices: [], usage: got.usage });
  response.end("data: [DONE]\n\n");
}

const server = http.createServer(async (request, response) => {
  if (KEY && request.headers.authorization !== `Bearer ${KEY}`)
    return reply(response, 401, { error: { message: "Invalid API key", type: "authentication_error", code: 401 } });
  if (request.method === "GET" && request.url === "/v1/models")
    return reply(response, 200, { object: "list", data: [{ id: NAME, object: "model", created: 1, owned_by: "tests" }] });
  if (request.method === "GET" && request.url === "/running") return reply(response, 200, { running });
  if (request.method !== "POST" || request.url !== "/v1/chat/completions")
    return reply(response, 404, { error: { message: "no such path", code: 404 } });
  let text = "";
  for await (const part of request) text += part;
  return complete(request, response, JSON.parse(text));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
