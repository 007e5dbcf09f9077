// A language model that says what the test wants, by the OpenAI-compatible protocol.
import http from "node:http";

export const CODE = "pub fn pause() -> u64 {\n    42\n}\n";
export const ANSWER = `Retries need **jitter**: clients that failed together come back together.\n\n\`\`\`rust\n${CODE}\`\`\`\n\nThat is all.`;

export class Model {
  /** What was asked, message by message. */
  asked = [];
  held = [];
  /** What it answers when nothing else is said. */
  says = ANSWER;
  sockets = new Set();

  async start(port) {
    this.server = http.createServer((request, response) => this.answer(request, response));
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
  }

  async stop() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Lets the answers that are held go on. */
  release() {
    for (const go of this.held.splice(0)) go();
  }

  async answer(request, response) {
    if (request.url.endsWith("/models")) {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ object: "list", data: [{ id: "small", object: "model", context_length: 8192 }, { id: "large", object: "model", context_length: 32768 }] }));
      return;
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    const asked = JSON.parse(body);
    this.asked.push(asked);
    response.setHeader("content-type", "text/event-stream");
    const piece = (delta, finish = null) =>
      response.write(`data: ${JSON.stringify({ id: "1", object: "chat.completion.chunk", model: asked.model, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
    let open = true;
    response.on("close", () => (open = false));
    const question = asked.messages.at(-1).content;
    piece({ role: "assistant" });
    if (/slowly/.test(question)) {
      for (let n = 1; open && n <= 400; n++) {
        piece({ content: n % 10 ? `word${n} ` : `word${n}.\n\n` });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    } else {
      const text = /[\u0590-\u05ff]/.test(question) ? "כדי לבטל commit שכבר נדחף, השתמשו ב־`git revert`. 👩🏽‍💻" : this.says;
      const [first, ...rest] = text.split(/(?<=\n\n)/);
      piece({ content: first });
      if (/hold/i.test(question)) await new Promise((resolve) => this.held.push(resolve));
      for (const part of rest) piece({ content: part });
    }
    if (!open) return;
    piece({}, "stop");
    response.write(`data: ${JSON.stringify({ id: "1", object: "chat.completion.chunk", choices: [], usage: { prompt_tokens: Math.ceil(body.length / 4), completion_tokens: 40, total_tokens: 40 + Math.ceil(body.length / 4) } })}\n\n`);
    response.end("data: [DONE]\n\n");
  }
}
