// Where the server's program is.

import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import { text } from "./settings";

export class Missing extends Error {}

/** The machine's setting, then the bundled binary, then PATH and Cargo's own folder; never anything of a workspace. */
export function find(extensionPath: string): string {
  const name = process.platform === "win32" ? "pieces-lsp.exe" : "pieces-lsp";
  const set = text("server.path");
  const onPath = (process.env.PATH ?? "").split(path.delimiter).filter((dir) => path.isAbsolute(dir));
  // An editor that was not started from a shell often has a PATH without it.
  const home = process.env.CARGO_HOME ?? path.join(process.env.HOME ?? process.env.USERPROFILE ?? "", ".cargo");
  const dirs = [path.join(extensionPath, "bin"), ...onPath, path.join(home, "bin")];
  const candidates = set === undefined ? dirs.map((dir) => path.join(dir, name)) : [set];
  const found = candidates.find((file) => path.isAbsolute(file) && isFile(file));
  if (found === undefined) {
    throw new Missing(vscode.l10n.t('{0} was not found. Set "piecesLsp.server.path" to where it is.', set ?? name));
  }
  return found;
}

function isFile(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}
