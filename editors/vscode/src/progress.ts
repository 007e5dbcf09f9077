// The ticks of the walkthrough: what was done, whenever it was.

import * as vscode from "vscode";

type Step = "seen" | "started" | "asked" | "imported";
const STEPS: readonly Step[] = ["seen", "started", "asked", "imported"];
const KEY = "done";
const PULSE = 2_000;

let memory: vscode.Memento | undefined;

/** Remembers that it was done, and ticks it where the walkthrough is open. */
export function done(step: Step): void {
  const before = memory?.get<Step[]>(KEY, []) ?? [];
  if (!before.includes(step)) {
    void memory?.update(KEY, [...before, step]);
    void tick([step]);
  }
}

/**
 * VS Code ticks a step when its key becomes true while it knows the walkthrough, which it may not before the page is
 * opened. A key that is true by then ticks nothing, so keys are true for a moment only.
 */
export function progress(state: vscode.Memento): vscode.Disposable {
  memory = state;
  return vscode.window.tabGroups.onDidChangeTabs(({ opened, changed }) => {
    // The API does not say what the walkthrough's tab is; others of its kind are few.
    if ([...opened, ...changed].some(({ input }) => input === undefined)) {
      void tick(state.get<Step[]>(KEY, []));
    }
  });
}

async function tick(steps: readonly Step[]): Promise<void> {
  const known = steps.filter((step) => STEPS.includes(step));
  const set = (value: boolean) =>
    Promise.all(known.map((step) => vscode.commands.executeCommand("setContext", `piecesLsp.${step}`, value)));
  await set(true);
  setTimeout(() => void set(false), PULSE);
}
