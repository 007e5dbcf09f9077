// One search for names and for what was said.

import * as vscode from "vscode";
import { show } from "../documents";
import { failure, type Found, type SearchHit } from "../protocol";
import type { Server } from "../server";
import { isolated } from "../text";
import { when } from "../words";
import { type Choice, named } from "./pick";
import { pickAsOneTypes } from "./picker";

const FEW = 20;
const ALL = 1_000;

interface Goal {
  readonly id: string;
  readonly name: string;
  readonly hit?: SearchHit;
}

export async function search(server: Server): Promise<void> {
  const { t } = vscode.l10n;
  const looks = { title: t("Search Conversations"), placeholder: t("A name, or words from a message") };
  let all: string | undefined;
  const goal = await pickAsOneTypes<Goal | string>(server, looks, (query, token) => names(server, query, token), async (query, token) => {
    const { rows, rest } = await said(server, query, FEW, token);
    return rest > 0 ? [...rows, { label: t("Show all {0} messages", rest), alwaysShow: true, value: query }] : rows;
  });
  if (typeof goal === "string") {
    all = goal;
  } else if (goal) {
    await go(goal);
  }
  if (all !== undefined) {
    await searchAll(server, all);
  }
}

async function searchAll(server: Server, query: string): Promise<void> {
  const { rows } = await said(server, query, ALL, new vscode.CancellationTokenSource().token);
  const title = vscode.l10n.t("Messages with “{0}”", query);
  const choice = await vscode.window.showQuickPick(rows, { title, matchOnDetail: true, matchOnDescription: true });
  if (choice?.value) {
    await go(choice.value);
  }
}

async function go({ id, name, hit }: Goal): Promise<void> {
  const words = hit?.excerpt.slice(...hit.match);
  await show(id, { name, line: hit?.line, message: hit?.message ?? undefined, words });
}

async function names(server: Server, query: string, token: vscode.CancellationToken): Promise<Choice<Goal>[]> {
  const found = await named(server, query, token);
  return found.flatMap(({ value, ...row }) => (value ? [{ ...row, value: { id: value.id, name: value.name } }] : []));
}

/** Messages that say it, below a separator; and how many there are if these are not all. */
async function said(server: Server, query: string, limit: number, token: vscode.CancellationToken): Promise<{ rows: Choice<Goal>[]; rest: number }> {
  const { items, total } = await server
    .run<Found>("pieces.conversations.search", { query, limit }, { token })
    // A service without search still finds names.
    .catch((error: unknown): Found => {
      if (failure(error)?.kind === "not-found") {
        return { total: 0, items: [] };
      }
      throw error;
    });
  if (items.length === 0) {
    return { rows: [], rest: 0 };
  }
  const separator: Choice<Goal> = { label: vscode.l10n.t("in messages"), kind: vscode.QuickPickItemKind.Separator };
  return { rows: [separator, ...items.map(message)], rest: total > items.length ? total : 0 };
}

function message(hit: SearchHit): Choice<Goal> {
  const { t } = vscode.l10n;
  const who = hit.role === "USER" || hit.role === "user" ? t("You") : t("Assistant");
  const parts = [hit.role ? who : t("in a message"), hit.time ? when(hit.time) : ""].filter((part) => part !== "");
  const { id, name } = hit.conversation;
  return {
    label: isolated(name),
    description: parts.join(" · "),
    detail: isolated(hit.excerpt),
    iconPath: new vscode.ThemeIcon("comment"),
    alwaysShow: true,
    value: { id, name, hit },
  };
}

