// What the readers of Markdown that people use make of a text: cmark-gfm (GitHub), micromark with GFM, and
// markdown-it with html and linkify as VS Code's preview has it.
import { execFileSync } from "node:child_process";
import MarkdownIt from "markdown-it";
import { micromark, parse, postprocess, preprocess } from "micromark";
import { gfm, gfmHtml } from "micromark-extension-gfm";

// cmark-gfm takes letters before an address of mail into it.
const harmless = /^(https?|ftp|[\w.+-]*(mailto|xmpp)|pieces-conversation|pieces-asset):|^\/\/|^[\w.+-]*@/i;

const unescaped = (html) =>
  html.replace(/&(quot|amp|lt|gt);/g, (_, name) => ({ quot: '"', amp: "&", lt: "<", gt: ">" })[name]);

const links = (html) => [...html.matchAll(/ href="([^"]*)"/g)].map((found) => unescaped(found[1]));

function withMarkdownIt(text) {
  const reader = new MarkdownIt({ html: true, linkify: true });
  reader.validateLink = () => true;
  const found = [];
  const look = (tokens) => {
    for (const token of tokens) {
      if (["html_block", "html_inline", "image"].includes(token.type)) found.push(`${token.type} ${token.content}`);
      if (token.children) look(token.children);
    }
  };
  look(reader.parse(text, {}));
  return { html: reader.render(text), found };
}

function withMicromark(text) {
  const events = postprocess(parse({ extensions: [gfm()] }).document().write(preprocess()(text, undefined, true)));
  const found = [];
  for (const [step, token, context] of events) {
    if (step === "enter" && ["htmlFlow", "htmlText", "image"].includes(token.type)) {
      found.push(`${token.type} ${context.sliceSerialize(token)}`);
    }
  }
  const html = micromark(text, {
    allowDangerousHtml: true,
    allowDangerousProtocol: true,
    extensions: [gfm()],
    htmlExtensions: [gfmHtml()],
  });
  return { html, found };
}

// A Python of its own, started once for all texts.
const cmark = `
import json, sys
from cmarkgfm import markdown_to_html_with_extensions as render
from cmarkgfm.cmark import Options
extensions = ["table", "autolink", "strikethrough", "tasklist"]
def read(text):
    safe = render(text, options=Options.CMARK_OPT_FOOTNOTES, extensions=extensions)
    html = render(text, options=Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES, extensions=extensions)
    found = [what for what in ("<!-- raw HTML omitted -->", "<img ") if what in safe]
    return {"html": html, "found": found}
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
`;

function withCmark(python, texts) {
  const options = { input: JSON.stringify(texts), maxBuffer: 1 << 30, encoding: "utf8" };
  return JSON.parse(execFileSync(python, ["-c", cmark], options));
}

/** Per text, what each reader made of it: `{ reader, html, found, links }`. */
export function read(python, texts) {
  const cmarks = withCmark(python, texts);
  return texts.map((text, at) => {
    const all = { "cmark-gfm": cmarks[at], micromark: withMicromark(text), "markdown-it": withMarkdownIt(text) };
    return Object.entries(all).map(([reader, { html, found }]) => ({ reader, html, found, links: links(html) }));
  });
}

/** What is wrong with a text that ends with `ending`, read as `end`; nothing if all is well. */
export function faults({ reader, html, found, links }, end) {
  const wrong = found.map((what) => `${reader} finds ${JSON.stringify(what)}`);
  for (const link of links) if (!harmless.test(link)) wrong.push(`${reader} finds a link to ${link}`);
  const normal = html.replaceAll(/ id="[^"]*"/g, "");
  if (!normal.trimEnd().endsWith(end)) wrong.push(`${reader} reads the next message as ${JSON.stringify(normal.slice(-200))}`);
  const count = (pattern) => (normal.match(pattern) ?? []).length;
  if (count(/<h1>/g) > 0 || count(/<h2>/g) > 1) wrong.push(`${reader} finds other headings`);
  for (const tag of ["ul", "ol", "li", "blockquote", "table", "pre", "code", "p"]) {
    const before = normal.slice(0, normal.length - end.length - 1);
    const open = (before.match(new RegExp(`<${tag}[ >]`, "g")) ?? []).length;
    const closed = (before.match(new RegExp(`</${tag}>`, "g")) ?? []).length;
    if (open !== closed) wrong.push(`${reader} has an open ${tag}`);
  }
  return wrong;
}
