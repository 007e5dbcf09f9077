// What a row of the view looks and sounds like.

import * as vscode from "vscode";
import type { ConversationItem } from "./protocol";
import { isolated, line } from "./text";
import { monthOrYear } from "./times";
import { ago, messages, when } from "./words";

/** The title of a group: this file, or a span of time. */
export function titleOf(group: string): string {
  switch (group) {
    case "file":
      return vscode.l10n.t("This File");
    case "today":
      return vscode.l10n.t("Today");
    case "yesterday":
      return vscode.l10n.t("Yesterday");
    case "week":
      return vscode.l10n.t("Last 7 Days");
    case "0":
      return vscode.l10n.t("No Date");
    default:
      return monthOrYear(group, vscode.env.language);
  }
}

export function treeItem(one: ConversationItem, group: string): vscode.TreeItem {
  // The name keeps its own direction, and what follows stays behind it.
  const item = new vscode.TreeItem(isolated(one.name));
  const answering = one.answering === true;
  item.id = `${group}/${one.id}`;
  item.contextValue = answering ? "answering" : "conversation";
  item.description = `\u200e${answering ? vscode.l10n.t("writing…") : ago(one.updated)}`;
  const icon = icons(one);
  if (icon !== undefined) {
    item.iconPath = new vscode.ThemeIcon(icon);
  }
  // Plain text: names are other people's.
  const files = one.files.map((file) => line(vscode.Uri.parse(file).fsPath));
  item.tooltip = [line(one.name), `${messages(one.messages)} · ${when(one.updated)}`, ...files].join("\n");
  item.accessibilityInformation = { label: spoken(one) };
  item.command = { command: "piecesLsp.browse", title: vscode.l10n.t("Open"), arguments: [{ item: one }] };
  return item;
}

/** An icon says something that the other rows' do not. */
function icons(one: ConversationItem): string | undefined {
  if (one.answering === true) {
    return "loading~spin";
  }
  if (one.favorited) {
    return "star-full";
  }
  return one.files.length > 0 ? "file-code" : "comment-discussion";
}

function spoken(one: ConversationItem): string {
  const parts = [line(one.name), ago(one.updated, "long"), messages(one.messages)];
  if (one.favorited) {
    parts.push(vscode.l10n.t("starred"));
  }
  if (one.answering === true) {
    parts.push(vscode.l10n.t("an answer is being written"));
  }
  return parts.join(", ");
}
