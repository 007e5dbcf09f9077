// A conversation in a tab: what its page shows, and what its page asks for.

import * as vscode from "vscode";
import { conversationOf, type Goal, nameOf, show } from "../documents";
import { marked } from "../errors";
import type { Planned } from "../protocol";
import { isolated, line } from "../text";
import type { Outcome, Question } from "./asks";
import { chips, type Chosen, withFile, without } from "./chips";
import type { Tools } from "./editor";
import * as models from "./models";
import { Talk } from "./talk";
import type { Composer, FromPage, PageCommand, ToPage } from "./wire";

const NOTHING: Pick<Planned, "context"> = { context: [] };
/** An answer that took longer is told of, if nobody sees its tab. */
const LONG = 20;

export class Panel implements vscode.Disposable {
  private readonly talk: Talk;
  private readonly subscriptions: { dispose(): unknown }[];
  private planned: Planned | undefined;
  private planning = 0;
  private fresh = true;
  private goal: Goal | undefined;
  private ready = false;
  private disposed = false;
  /** The conversation that the first question has made. */
  private made: string | undefined;

  constructor(
    private readonly tools: Tools,
    readonly id: string | undefined,
    private readonly uri: vscode.Uri,
    private readonly view: vscode.WebviewPanel,
  ) {
    this.talk = new Talk(tools.server, id);
    this.subscriptions = [
      this.talk,
      this.talk.onChange(() => {
        this.show();
      }),
      this.talk.onGrow(() => {
        const growth = this.talk.growth();
        if (growth) {
          this.post({ type: "grown", ...growth });
        }
      }),
      tools.server.onStatus(() => {
        // What could not be done before may be possible now.
        this.post({ type: "problem", text: "" });
        this.plan();
      }),
      vscode.window.onDidChangeActiveTextEditor(() => {
        this.plan();
      }),
      view.onDidChangeViewState(() => {
        this.plan();
      }),
    ];
  }

  dispose(): void {
    // An answer may come after its page.
    this.ready = false;
    this.disposed = true;
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  get active(): boolean {
    return this.view.active;
  }

  get name(): string {
    const known = this.talk.name || (this.id === undefined ? "" : (nameOf(this.id) ?? ""));
    return line(known) || (this.uri.path.split("/").at(-1) ?? "");
  }

  /** Shows a message, and the words in it that were looked for. */
  goTo(goal: Goal): void {
    this.goal = goal;
    this.go();
  }

  focus(): void {
    this.post({ type: "focus" });
  }

  async stop(): Promise<void> {
    if (this.id !== undefined) {
      await this.tools.asks.stop(this.id);
    }
  }

  async onMessage(message: FromPage): Promise<void> {
    switch (message.type) {
      case "ready":
        return this.start();
      case "ask":
        return this.ask(message.text, message.from);
      case "again":
        return this.askAgain(message.question);
      case "stop":
        return this.stop();
      case "draft":
        this.tools.drafts.change(this.key, { text: message.text });
        return;
      case "code":
        return this.code(message);
      case "link":
        return follow(message.href);
      case "command":
        return this.command(message.command);
      case "addChip":
        return this.choose(withFile(this.chosen, this.planned ?? NOTHING, message.uri));
      case "removeChip":
        return this.choose(without(this.chosen, this.planned ?? NOTHING, message.key));
    }
  }

  private get key(): string {
    return this.id ?? this.made ?? this.uri.path;
  }

  private get chosen(): Chosen {
    return this.tools.drafts.of(this.key).chosen ?? {};
  }

  private async start(): Promise<void> {
    this.ready = true;
    this.fresh = true;
    this.show();
    const { text } = this.tools.drafts.of(this.key);
    this.post({ type: "draft", text, focus: this.view.active && this.id === undefined });
    await Promise.all([this.talk.refresh(), this.planNow()]);
  }

  private post(message: ToPage): void {
    if (this.ready) {
      void this.view.webview.postMessage(message);
    }
  }

  private show(): void {
    if (this.disposed) {
      return;
    }
    const { name } = this;
    // Isolated, and so never equal to the name of a file in another tab: VS Code would write our path behind it.
    const title = isolated(name);
    if (this.view.title !== title) {
      this.view.title = title;
    }
    this.post({ type: "shown", shown: this.talk.shown(name), fresh: this.fresh });
    this.fresh = false;
    this.go();
  }

  private go(): void {
    const goal = this.goal;
    const message = goal?.message ?? (goal?.line === undefined ? undefined : this.talk.at(goal.line));
    if (goal && message !== undefined && this.ready && this.talk.message(message)) {
      this.goal = undefined;
      this.post({ type: "goTo", message, words: goal.words ?? "" });
    }
  }

  private async ask(prompt: string, from: string | null): Promise<void> {
    const { drafts, asks } = this.tools;
    const model = drafts.of(this.key).model;
    const conversation = this.id === undefined ? {} : { conversation: this.id };
    const question: Question = { prompt, ...conversation, ...this.chosen, ...(model === undefined ? {} : { model }), ...(from === null ? {} : { from }) };
    drafts.change(this.key, { text: "" });
    const stays = from === null;
    if (stays) {
      this.talk.sent(prompt);
    }
    const asking = asks.ask(question);
    if (!stays || this.id === undefined) {
      void asking.conversation.then((made) => this.moved(made));
    }
    await this.ended(await asking.outcome, prompt);
  }

  /** To the conversation that a question has made. */
  private async moved(made: string | undefined): Promise<void> {
    if (made === undefined || made === this.id) {
      return;
    }
    if (this.id === undefined) {
      this.tools.drafts.made(this.key, made);
      this.made = made;
    }
    await show(made, { preview: false, viewColumn: this.view.viewColumn ?? vscode.ViewColumn.Active });
    if (this.id === undefined) {
      this.view.dispose();
    }
  }

  private async askAgain(question: string): Promise<void> {
    const text = this.talk.message(question)?.text ?? "";
    if (this.id !== undefined) {
      this.talk.failed(question, undefined);
      const outcome = await this.tools.asks.ask({ prompt: text, conversation: this.id, question }).outcome;
      await this.ended(outcome, "");
    }
  }

  private async ended(outcome: Outcome, prompt: string): Promise<void> {
    this.talk.sent(null);
    if ("asked" in outcome) {
      const { asked } = outcome;
      // The selection went with this question, not with the next.
      const { files } = this.chosen;
      this.tools.drafts.change(this.key, { chosen: files === undefined ? undefined : { files } });
      if (asked.seconds > LONG && !this.view.visible) {
        void this.tell(asked.conversation);
      }
    } else {
      const { why, failure } = outcome;
      const stored = failure?.question;
      if (stored !== undefined) {
        // It stands below the question.
        const detail = failure?.detail;
        this.talk.failed(stored, detail === undefined ? why : `${why} ${line(detail, 500)}`);
      } else {
        // Nothing that was typed is lost.
        this.tools.drafts.change(this.key, { text: prompt });
        this.post({ type: "draft", text: prompt, focus: true });
        this.post({ type: "problem", text: why });
      }
    }
    await Promise.all([this.talk.refresh(), this.planNow()]);
  }

  private async tell(conversation: string): Promise<void> {
    const open = vscode.l10n.t("Open");
    const text = vscode.l10n.t("“{0}” has an answer.", isolated(this.name));
    if ((await vscode.window.showInformationMessage(text, open)) === open) {
      await show(conversation);
    }
  }

  private async code(message: FromPage & { type: "code" }): Promise<void> {
    const { code } = this.tools;
    const one = { ...message, conversation: this.id };
    switch (message.action) {
      case "insert":
        return code.insert(one);
      case "copy":
        return code.copy(one);
      case "compare":
        return code.compare(one);
      case "new":
        return code.newFile(one);
    }
  }

  private async command(command: PageCommand): Promise<void> {
    switch (command) {
      case "model":
        return this.chooseModel();
      case "checkModel":
        return this.planNow();
      case "addFile":
        return this.addFile();
      case "restore":
        await vscode.commands.executeCommand("piecesLsp.undoDelete", this.id);
        return;
      case "rename":
      case "asText":
      case "useLocal":
        await vscode.commands.executeCommand(`piecesLsp.${command}`);
    }
  }

  async chooseModel(): Promise<void> {
    const model = await models.choose(this.tools.server);
    if (model !== undefined) {
      this.tools.drafts.change(this.key, { model: model ?? undefined });
      await models.setModel(model);
      await this.planNow();
    }
  }

  private async addFile(): Promise<void> {
    const { t } = vscode.l10n;
    const open = vscode.workspace.textDocuments.filter(({ uri }) => uri.scheme === "file");
    const items = open.map(({ uri }) => ({ label: uri.path.split("/").at(-1) ?? "", description: vscode.workspace.asRelativePath(uri), uri }));
    const choice = await vscode.window.showQuickPick([...items, { label: t("Another File…"), uri: undefined }], { title: t("Send a File with the Question") });
    const uri = choice && (choice.uri ?? (await vscode.window.showOpenDialog({ title: t("Send a File with the Question") }))?.[0]);
    if (uri) {
      await this.choose(withFile(this.chosen, this.planned ?? NOTHING, uri.toString()));
    }
  }

  private async choose(chosen: Chosen): Promise<void> {
    this.tools.drafts.change(this.key, { chosen });
    await this.planNow();
  }

  private plan(): void {
    this.planNow().catch((error: unknown) => {
      this.tools.server.log.warn(String(error));
    });
  }

  /** What would be sent, and by what it would be answered. */
  private async planNow(): Promise<void> {
    if (!this.ready || !this.view.visible) {
      return;
    }
    const mine = ++this.planning;
    const composer = await this.composer();
    if (mine === this.planning) {
      this.post({ type: "composer", composer });
    }
  }

  private async composer(): Promise<Composer> {
    const { server, drafts } = this.tools;
    const empty = { chips: [], offer: null, remote: null, tokens: null, offline: false };
    let all;
    try {
      all = await models.models(server);
    } catch (error) {
      server.log.warn(String(error));
      const { status } = server;
      const offline = typeof status !== "string" && status.state === "offline" && status.backend !== "local";
      return { ...empty, model: "", obstacle: marked(error), offline };
    }
    const model = models.nameOf(all, drafts.of(this.key).model);
    const obstacle = models.obstacle(all);
    if (obstacle !== null) {
      return { ...empty, model, obstacle };
    }
    this.planned = await this.dryRun();
    const remote = this.planned?.remote === true ? vscode.l10n.t("Goes to {0}", this.planned.endpoint ?? "") : null;
    return {
      model: this.planned?.model ?? model,
      obstacle: null,
      offline: false,
      chips: this.planned ? chips(this.planned, words()) : [],
      offer: this.offer(),
      remote,
      tokens: this.planned?.tokens ?? null,
    };
  }

  private async dryRun(): Promise<Planned | undefined> {
    const model = this.tools.drafts.of(this.key).model;
    const conversation = this.id === undefined ? {} : { conversation: this.id };
    const argument = { prompt: "?", dryRun: true, ...conversation, ...this.chosen, ...(model === undefined ? {} : { model }) };
    try {
      return await this.tools.server.run<Planned>("pieces.conversations.ask", argument);
    } catch (error) {
      // What is wrong is said when somebody asks.
      this.tools.server.log.debug(String(error));
      return undefined;
    }
  }

  /** The file that was last worked on, unless it goes along already. */
  private offer(): Composer["offer"] {
    const document = this.tools.code.document;
    const uri = document?.uri.toString();
    if (document === undefined || uri === undefined || document.isUntitled) {
      return null;
    }
    const sent = this.planned?.context.some((one) => one.uri === uri) === true;
    return sent ? null : { uri, name: document.uri.path.split("/").at(-1) ?? "" };
  }
}

function words() {
  const { t } = vscode.l10n;
  const size = (bytes: number) => (bytes < 10_000 ? t("{0} bytes", bytes) : t("{0} KiB", Math.round(bytes / 1024)));
  return {
    earlier: (messages: number) => (messages === 1 ? t("1 earlier message") : t("{0} earlier messages", messages)),
    all: size,
    part: (sent: number, bytes: number) => t("{0} of {1}", size(sent), size(bytes)),
  };
}

/** A link of a message: only these lead somewhere. */
async function follow(href: string): Promise<void> {
  const uri = vscode.Uri.parse(href);
  const id = conversationOf(uri);
  if (id !== undefined) {
    await show(id);
  } else if (["http", "https", "mailto"].includes(uri.scheme)) {
    await vscode.env.openExternal(uri);
  } else if (["file", "pieces-asset"].includes(uri.scheme)) {
    await vscode.commands.executeCommand("vscode.open", uri, { viewColumn: vscode.ViewColumn.Active });
  }
}

