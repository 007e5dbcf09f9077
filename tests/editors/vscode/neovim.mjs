// A Neovim with our plugin, on the store of the session: another editor of the same person.
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { BINARY, child, env, SCRATCH, store, until, work } from "./machine.mjs";

const { NEOVIM, EXTENSION } = process.env;
const program = path.join(NEOVIM, "usr/bin/nvim");

export class Neovim {
  async start() {
    const site = path.join(SCRATCH, "site");
    const plugins = path.join(site, "pack/tests/opt");
    fs.mkdirSync(plugins, { recursive: true });
    fs.symlinkSync(path.resolve(EXTENSION, "../nvim"), path.join(plugins, "pieces"));
    this.socket = path.join(SCRATCH, "nvim.sock");
    this.env = { ...env, VIMRUNTIME: path.join(NEOVIM, "usr/share/nvim/runtime"), TEST_SITE: site, TEST_BINARY: BINARY, TEST_DATA: store, XDG_STATE_HOME: path.join(SCRATCH, "nvim-state"), NVIM_LOG_FILE: path.join(SCRATCH, "nvim.log") };
    const init = path.resolve(import.meta.dirname, "../nvim/init.lua");
    this.process = child(program, ["--headless", "--clean", "-u", init, "--listen", this.socket], { stdio: "ignore", cwd: work, env: this.env });
    await until("Neovim", async () => (await this.lua("1")) === "1");
  }

  /** The value of an expression in Lua, as text. */
  async lua(expression) {
    const quoted = expression.replaceAll("'", "''");
    const { stdout } = await promisify(execFile)(program, ["--server", this.socket, "--remote-expr", `luaeval('${quoted}')`], { env: this.env });
    return stdout.trim();
  }

  /** Runs a command, as `:COMMAND`. */
  run(command) {
    return this.lua(`vim.cmd(${JSON.stringify(command)})`);
  }

  press(keys) {
    // Afterwards: it may be the key that ends whatever runs.
    return this.lua(`vim.schedule(function() vim.api.nvim_feedkeys(vim.keycode(${JSON.stringify(keys)}), "mx", false) end)`);
  }

  /** Until the buffer has a text. */
  has(what) {
    return until(`${what} in Neovim`, async () => (await this.lua('table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), "\\n")')).includes(what));
  }

  async stop() {
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    await this.run("qall!").catch(() => undefined);
    await gone;
  }
}
