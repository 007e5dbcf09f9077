// The settings, as the server takes them.

import * as vscode from "vscode";

export const SECTION = "piecesLsp";
const FOR_THE_SERVER = ["backend", "url", "codeLens", "inlayHints", "diagnostics", "model", "timeZone"] as const;
/** Settings that the server has only from a certain version on: they are not sent while they say nothing. */
const NEWER = new Set(["model", "timeZone"]);

/** A setting that decides where data goes: what a workspace says does not count. */
export function setting<T>(key: string): T | undefined {
  const all = vscode.workspace.getConfiguration(SECTION).inspect<T>(key);
  return all?.globalValue ?? all?.defaultValue;
}

/** A setting that is a text; empty means not set. */
export function text(key: string): string | undefined {
  const value = setting<string | null>(key);
  return value === null || value === undefined || value === "" ? undefined : value;
}

export function set(key: string, value: unknown): Thenable<void> {
  return vscode.workspace.getConfiguration(SECTION).update(key, value, vscode.ConfigurationTarget.Global);
}

/** What the server is told. Deleting is asked about here, so it is not asked about there. */
export function forServer(): Record<string, unknown> {
  const entries = FOR_THE_SERVER.map((key) => [key, setting(key) === "" ? null : (setting(key) ?? null)] as const);
  const said = entries.filter(([key, value]) => value !== null || !NEWER.has(key));
  return { ...Object.fromEntries(said), liveUpdates: true };
}
