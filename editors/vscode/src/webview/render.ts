// Messages as HTML. What others wrote is inert here: no HTML of theirs, no images, and links that go nowhere by themselves.

import MarkdownIt from "markdown-it";
import hljs from "highlight.js/lib/common";

const SCHEMES = /^(?:https?|mailto|pieces-conversation|pieces-asset|file):/i;
/** Longer code is shown without colours. */
const MOST_COLOURED = 20_000;

const markdown = new MarkdownIt("default", { html: false, linkify: true, typographer: false, breaks: true, highlight });
// An image is fetched when it is looked at, and tells where that is: it becomes a link.
markdown.disable("image");
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
markdown.validateLink = (url) => SCHEMES.test(url.trim());
markdown.renderer.rules.link_open = (tokens, at, options, _env, self) => {
  const token = tokens[at];
  const href = token?.attrGet("href") ?? "";
  token?.attrSet("title", href);
  return self.renderToken(tokens, at, options);
};
markdown.renderer.rules.fence = (tokens, at) => fence(tokens[at]?.content ?? "", tokens[at]?.info ?? "");
markdown.renderer.rules.code_block = (tokens, at) => fence(tokens[at]?.content ?? "", "");
markdown.renderer.rules.table_open = () => '<div class="table" tabindex="0"><table>';
markdown.renderer.rules.table_close = () => "</table></div>";

export function render(text: string): string {
  return markdown.render(text);
}

/** A fence; its buttons are made where it is shown. */
function fence(code: string, info: string): string {
  const language = info.trim().split(/\s+/u)[0] ?? "";
  const escapeHtml = (text: string) => markdown.utils.escapeHtml(text);
  const title = escapeHtml(info.trim().slice(0, 200));
  const attributes = `class="code" data-language="${escapeHtml(language)}" data-info="${title}"`;
  return `<div ${attributes}><pre tabindex="0" dir="ltr"><code>${highlight(code, language)}</code></pre></div>`;
}

function highlight(code: string, language: string): string {
  const known = language !== "" && hljs.getLanguage(language) !== undefined;
  return known && code.length <= MOST_COLOURED
    ? hljs.highlight(code, { language, ignoreIllegals: true }).value
    : markdown.utils.escapeHtml(code);
}
