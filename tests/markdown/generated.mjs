// Texts that are made of what means something in Markdown. One seed always makes the same.

const atoms = [
  "<b>", "<img src=x>", "</b>", "<!-- x -->", "<!--", "-->", "<?", "?>", "<![CDATA[", "]]>", "<div>", "</div>",
  "<script>", '<a href="', '">', "<https://x.org>", "<command:x>", "<a@b.org>", "<", "> ", ">", "![", "![a](b)",
  "[a]", "[foo]", "[a](https://x.org)", "[a](command:x)", "[a][foo]", "[foo]: command:x", "[foo]: https://x.org",
  "[^1]", "[^1]: n", "[a](", "](", "](command:x)", "](https://x.org)", ")", "(", "[", "]", "!", "\\", "\\\\", "`",
  "``", "```", "````", "~~~", "~~~~", "```js", "``` a|b", "~~~ `", "https://a.org/", "http://b.org/<", "www.a.org/",
  "www.", "://", "a@b.org", "mailto:a@b.org", "xmpp:a@b/", "|", "|a|b|", "|-|-|", "|-|", ":-", "-|-", "| a |",
  "| - |", "--", "---", "===", "- ", "* ", "+ ", "1. ", "2) ", "  ", "    ", "\t", " ", "\n", "\n\n", "\n", "\n",
  "\n", "# ", "## ", "### ", "#", "*", "**", "_", "__", "~", "~~", "&lt;", "&#60;", "&", "a", "b", "foo", "word",
  "é", "$$", "$", '"', "'", "`<b>`", "``<b>``", "`a`", "[x] ", "- [ ] ", "command:x", "javascript:x", "\n    ",
  "\n  ", "\n   ", "\n\t", "> \n", ">\n", "\n> ", "\n- ", "\n1. ", "  \n", "\\\n", "\u00a0", "\u200d", "[a\n](",
  "[a]\n:", "](\nb)", "](<", "](<b>", "](<https://x.org", ">)", '"t")', "\f", "\v",
];

// mulberry32
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** So many texts. Most are made of few atoms, so that what belongs together meets. */
export function generated(seed, count) {
  const below = random(seed);
  const pick = (list) => list[below(list.length)];
  return Array.from({ length: count }, () => {
    const few = Array.from({ length: pick([4, 8, 20, atoms.length]) }, () => pick(atoms));
    return Array.from({ length: 1 + below(pick([3, 6, 10, 16, 30])) }, () => pick(few)).join("");
  });
}
