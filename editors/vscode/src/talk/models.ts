// Which model answers.

import * as vscode from "vscode";
import type { Model, Models } from "../protocol";
import type { Server } from "../server";
import { set, text } from "../settings";

export async function models(server: Server): Promise<Models> {
  return server.run<Models>("pieces.models");
}

/** What to do before anybody can ask; null where one can. */
export function obstacle({ source }: Models): string | null {
  return source === "none"
    ? vscode.l10n.t(
        "No language model is chosen yet. Start one on this machine, such as Ollama, llama.cpp or LM Studio, or use one of Pieces OS; then choose it. A question that you send goes only to the model that you chose.",
      )
    : null;
}

/** What the next question would be answered by, as far as one knows. */
export function nameOf(all: Models, chosen: string | undefined): string {
  const id = chosen ?? text("model") ?? all.default ?? undefined;
  const item = all.items.find((one) => one.id === id || one.name === id);
  return item?.name ?? id ?? vscode.l10n.t("Automatic");
}

const MODEL: unique symbol = Symbol("model");

/** Lets the person choose; undefined if they did not, null for the endpoint's own choice. */
export async function choose(server: Server): Promise<string | null | undefined> {
  const { t } = vscode.l10n;
  // One that does not answer leaves the choice of another one.
  const all = await models(server).catch((error: unknown): Models => {
    server.log.warn(String(error));
    return { source: "none", items: [] };
  });
  const automatic = { label: t("Automatic"), detail: t("The one that is loaded, or the endpoint's own choice"), value: null };
  const other = { label: t("Use Another Endpoint…"), detail: t("Ollama, llama.cpp, LM Studio, or a service with an OpenAI-compatible API"), value: MODEL };
  const items = [...(all.items.length > 0 ? [automatic, ...all.items.map(row)] : []), ...(all.source === "pieces-os" ? [] : [other])];
  const title = all.endpoint == null ? t("Which model answers?") : t("Which model of {0} answers?", all.endpoint);
  const choice = await vscode.window.showQuickPick(items, { title, matchOnDescription: true });
  if (choice?.value === MODEL) {
    useEndpoint(server);
    return undefined;
  }
  return choice?.value as string | null | undefined;
}

/** As the model of every question that names none. */
export async function setModel(model: string | null): Promise<void> {
  await set("model", model ?? "");
}

function row({ id, name, context, loaded }: Model): vscode.QuickPickItem & { value: string } {
  const { t } = vscode.l10n;
  const parts = [loaded === true ? t("loaded") : "", context == null ? "" : t("{0} tokens", context.toLocaleString(vscode.env.language))];
  return { label: name, description: parts.filter((part) => part !== "").join(" · "), value: id };
}

/** The command that chooses an endpoint, typed and not run: who reads it decides. */
function useEndpoint(server: Server): void {
  const terminal = vscode.window.createTerminal({ name: "Pieces Conversations" });
  const program = server.program();
  const quoted = process.platform === "win32" ? `& '${program.replace(/'/g, "''")}'` : `'${program.replace(/'/g, "'\\''")}'`;
  const data = text("dataDir");
  const dataDir = data === undefined ? "" : ` --data-dir '${data.replace(/'/g, process.platform === "win32" ? "''" : "'\\''")}'`;
  terminal.show();
  terminal.sendText(`${quoted} model use http://127.0.0.1:11434/v1${dataDir}`, false);
}
