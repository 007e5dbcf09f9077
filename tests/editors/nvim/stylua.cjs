// node stylua.cjs [--write] FOLDER: checks, or rewrites, every Lua file below FOLDER by its stylua.toml.
// NODE_PATH must hold @johnnymorganz/stylua, the formatter as WebAssembly.
const fs = require("node:fs");
const path = require("node:path");
const { Config, IndentType, OutputVerification, QuoteStyle, formatCode } = require("@johnnymorganz/stylua");

const write = process.argv[2] === "--write";
const folder = process.argv[write ? 3 : 2];
const options = Object.fromEntries(
  fs.readFileSync(path.join(__dirname, "../../../editors/nvim/stylua.toml"), "utf8")
    .split("\n").filter((line) => line.includes("="))
    .map((line) => line.split("=").map((part) => part.trim().replaceAll('"', ""))),
);

function config() { // used up by every call
  const made = Config.new();
  made.column_width = Number(options.column_width);
  made.indent_width = Number(options.indent_width);
  made.indent_type = IndentType[options.indent_type];
  made.quote_style = QuoteStyle[options.quote_style];
  return made;
}

let wrong = 0;
for (const name of fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".lua"))) {
  const file = path.join(folder, name);
  const before = fs.readFileSync(file, "utf8");
  const after = formatCode(before, config(), undefined, OutputVerification.Full);
  if (before === after) continue;
  if (write) fs.writeFileSync(file, after);
  else console.error(`${file} is not formatted`);
  wrong += 1;
}
process.exit(write || wrong === 0 ? 0 : 1);
