import assert from "node:assert/strict";
import { test } from "node:test";
import { render } from "../src/webview/render";
import { spoken } from "../src/webview/speak";

test("what others wrote is inert", () => {
  const hostile = [
    "<script>x()</script> <img src=x onerror=y()>",
    "![i](https://example.com/i.png)",
    "[c](command:workbench.action.quit) [j](javascript:x()) [d](data:text/html,x) [v](vscode:x)",
    "<https://ok.example> <command:x>",
    "```\n</code></pre><script>x()</script>\n```",
    "```\"><img src=x>\ny\n```",
  ].join("\n\n");
  const html = render(hostile);
  assert.ok(!/<(script|img|iframe|style|object|svg)/i.test(html), html);
  assert.ok(!/href="(command|javascript|data|vscode):/i.test(html), html);
  assert.ok(html.includes('href="https://ok.example"'));
  assert.ok(html.includes('href="https://example.com/i.png"'), "an image is a link");
});

test("links to conversations, assets and files are links", () => {
  for (const uri of ["pieces-conversation:/1.md", "pieces-asset:/1/a.rs", "file:///a.rs"]) {
    assert.ok(render(`[x](${uri})`).includes(`href="${uri}"`), uri);
  }
});

test("code has its language, its place and colours", () => {
  const html = render("```rust retry.rs:23-29\nfn main() {}\n```");
  assert.ok(html.includes('data-language="rust"') && html.includes('data-info="rust retry.rs:23-29"'), html);
  assert.ok(html.includes("hljs-keyword"));
  assert.ok(!render(`\`\`\`rust\n${"fn a() {}\n".repeat(3_000)}\`\`\``).includes("hljs"), "long code has no colours");
});

test("a fence that is not closed yet is code", () => {
  assert.ok(render("Look:\n\n```rust\nfn ma").includes('class="code"'));
});

test("rendering is linear in what a model can write", () => {
  for (const part of ["*a ", "[x](", "`a", "> ", "| a ", "<", "https://a.", "- a\n"]) {
    // Of several times the shortest, and as the processor counts: others use it too.
    const time = (times: number) => {
      const text = part.repeat(times);
      const once = () => {
        const begin = process.cpuUsage();
        render(text);
        const { user, system } = process.cpuUsage(begin);
        return (user + system) / 1_000;
      };
      return Math.min(once(), once(), once());
    };
    time(1_000);
    const [short, long] = [time(2_000), time(8_000)];
    assert.ok(long < 8 * short + 50, `${part}: ${short} ms, then ${long} ms`);
  }
});

const code = (language: string, lines: number) => `${language} ${lines}`;

test("a screen reader is told of paragraphs that have ended, and of code by its size", () => {
  const text = "First *one*.\n\nSecond\none.\n\n```rust\na\n\nb\n```\nLast";
  const { paragraphs, next } = spoken(text, 0, false, code);
  assert.deepEqual(paragraphs, ["First one.", "Second one.", "rust 3"]);
  assert.deepEqual(spoken(text, next, false, code).paragraphs, []);
  assert.deepEqual(spoken(text, next, true, code).paragraphs, ["Last"]);
});

test("every paragraph is told once, wherever the pieces end", () => {
  const text = "a\n\nb c\n\n~~~\nx\n~~~\n\nd\n";
  const whole = spoken(text, 0, true, code).paragraphs;
  for (let cut = 0; cut <= text.length; cut++) {
    const first = spoken(text.slice(0, cut), 0, false, code);
    const rest = spoken(text, first.next, true, code);
    assert.deepEqual([...first.paragraphs, ...rest.paragraphs], whole, `${cut}`);
  }
});
