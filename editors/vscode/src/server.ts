// The language server: finding it, starting it when it is first needed, and talking to it.

import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  type ErrorHandler,
  LanguageClient,
  RevealOutputChannelOn,
  State as ClientState,
} from "vscode-languageclient/node";
import { converters, learn, openTwice, show } from "./documents";
import type { Changes, Started, Status } from "./protocol";

const SECTION = "piecesLsp";
const SETTINGS = ["backend", "url", "confirmDelete", "codeLens", "inlayHints", "diagnostics"] as const;

/** The server's commands that start a conversation from something. */
const STARTING = new Set(["pieces.conversations.createFromAsset", "pieces.conversations.startFromDocument"]);

export class Missing extends Error {}

/** What there is to say: the server's own status, or that there is no server. */
export type Shown = Status | "missing" | "starting" | "stopped";

export class Server implements vscode.Disposable {
  readonly log = vscode.window.createOutputChannel("Pieces Conversations", { log: true });
  private client: LanguageClient | undefined;
  private starting: Promise<LanguageClient> | undefined;
  /** Whether anybody has asked for it, found or not. */
  private wanted = false;
  private readonly changed = new vscode.EventEmitter<Changes>();
  private readonly statusChanged = new vscode.EventEmitter<Shown>();
  private readonly subscriptions: { dispose(): unknown }[] = [];
  readonly onChanges = this.changed.event;
  readonly onStatus = this.statusChanged.event;

  constructor(private readonly context: vscode.ExtensionContext) {
    this.subscriptions.push(
      this.log,
      this.changed,
      this.statusChanged,
      vscode.workspace.onDidChangeConfiguration((event) => {
        const restart = ["server.path", "dataDir", "logLevel"];
        if (restart.some((key) => event.affectsConfiguration(`${SECTION}.${key}`)) && this.wanted) {
          this.restart().catch((error: unknown) => {
            this.log.error(String(error));
          });
        } else if (event.affectsConfiguration(SECTION) && this.client?.isRunning()) {
          void this.client.sendNotification("workspace/didChangeConfiguration", {
            settings: { pieces: settings() },
          });
        }
      }),
    );
  }

  /** Runs a command of the server, starting it if need be. */
  async run<T>(command: string, argument?: object, token?: vscode.CancellationToken): Promise<T> {
    const client = await this.start();
    if (client.needsStart()) {
      // It has crashed so often that the client has given up; whoever needs it now wants it back.
      await client.start();
    }
    const params = { command, arguments: argument === undefined ? [] : [argument] };
    // An argument that is undefined would be one more positional parameter.
    const method = "workspace/executeCommand";
    return token ? client.sendRequest<T>(method, params, token) : client.sendRequest<T>(method, params);
  }

  start(): Promise<LanguageClient> {
    this.wanted = true;
    this.starting ??= this.launch().catch((error: unknown) => {
      this.starting = undefined;
      this.statusChanged.fire(error instanceof Missing ? "missing" : "stopped");
      throw error;
    });
    return this.starting;
  }

  async restart(): Promise<void> {
    const old = this.client;
    this.client = undefined;
    this.starting = undefined;
    await old?.dispose().catch((error: unknown) => {
      this.log.warn(String(error));
    });
    await this.start();
  }

  async stop(): Promise<void> {
    await this.client?.dispose().catch(() => undefined);
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private async launch(): Promise<LanguageClient> {
    const command = this.find();
    const dataDir = setting<string>("dataDir") ?? "";
    const args = ["serve", "--log-level", setting<string>("logLevel") ?? "warn"];
    if (dataDir !== "") {
      args.push("--data-dir", dataDir);
    }
    let handler: ErrorHandler | undefined;
    const usual = (): ErrorHandler => (handler ??= client.createDefaultErrorHandler());
    const client: LanguageClient = new LanguageClient(
      SECTION,
      "Pieces Conversations",
      { command, args },
      {
        // Ids and links may be in any text.
        documentSelector: [
          { scheme: "file" },
          { scheme: "untitled" },
          { scheme: "vscode-remote" },
          { scheme: "pieces-conversation" },
          { scheme: "pieces-asset" },
        ],
        initializationOptions: { ...settings(), liveUpdates: true },
        uriConverters: converters,
        outputChannel: this.log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        // As usual, but it is shown when the client gives up on a server that crashes again and again.
        errorHandler: {
          // Writing to a server that has just died is no reason to shut down: its end is noticed at once, and it is started again.
          error: () => ({ action: ErrorAction.Continue, handled: true }),
          closed: async () => {
            const result = await usual().closed();
            if (result.action === CloseAction.DoNotRestart && this.client === client) {
              this.statusChanged.fire("stopped");
            }
            return result;
          },
        },
        middleware: {
          // From code actions and lenses: what they start is shown under its name, as it is from the palette.
          executeCommand: async (name, args, next) => {
            if (!STARTING.has(name)) {
              return (await next(name, args)) as unknown;
            }
            const [argument, ...rest] = args as unknown[];
            const quietly = typeof argument === "object" ? { ...argument, show: false } : argument;
            const result = (await next(name, [quietly, ...rest])) as unknown;
            // Nothing, where it was cancelled.
            const started = result as Started | null | undefined;
            if (started) {
              await show(started.conversation, started.name);
            }
            return result;
          },
          // For the server it is one document.
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
          workspace: {
            configuration: (params) => params.items.map(() => ({ ...settings(), liveUpdates: true })),
          },
        },
      },
    );
    client.onNotification("pieces/didChangeConversations", (changes: Changes) => {
      learn(changes.upserted);
      this.changed.fire(changes);
    });
    client.onNotification("pieces/didChangeStatus", (status: Status) => {
      this.statusChanged.fire(status);
    });
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) {
        return;
      }
      if (newState === ClientState.Starting) {
        this.statusChanged.fire("starting");
      } else if (newState === ClientState.Running) {
        // A server that was started again knows nothing of what was shown.
        this.changed.fire({ revision: 0, total: 0, upserted: [], removed: [], reset: true });
      }
    });
    this.client = client;
    await client.start();
    return client;
  }

  /** The machine's setting, then the bundled binary, then PATH; never anything of a workspace. */
  private find(): string {
    const name = process.platform === "win32" ? "pieces-lsp.exe" : "pieces-lsp";
    const set = setting<string>("server.path") ?? "";
    const bundled = path.join(this.context.extensionPath, "bin", name);
    const onPath = (process.env.PATH ?? "").split(path.delimiter).filter((dir) => path.isAbsolute(dir));
    const candidates = set !== "" ? [set] : [bundled, ...onPath.map((dir) => path.join(dir, name))];
    const found = candidates.find((file) => path.isAbsolute(file) && isFile(file));
    if (found === undefined) {
      throw new Missing(`${set === "" ? name : set} was not found; set "piecesLsp.server.path" to where it is.`);
    }
    return found;
  }
}

function isFile(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** A setting that decides where data goes: what a workspace says does not count. */
function setting<T>(key: string): T | undefined {
  const all = vscode.workspace.getConfiguration(SECTION).inspect<T>(key);
  return all?.globalValue ?? all?.defaultValue;
}

function settings(): Record<string, unknown> {
  return Object.fromEntries(SETTINGS.map((key) => [key, setting(key) === "" ? null : (setting(key) ?? null)]));
}
