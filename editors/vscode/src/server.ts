// The language server: starting it when it is first needed, and talking to it.

import * as vscode from "vscode";
import { LanguageClient, State as ClientState, WorkDoneProgress } from "vscode-languageclient/node";
import { clientOptions, hoverCommands, type Instead } from "./client";
import { learn } from "./documents";
import { find, Missing } from "./find";
import type { Answering, Changes, Status } from "./protocol";
import { put, type Question } from "./questions";
import { forServer, SECTION, setting, text } from "./settings";

/** What there is to say: the server's own status, or that there is none. */
export type Shown = Status | "idle" | "missing" | "starting" | "stopped";

export interface Running {
  readonly token?: vscode.CancellationToken;
  /** Told of the server's progress, in its own words. */
  readonly progress?: (message: string) => void;
}

export class Server implements vscode.Disposable {
  readonly log = vscode.window.createOutputChannel("Pieces Conversations", { log: true });
  private client: LanguageClient | undefined;
  private starting: Promise<LanguageClient> | undefined;
  /** Whether anybody has asked for it, found or not. */
  private wanted = false;
  /** Commands in progress that may have a question: the person waits for it. */
  private asking = 0;
  private readonly instead = new Map<string, Instead>();
  private readonly changed = new vscode.EventEmitter<Changes>();
  private readonly statusChanged = new vscode.EventEmitter<Shown>();
  private readonly answered = new vscode.EventEmitter<Answering>();
  private readonly subscriptions: { dispose(): unknown }[] = [];
  private latest: Shown = "idle";
  private tokens = 0;
  readonly onChanges = this.changed.event;
  readonly onStatus = this.statusChanged.event;
  readonly onAnswer = this.answered.event;

  constructor(private readonly context: vscode.ExtensionContext) {
    this.subscriptions.push(
      this.log,
      this.changed,
      this.statusChanged,
      this.answered,
      vscode.workspace.onDidChangeConfiguration((event) => {
        this.onSettings(event);
      }),
    );
  }

  get status(): Shown {
    return this.latest;
  }

  /** The program that runs, or would be run. */
  program(): string {
    return find(this.context.extensionPath);
  }

  /** Runs a command of the server, starting it if need be. */
  async run<T>(command: string, argument?: object, running: Running = {}): Promise<T> {
    const client = await this.start();
    if (client.needsStart()) {
      // It has crashed so often that the client has given up; whoever needs it now wants it back.
      await client.start();
    }
    // An argument that is undefined would be one more positional parameter.
    const params = { command, arguments: argument === undefined ? [] : [argument] };
    const { progress, token } = running;
    const workDoneToken = `piecesLsp-${++this.tokens}`;
    const listening =
      progress &&
      client.onProgress(WorkDoneProgress.type, workDoneToken, ({ message }) => {
        progress(message ?? "");
      });
    const all = progress ? { ...params, workDoneToken } : params;
    try {
      this.asking++;
      const method = "workspace/executeCommand";
      return await (token ? client.sendRequest<T>(method, all, token) : client.sendRequest<T>(method, all));
    } finally {
      this.asking--;
      listening?.dispose();
    }
  }

  /** Does something else where VS Code would run this command of the server. */
  intercept(command: string, instead: Instead): void {
    this.instead.set(command, instead);
  }

  start(): Promise<LanguageClient> {
    this.wanted = true;
    // Not launched on the spot: it tells of its state at once, and who hears that may ask for the server again.
    this.starting ??= Promise.resolve()
      .then(() => this.launch())
      .catch((error: unknown) => {
        this.starting = undefined;
        this.say(error instanceof Missing ? "missing" : "stopped");
        throw error;
      });
    return this.starting;
  }

  /** Starts it because it may be of use; a failure is shown in the status, not as an error. */
  wake(): void {
    this.start().catch((error: unknown) => {
      this.log.warn(String(error));
    });
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

  private say(shown: Shown): void {
    this.latest = shown;
    this.statusChanged.fire(shown);
  }

  private onSettings(event: vscode.ConfigurationChangeEvent): void {
    const restart = ["server.path", "dataDir", "logLevel"];
    if (restart.some((key) => event.affectsConfiguration(`${SECTION}.${key}`)) && this.wanted) {
      this.restart().catch((error: unknown) => {
        this.log.error(String(error));
      });
    } else if (event.affectsConfiguration(SECTION) && this.client?.isRunning()) {
      const settings = { pieces: forServer() };
      void this.client.sendNotification("workspace/didChangeConfiguration", { settings });
    }
  }

  private async launch(): Promise<LanguageClient> {
    const args = ["serve", "--log-level", setting<string>("logLevel") ?? "warn"];
    const dataDir = text("dataDir");
    if (dataDir !== undefined) {
      args.push("--data-dir", dataDir);
    }
    const options = clientOptions({
      log: this.log,
      instead: this.instead,
      handler: () => client.createDefaultErrorHandler(),
      givenUp: () => {
        if (this.client === client) {
          this.say("stopped");
        }
      },
    });
    const client: LanguageClient = new LanguageClient(SECTION, "Pieces Conversations", { command: this.program(), args }, options);
    client.registerFeature(hoverCommands);
    this.listen(client);
    this.client = client;
    await client.start();
    return client;
  }

  private listen(client: LanguageClient): void {
    client.onNotification("pieces/didChangeConversations", (changes: Changes) => {
      learn(changes.upserted);
      this.changed.fire(changes);
    });
    client.onNotification("pieces/didChangeStatus", (status: Status) => {
      this.say(status);
    });
    client.onNotification("pieces/didAnswer", (answering: Answering) => {
      this.answered.fire(answering);
    });
    // A question in the middle of what the person has just asked for is put in their way: as a notification it would
    // be lost where notifications are off.
    client.onRequest("window/showMessageRequest", (question: Question) => put(question, this.asking > 0));
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) {
        return;
      }
      if (newState === ClientState.Starting) {
        this.say("starting");
      } else if (newState === ClientState.Running) {
        // A server that was started again knows nothing of what was shown.
        this.changed.fire({ revision: 0, total: 0, upserted: [], removed: [], reset: true });
      }
    });
  }
}
