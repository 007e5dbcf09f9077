// Questions of the server with buttons.

import * as vscode from "vscode";

/** The params of `window/showMessageRequest`. */
export interface Question {
  type: number;
  message: string;
  actions?: { title: string }[];
}

const ERROR = 1;
const WARNING = 2;
/** What the server calls the button that changes nothing; a dialog closes with it. */
const CLOSING = new Set(["Cancel", "Not now"]);

/** Puts a question: in a dialog if the person is waiting for it, else as a notification. */
export async function put(question: Question, waiting: boolean): Promise<{ title: string } | undefined> {
  const items = (question.actions ?? []).map(({ title }) => ({ title, isCloseAffordance: waiting && CLOSING.has(title) }));
  const options = { modal: waiting && items.length > 0 };
  const chosen = await message(question.type)(question.message, options, ...items);
  return chosen && { title: chosen.title };
}

type Show = (message: string, options: vscode.MessageOptions, ...items: vscode.MessageItem[]) => Thenable<vscode.MessageItem | undefined>;

function message(type: number): Show {
  switch (type) {
    case ERROR:
      return vscode.window.showErrorMessage;
    case WARNING:
      return vscode.window.showWarningMessage;
    default:
      return vscode.window.showInformationMessage;
  }
}
