// A picker whose rows are asked for as one types.

import * as vscode from "vscode";
import { complain } from "../errors";
import type { Server } from "../server";
import type { Choice } from "./pick";

interface Looks {
  readonly title: string;
  readonly placeholder: string;
}

/** Rows for a query; the second time with more, where that takes longer. */
type Rows<T> = (query: string, token: vscode.CancellationToken) => Promise<readonly Choice<T>[]>;

/** Lets the person choose. `more`, if given, is asked 200 ms after the last key, and its rows follow the first ones. */
export function pickAsOneTypes<T>(server: Server, looks: Looks, first: Rows<T>, more?: Rows<T>): Promise<T | undefined> {
  const input = vscode.window.createQuickPick<Choice<T>>();
  input.title = looks.title;
  input.placeholder = looks.placeholder;
  let latest = 0;
  let accepted = false;
  let source: vscode.CancellationTokenSource | undefined;
  const search = async (query: string) => {
    const mine = ++latest;
    source?.cancel();
    source = new vscode.CancellationTokenSource();
    const { token } = source;
    input.busy = true;
    try {
      const found = await first(query, token);
      if (mine !== latest) {
        return;
      }
      const waits = more !== undefined && query.trim() !== "";
      input.items = found.length > 0 || waits ? found : [nothing(query)];
      if (waits && !accepted) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        const further = mine === latest ? await more(query, token) : [];
        if (mine === latest) {
          add(input, found, further, query);
        }
      }
    } catch (error) {
      if (mine === latest) {
        input.hide();
        await complain(server, error);
      }
    } finally {
      if (mine === latest) {
        input.busy = false;
      }
    }
  };
  return new Promise((resolve) => {
    const accept = () => {
      const chosen = input.activeItems[0] ?? input.items.find(({ value }) => value !== undefined);
      if (chosen?.value !== undefined) {
        resolve(chosen.value);
        input.hide();
      }
    };
    const searchAndAccept = async (query: string) => {
      await search(query);
      if (accepted && !input.busy) {
        accept();
      }
    };
    input.onDidChangeValue((query) => {
      accepted = false;
      return searchAndAccept(query);
    });
    input.onDidAccept(() => {
      // Until the answer to what was typed is there, the list is of something else.
      accepted = true;
      if (!input.busy || input.items.some(({ value }) => value !== undefined)) {
        accept();
      }
    });
    input.onDidHide(() => {
      resolve(undefined);
      latest = -1;
      source?.cancel();
      input.dispose();
    });
    input.show();
    void searchAndAccept("");
  });
}

/** Adds rows below, and keeps the one that the person is on. */
function add<T>(input: vscode.QuickPick<Choice<T>>, found: readonly Choice<T>[], further: readonly Choice<T>[], query: string): void {
  const at = found.indexOf(input.activeItems[0] ?? { label: "" });
  input.keepScrollPosition = true;
  input.items = found.length + further.length > 0 ? [...found, ...further] : [nothing(query)];
  const active = found[at];
  if (active) {
    input.activeItems = [active];
  }
}

function nothing<T>(query: string): Choice<T> {
  const label =
    query.trim() === "" ? vscode.l10n.t("There are no conversations yet.") : vscode.l10n.t("Nothing is called or says “{0}”.", query.trim());
  return { label, alwaysShow: true };
}
