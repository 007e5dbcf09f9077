// What this client does differently from others of the language client library.

import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  type ErrorHandler,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
} from "vscode-languageclient/node";
import { conversationOf, converters, openTwice, show } from "./documents";
import { forServer } from "./settings";

/** What happens instead where VS Code runs a command of the server, as from a code action or a lens. */
export type Instead = (argument: Record<string, unknown>) => Promise<unknown>;

interface Around {
  readonly log: vscode.LogOutputChannel;
  readonly instead: ReadonlyMap<string, Instead>;
  /** The library's own rule for a server that ends. */
  readonly handler: () => ErrorHandler;
  /** Called when it is not started again, because it ended too often. */
  readonly givenUp: () => void;
}

export function clientOptions({ log, instead, handler, givenUp }: Around): LanguageClientOptions {
  let usual: ErrorHandler | undefined;
  return {
    // Ids and links may be in any text.
    documentSelector: ["file", "untitled", "vscode-remote", "pieces-conversation", "pieces-asset"].map((scheme) => ({ scheme })),
    initializationOptions: forServer,
    uriConverters: converters,
    outputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    errorHandler: {
      // Writing to a server that has just died is no reason to shut down: its end is noticed at once, and it is started again.
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: async () => {
        const result = await (usual ??= handler()).closed();
        if (result.action === CloseAction.DoNotRestart) {
          givenUp();
        }
        return result;
      },
    },
    middleware: middleware(instead),
  };
}

function middleware(instead: ReadonlyMap<string, Instead>): Middleware {
  return {
    executeCommand: async (name, args, next) => {
      const ours = instead.get(name);
      const argument = (args as unknown[])[0];
      return ours && typeof argument === "object" && argument !== null
        ? ours(argument as Record<string, unknown>)
        : ((await next(name, args)) as unknown);
    },
    // For the server it is one document, under whatever name it is open.
    didOpen: async (document, next) => {
      if (!openTwice(document)) {
        await next(document);
      }
    },
    didClose: async (document, next) => {
      if (!openTwice(document)) {
        await next(document);
      }
    },
    provideHover: async (document, position, token, next) => {
      const hover = await next(document, position, token);
      const id = hover && idAt(document, position);
      return id ? new vscode.Hover([...hover.contents, actions(id)], hover.range) : hover;
    },
    workspace: {
      configuration: (params) => params.items.map(() => forServer()),
    },
    window: {
      showDocument: async (params, token, next) => {
        const id = conversationOf(vscode.Uri.parse(params.uri));
        if (id === undefined) {
          return next(params, token);
        }
        await show(id, { line: params.selection?.start.line, preserveFocus: params.takeFocus === false });
        return { success: true };
      },
    },
  };
}

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

function idAt(document: vscode.TextDocument, position: vscode.Position): string | undefined {
  const range = document.getWordRangeAtPosition(position, ID);
  return range && document.getText(range).toLowerCase();
}

/** Only this line of a hover may run commands, and only these. */
function actions(id: string): vscode.MarkdownString {
  const target = encodeURIComponent(JSON.stringify([{ id }]));
  const one = (title: string, command: string) => `[${title}](command:piecesLsp.${command}?${target})`;
  const { t } = vscode.l10n;
  const links = [one(t("Open"), "open"), one(t("Rename"), "rename"), one(t("Copy Link"), "copyLink")];
  const markdown = new vscode.MarkdownString(links.join(" · "));
  markdown.isTrusted = { enabledCommands: ["open", "rename", "copyLink"].map((name) => `piecesLsp.${name}`) };
  return markdown;
}
