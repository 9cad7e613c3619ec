/**
 * What the chat panel's two halves say to each other; types only, for those who check panel.js.
 *
 * `seq` counts the kernel's messages; after a gap the panel asks for the whole conversation. Within
 * some seconds after each the kernel tells its state again, so that none is lost unnoticed.
 */

/** A tool call; arguments and result are text. */
export interface Call {
  id: string;
  name: string;
  arguments: string;
  result: string;
  is_error: boolean;
  /** Asked is by the panels' buttons, approval by a cell or by the user's own code. */
  state: "waiting" | "asked" | "approval" | "running" | "done" | "denied" | "stopped";
}

/** A message. Blocks are HTML that the kernel has made safe, and the panel copies by lists. */
export interface Message {
  id: string;
  role: "user" | "assistant" | "system";
  source: string;
  status: string;
  blocks: string[];
  reasoning: string[];
  notes: string[];
  footer: string;
  calls: Call[];
  /** Data addresses. */
  images: string[];
  /** What is copied. */
  markdown: string;
  /** Messages are shown in this order. */
  at: number;
}

/** A variable that can be attached, and a word on what it is. */
export interface Item {
  name: string;
  type?: string;
}

/** The first block begins with `keep` UTF-16 units of the block that stood at `start`. */
export interface BlocksChange {
  kind: "blocks";
  seq: number;
  id: string;
  part: "blocks" | "reasoning";
  start: number;
  keep: number;
  html: string[];
}

export interface Busy {
  busy: boolean;
  waiting_for?: string | null;
}

/** To a request of the panel's, or an error that belongs to none. */
export type Answer =
  | { kind: "acknowledged"; seq: number; request: string }
  | { kind: "error"; seq: number; text: string; request?: string };

export interface Whole extends Busy {
  kind: "whole";
  seq: number;
  messages: Message[];
  totals: string;
  /** To the last requests. */
  answers: Answer[];
}

/** The conversation as an output, for the one below the widget view of that model. */
export interface Copy {
  kind: "copy";
  seq: number;
  view: string;
  data: Record<string, string>;
}

export type FromKernel =
  | { kind: "message"; seq: number; message: Message }
  | BlocksChange
  | { kind: "removed"; seq: number; ids: string[] }
  | ({ kind: "busy"; seq: number } & Busy)
  | { kind: "completions"; seq: number; request: string; items: Item[] }
  | Answer
  | Copy
  | Whole;

export type ToKernel =
  | { kind: "send"; request: string; text: string; images: string[]; attach: string[] }
  | { kind: "edit"; request: string; id: string; text: string }
  | { kind: "retry"; id: string }
  | { kind: "complete"; request: string; prefix: string }
  | { kind: "approve"; call: string; message: string; allowed: boolean }
  /** Fresh is the first of a page. */
  | { kind: "whole"; fresh: boolean }
  | { kind: "stop" | "clear" | "restore" };

/** The part of anywidget's model that the panel uses. */
export interface Model {
  get(name: string): any;
  set(name: string, value: unknown): void;
  send(content: ToKernel): void;
  on(name: string, callback: (...given: any[]) => void): void;
  /** JupyterLab's knows the notebook; others have another one, or none. */
  widget_manager?: any;
}

/** What is being typed; `editing` is the id of the message that it will replace. */
export interface Draft {
  text: string;
  images: string[];
  editing: string | null;
}

/** What a view is told to have changed. It is painted with the `frame`. */
export type Change = "frame" | "message" | "all" | "status" | "items" | "removed" | "finished";
