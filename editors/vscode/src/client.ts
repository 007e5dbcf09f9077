// What this client does differently from others of the language client library.

import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  type ErrorHandler,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
  type StaticFeature,
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
      return hover && new vscode.Hover(hover.contents.map(trusted), hover.range);
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

/** Commands that a hover may link to; the server is told of them, and writes the links. */
const HOVER_COMMANDS = { open: "piecesLsp.open", rename: "piecesLsp.rename", copyLink: "piecesLsp.copyLink" };

export const hoverCommands: StaticFeature = {
  fillClientCapabilities(capabilities) {
    const experimental = capabilities.experimental as object | undefined;
    capabilities.experimental = { ...experimental, pieces: { hoverCommands: HOVER_COMMANDS } };
  },
  initialize: () => undefined,
  getState: () => ({ kind: "static" }),
  clear: () => undefined,
};

/** Hovers quote what others wrote: no other command runs from them. */
function trusted<T>(content: T): T {
  if (content instanceof vscode.MarkdownString) {
    content.isTrusted = { enabledCommands: Object.values(HOVER_COMMANDS) };
  }
  return content;
}
