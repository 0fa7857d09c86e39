// 官方 openai SDK 原样经网关：对话（JSON 与流）、工具、向量、模型列表、错误。每个检查打印一行，任何一个不成立即以非零结束。
import OpenAI from "openai";
import assert from "node:assert/strict";

const client = new OpenAI({ baseURL: process.env.VEGA_API_URL, apiKey: process.env.VEGA_API_KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Tell me a short story." }];

const checks = {
  async "chat JSON"() {
    const { data, response } = await client.chat.completions.create({ model: "chat", messages }).withResponse();
    assert.equal(data.object, "chat.completion");
    assert.ok(data.choices[0].message.content.length > 0);
    assert.ok(data.usage.total_tokens > 0);
    assert.equal(response.headers.get("x-vega-server"), "up");
    assert.match(response.headers.get("x-request-id"), /\S/);
  },
  async "chat stream without usage asked"() {
    let text = "", usage = 0;
    for await (const chunk of await client.chat.completions.create({ model: "chat", messages, stream: true })) {
      assert.ok(chunk.choices.length > 0, "a chunk without choices reached a client that had not asked for usage");
      text += chunk.choices[0].delta?.content ?? "";
      if (chunk.usage) usage++;
    }
    assert.ok(text.length > 0);
    assert.equal(usage, 0);
  },
  async "chat stream with usage asked"() {
    let usage;
    const stream = await client.chat.completions.create({ model: "chat", messages, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) usage = chunk.usage ?? usage;
    assert.ok(usage.total_tokens > 0);
  },
  async "stream helper collects the final message"() {
    const runner = client.chat.completions.stream({ model: "chat", messages });
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, "stop");
  },
  async "tools"() {
    const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
    const data = await client.chat.completions.create({ model: "chat", messages, tools });
    assert.equal(data.choices[0].finish_reason, "tool_calls");
    assert.equal(data.choices[0].message.tool_calls[0].function.name, "get_weather");
    JSON.parse(data.choices[0].message.tool_calls[0].function.arguments);
    const final = await client.chat.completions.stream({ model: "chat", messages, tools }).finalChatCompletion();
    assert.equal(final.choices[0].message.tool_calls[0].function.name, "get_weather");
  },
  async "embeddings"() {
    const data = await client.embeddings.create({ model: "embed", input: ["a", "b"] });
    assert.equal(data.data.length, 2);
    assert.ok(data.data[0].embedding.length > 0);
  },
  async "responses stream"() {
    const types = [];
    for await (const event of await client.responses.create({ model: "chat", input: "hi", stream: true })) types.push(event.type);
    assert.equal(types.at(-1), "response.completed");
  },
  async "models"() {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert.deepEqual(ids.sort(), ["chat", "embed", "org/with space"]);
    assert.equal((await client.models.retrieve("org/with space")).id, "org/with space");
  },
  async "speech is binary"() {
    const audio = await client.audio.speech.create({ model: "chat", voice: "alloy", input: "hello" });
    assert.ok((await audio.arrayBuffer()).byteLength > 0);
  },
  async "file upload is multipart"() {
    const file = await client.files.create({ purpose: "batch", file: new File(["{}\n"], "in.jsonl") });
    assert.ok(file.id);
  },
  async "errors"() {
    const wrong = new OpenAI({ baseURL: process.env.VEGA_API_URL, apiKey: "vg-wrong", maxRetries: 0 });
    await assert.rejects(wrong.chat.completions.create({ model: "chat", messages }), (e) => e instanceof OpenAI.AuthenticationError && e.code === "invalid_api_key");
    await assert.rejects(client.chat.completions.create({ model: "nope", messages }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
    await assert.rejects(client.chat.completions.create({ model: "secret", messages }), (e) => e instanceof OpenAI.PermissionDeniedError && e.code === "model_not_allowed");
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log("ok", name);
}
