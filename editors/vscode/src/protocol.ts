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

export interface Deleted {
  conversation: string;
  name: string;
  deleted: string;
  messages: number;
}

export interface Imported {
  new: number;
  updated: number;
  unchanged: number;
  unreadable: number;
}
