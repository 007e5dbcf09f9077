// Phrases that several places show.

import * as vscode from "vscode";
import { setting, text } from "./settings";
import { age, clock } from "./times";

export function messages(n: number): string {
  return n === 1 ? vscode.l10n.t("1 message") : vscode.l10n.t("{0} messages", n);
}

export function conversations(n: number): string {
  return n === 1 ? vscode.l10n.t("1 conversation") : vscode.l10n.t("{0} conversations", n.toLocaleString(vscode.env.language));
}

/** `5 min ago`; in full for screen readers. */
export function ago(time: string, style: "narrow" | "long" = "narrow"): string {
  return age(time, Date.now(), vscode.env.language, style);
}

/** `14:03`, `Mon 14:03`, `23 Nov 2026, 14:03` */
export function when(time: string): string {
  return clock(time, Date.now(), vscode.env.language, zone());
}

export function zone(): string | undefined {
  return text("timeZone");
}

export function confirmsDelete(): boolean {
  return setting<boolean>("confirmDelete") === true;
}
