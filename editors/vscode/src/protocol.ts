// What the server says: see docs/protocol.md.

export interface ConversationItem {
  id: string;
  name: string;
  created: string;
  updated: string;
  favorited: boolean;
  messages: number;
  assets: string[];
  files: string[];
  application: string;
  uri: string;
  answering?: boolean;
}

export interface Page {
  total: number;
  revision: number;
  items: ConversationItem[];
}

export interface Changes {
  revision: number;
  total: number;
  upserted: ConversationItem[];
  removed: string[];
  reset?: boolean;
}

export type State = "connecting" | "syncing" | "live" | "offline";

export interface Status {
  state: State;
  backend: "auto" | "pieces-os" | "local";
  url: string | null;
  version: string | null;
  conversations: number;
  since: string;
  error?: string;
}

export interface Started {
  conversation: string;
  name: string;
}

export interface SearchHit {
  conversation: ConversationItem;
  /** Null where only the name, or a note, matches; so are `role` and `time`. */
  message: string | null;
  role: string | null;
  time: string | null;
  excerpt: string;
  /** Where the match is in the excerpt. */
  match: [number, number];
  /** Where the message stands in the conversation's document. */
  line: number;
}

export interface Found {
  total: number;
  items: SearchHit[];
}

export interface Deleted {
  conversation: string;
  name: string;
  deleted: string;
  messages: number;
}

export interface Imported {
  /** What was recognised. */
  source?: string;
  new: number;
  updated: number;
  unchanged: number;
  unreadable: number;
}

export type Phase = "waiting" | "thinking" | "writing" | "done" | "cancelled" | "incomplete";

/** An answer that is being written, or has just ended. */
export interface Answering {
  conversation: string;
  answer: string | null;
  status: Phase;
  /** This window asked. */
  here?: boolean;
  /** Only to the window that asked. */
  delta?: string;
  /** Where `delta` begins in the answer, in bytes of UTF-8. */
  at?: number;
}

/** The `data` of an error. */
export interface Failure {
  kind: string;
  status?: number;
  detail?: string;
  outcomeUnknown?: boolean;
  conversation?: string;
  question?: string;
}

/** What kind of failure an error is; undefined if the server did not say. */
export function failure(error: unknown): Failure | undefined {
  const data = (error as { data?: unknown } | undefined)?.data;
  return typeof data === "object" && data !== null && "kind" in data ? (data as Failure) : undefined;
}

export interface Block {
  index: number;
  language: string | null;
  text: string;
}

/** Something that went with a question. */
export interface Context {
  kind: "selection" | "document" | "file" | "asset" | "messages";
  name: string;
  uri?: string | null;
  /** How much there is, and how much of it was sent. */
  bytes: number;
  sent: number;
}

export interface Usage {
  prompt: number;
  completion: number;
}

export interface Message {
  id: string;
  role: string;
  time: string | null;
  text: string;
  line?: number;
  state?: "writing" | "stopped" | "interrupted" | "unanswered" | null;
  model?: string | null;
  stop?: string | null;
  usage?: Usage | null;
  context?: Context[] | null;
  note?: string | null;
  blocks?: Block[];
}

export interface Messages {
  conversation: string;
  revision: number;
  items: Message[];
}

export interface Asked {
  conversation: string;
  question: string | null;
  answer: string | null;
  text: string;
  stop: "end" | "length" | "cancelled" | "incomplete";
  model: string | null;
  usage?: Usage | null;
  seconds: number;
  context: Context[];
  note?: string | null;
}

/** What would be sent: the answer to a `dryRun`. */
export interface Planned {
  endpoint: string | null;
  model: string | null;
  remote: boolean;
  context: Context[];
  tokens: number;
}

export interface Model {
  id: string;
  name: string;
  context?: number | null;
  loaded?: boolean | null;
}

export interface Models {
  source: "pieces-os" | "environment" | "file" | "none";
  endpoint?: string | null;
  default?: string | null;
  items: Model[];
}
