// The phrases of the page. They are said here, where they can be translated.

import * as vscode from "vscode";

export function strings(): Record<string, string> {
  const { t } = vscode.l10n;
  return {
    you: t("You"),
    assistant: t("Assistant"),
    system: t("System"),
    starred: t("starred"),
    openFile: t("Open {0}"),
    deleted: t("This conversation was deleted."),
    missing: t("This conversation is not here. It may have been deleted, or be kept elsewhere."),
    restore: t("Restore"),
    ask: t("Ask a question"),
    send: t("Send"),
    stop: t("Stop"),
    keys: t("Enter sends, Shift+Enter breaks the line"),
    addFile: t("Add File…"),
    addThis: t("Send {0} with the question"),
    removeThis: t("Do not send {0}"),
    goesAlong: t("Sent with the question"),
    modelIs: t("Model: {0}"),
    chooseModel: t("Choose a Model…"),
    useLocal: t("Use the Local Service"),
    checkAgain: t("Check Again"),
    oneAtATime: t("The answer is still being written. Wait for its end, or press Esc to stop it."),
    editing: t("Your last question, asked again in a new conversation. Esc leaves it as it was."),
    insert: t("Insert at Cursor"),
    copy: t("Copy"),
    compare: t("Compare"),
    new: t("New File"),
    codeBlock: t("code block {0}"),
    // Spoken in place of the code itself.
    code: t("code, lines: {0}"),
    codeIn: t("code, {0}, lines: {1}"),
    waiting: t("Waiting for the model…"),
    waitingFor: t("Waiting for the model, {0} s…"),
    thinking: t("Thinking…"),
    writing: t("Writing…"),
    below: t("↓ More below"),
    stopped: t("Stopped."),
    interrupted: t("Interrupted. What was written is kept."),
    unanswered: t("Not answered."),
    again: t("Ask Again"),
    usage: t("{0} tokens"),
    length: t("cut off at the longest answer that the model gives"),
    cut: t("sent in part: {0}"),
    leftOut: t("left out: {0}"),
  };
}
