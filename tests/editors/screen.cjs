// node screen.cjs TITLE CAPTURE[@SECONDS]... >SVG: screens of a terminal (`tmux capture-pane -e -p`) as a picture,
// or, where there are several, as a short film, each shown for three seconds or as long as it says.
const fs = require("node:fs");
const [title, ...captures] = process.argv.slice(2);
const background = "#14161b";
const DEFAULT_SECONDS = 3;
const [cellWidth, cellHeight, margin, bar] = [8.4, 18, 12, 30];
const basic = ["#07080d", "#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#eef1f8"];
const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const wide = (c) => /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uff00-\uff60]|\p{Extended_Pictographic}/u.test(c) && !/[★·]/u.test(c);

function apply(style, codes) {
  const colour = () => {
    const kind = codes.shift();
    if (kind === 2) return `rgb(${codes.splice(0, 3).join(",")})`;
    const n = codes.shift();
    if (n < 16) return basic[n % 8];
    if (n > 231) return `rgb(${Array(3).fill((n - 232) * 10 + 8).join(",")})`;
    const part = (k) => [0, 95, 135, 175, 215, 255][Math.floor((n - 16) / k) % 6];
    return `rgb(${part(36)},${part(6)},${part(1)})`;
  };
  while (codes.length > 0) {
    const code = codes.shift();
    if (code === 0) for (const key of Object.keys(style)) delete style[key];
    else if (code === 1) style.bold = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.reverse = true;
    else if (code === 22) style.bold = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 27) style.reverse = false;
    else if (code === 38) style.fg = colour();
    else if (code === 39) delete style.fg;
    else if (code === 48) style.bg = colour();
    else if (code === 49) delete style.bg;
    else if (code >= 30 && code <= 37) style.fg = basic[code - 30];
    else if (code >= 40 && code <= 47) style.bg = basic[code - 40];
    else if (code >= 90 && code <= 97) style.fg = basic[code - 90];
    else if (code >= 100 && code <= 107) style.bg = basic[code - 100];
  }
}

let columns = 0;
let rows = 0;

// One string for each line of the screen.
function draw(capture) {
  const lines = fs.readFileSync(capture, "utf8").replace(/\n$/, "").split("\n");
  rows = Math.max(rows, lines.length);
  return lines.map((line, row) => {
    const drawn = [];
    const style = {};
    let column = 0;
    for (const piece of line.split(/(\x1b\[[\d;:]*m)/)) {
      const codes = /^\x1b\[([\d;:]*)m$/.exec(piece);
      if (codes) {
        apply(style, codes[1].replace(/:+/g, ";").split(";").map(Number));
        continue;
      }
      const text = piece.replace(/\x1b[^m]*m?|[\x00-\x1f]/g, "");
      if (text === "") continue;
      const cells = [...text].reduce((sum, c) => sum + (wide(c) ? 2 : 1), 0);
      const x = margin + column * cellWidth;
      const y = bar + margin + row * cellHeight;
      const width = cells * cellWidth;
      const fg = (style.reverse ? style.bg ?? background : style.fg) ?? "#e0e2ea";
      const bg = style.reverse ? style.fg ?? "#e0e2ea" : style.bg;
      if (bg) drawn.push(`<rect x="${x}" y="${y}" width="${width}" height="${cellHeight}" fill="${bg}"/>`);
      // Word by word, so that columns stay put in every renderer and font.
      let at = column;
      for (const word of text.split(/( +)/)) {
        const length = [...word].reduce((sum, c) => sum + (wide(c) ? 2 : 1), 0);
        if (word.trim() !== "") {
          const more = `${style.bold ? ' font-weight="bold"' : ""}${style.italic ? ' font-style="italic"' : ""}${style.underline ? ' text-decoration="underline"' : ""}`;
          const place = `x="${(margin + at * cellWidth).toFixed(1)}" y="${y + 13.5}" textLength="${(length * cellWidth).toFixed(1)}"`;
          drawn.push(`<text ${place} lengthAdjust="spacingAndGlyphs" fill="${fg}"${more}>${escape(word)}</text>`);
        }
        at += length;
      }
      column += cells;
    }
    columns = Math.max(columns, column);
    return drawn.join("\n");
  });
}

// Every line of a film is there once, and is seen when a frame has it. What shows no film shows the last frame.
function film(frames, seconds) {
  const total = seconds.reduce((sum, one) => sum + one, 0);
  const starts = seconds.map((_, i) => seconds.slice(0, i).reduce((sum, one) => sum + one, 0) / total);
  const seen = new Map();
  frames.forEach((lines, frame) => {
    for (const line of lines) if (line !== "") seen.set(line, [...(seen.get(line) ?? []), frame]);
  });
  const drawn = [];
  for (const [line, at] of seen) {
    if (at.length === frames.length) {
      drawn.push(line);
      continue;
    }
    const state = (frame) => (at.includes(frame) ? "visible" : "hidden");
    const changes = frames.map((_, frame) => frame).filter((frame) => frame === 0 || state(frame) !== state(frame - 1));
    const times = changes.map((frame) => starts[frame].toFixed(4)).join(";");
    const animate = `<animate attributeName="visibility" calcMode="discrete" dur="${total}s" repeatCount="indefinite" keyTimes="${times}" values="${changes.map(state).join(";")}"/>`;
    drawn.push(`<g visibility="${state(frames.length - 1)}">${animate}${line}</g>`);
  }
  return drawn.join("\n");
}

const parts = captures.map((one) => /^(.*?)(?:@([\d.]+))?$/.exec(one));
const frames = parts.map(([, file]) => draw(file));
const seconds = parts.map(([, , length]) => Number(length ?? DEFAULT_SECONDS));
const width = Math.ceil(columns * cellWidth + 2 * margin);
const height = rows * cellHeight + 2 * margin + bar;
const dots = ["#ff5f57", "#febc2e", "#28c840"].map((fill, i) => `<circle cx="${margin + 8 + i * 20}" cy="${bar / 2 + 3}" r="6" fill="${fill}"/>`).join("");
process.stdout.write(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" xml:space="preserve">
<title>${escape(title)}</title>
<rect width="${width}" height="${height}" rx="8" fill="${background}"/>${dots}
<text x="${width / 2}" y="${bar / 2 + 8}" text-anchor="middle" fill="#9b9ea4">${escape(title)}</text>
${frames.length > 1 ? film(frames, seconds) : frames[0].join("\n")}
</svg>
`);
