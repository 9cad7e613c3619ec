// @ts-check
/**
 * The chat panel's front end: one module, without a build.
 *
 * A `Conversation` belongs to a model: it takes what the kernel sends and holds what is typed.
 * Each view is a `Panel`, which paints what has changed. Nothing here trusts the kernel's HTML:
 * `build` copies what is on its lists; no string is ever handed to the page as markup.
 */

/** @import { BlocksChange, Busy, Call, Change, Copy, Draft, FromKernel, Item, Message, Model,
 *   ToKernel } from "./protocol.d.ts" */

const BUDGET = 8; // milliseconds of building in one frame
const GROUP = 16; // blocks
const SPACING = 51; // milliseconds between the kernel's frames; timers round
const NOTHING = { text: "", images: [], editing: null };
const UNDER_WAY = "A reply is under way: wait for it, or stop it.";
const GONE = "The kernel is gone; what was said stays. Run the panel's cell to go on.";
const PATIENCE = 1200; // milliseconds for the kernel to answer
const PICTURES = ["png", "jpeg", "gif", "webp"];
const PICTURE = new RegExp(`^data:image/(${PICTURES.join("|")});base64,`);
const SVG = "http://www.w3.org/2000/svg";
const MATHML = "http://www.w3.org/1998/Math/MathML";

/* Safe nodes */

const words = (names = "") => new Set(names.split(/\s+/));

const TAGS = words(`a blockquote br code del div em h3 h4 h5 h6 hr li ol p pre small span strong
  table tbody td th thead tr ul`);
const MATH_TAGS = words(`math menclose mfrac mi mn mo mover mphantom mroot mrow mspace msqrt mstyle
  msub msubsup msup mtable mtd mtext mtr munder munderover`);
const CLASSES = words(`nb-wide nb-task nb-note highlight c k o s m nb nf nc nd nt na gd gi
  gh gp`);
const MATH_ATTRIBUTES = words(`accent accentunder columnalign columnspacing display displaystyle
  fence form linethickness lspace mathcolor mathvariant maxsize minsize notation rowspacing
  rspace scriptlevel stretchy width`);
// Words, colours and lengths below ten; a longer one could leave the formula's place.
const MATH_VALUE = /^(([a-z-]+|#[\da-f]{3,8}|[+-]?\d?(\.\d{1,3})?(em|ex|p[tx])?)( |$)){1,8}$/i;

/** The kernel's HTML as new nodes; in the parser's document nothing runs. */
function build(html = "") {
  const fragment = document.createDocumentFragment();
  copyChildren(new DOMParser().parseFromString(html, "text/html").body, fragment);
  return fragment;
}

/** @param {Element} from @param {ParentNode} to */
function copyChildren(from, to) {
  for (const child of from.childNodes) {
    if (child instanceof Text) to.append(child.data);
    else if (child instanceof Element) copyElement(child, to);
  }
}

/** @param {Element} from @param {ParentNode} to */
function copyElement(from, to) {
  const name = from.localName;
  const math = from.namespaceURI === MATHML && MATH_TAGS.has(name);
  if (!math && !TAGS.has(name)) return;
  const element = math ? document.createElementNS(MATHML, name) : document.createElement(name);
  if (element instanceof HTMLElement) copyAttributes(from, element);
  else copyMathAttributes(from, element);
  copyChildren(from, element);
  to.append(element);
}

/** @param {Element} from @param {HTMLElement} to */
function copyAttributes(from, to) {
  const kept = [...from.classList].filter((name) => CLASSES.has(name));
  if (kept.length) to.className = kept.join(" ");
  if (to instanceof HTMLAnchorElement) return link(to, from.getAttribute("href") ?? "");
  const side = /^text-align:(left|center|right)$/.exec(from.getAttribute("style") ?? "");
  if (side && to instanceof HTMLTableCellElement) to.style.textAlign = side[1];
  const start = /^\d{1,9}$/.exec(from.getAttribute("start") ?? "");
  if (start && to instanceof HTMLOListElement) to.start = Number(start[0]);
}

/** @param {HTMLAnchorElement} anchor @param {string} address */
function link(anchor, address) {
  if (!/^(https?:\/\/[^/\\]|mailto:)/i.test(address) || !URL.canParse(address)) return;
  anchor.href = address;
  anchor.rel = "noopener noreferrer";
  anchor.target = "_blank";
}

/** @param {Element} from @param {Element} to */
function copyMathAttributes(from, to) {
  for (const { name, value } of from.attributes) {
    if (MATH_ATTRIBUTES.has(name) && MATH_VALUE.test(value)) to.setAttribute(name, value);
  }
}

/* Our own nodes */

/** An element; of the attributes a function listens, and true is an empty one.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string|boolean|((event: any) => void)>} [attributes]
 * @param {...(Node|string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** @param {string} name @param {...(Node|string)} children */
const div = (name, ...children) => h("div", { class: `nba-${name}` }, ...children);

/** @param {string} name @param {...(Node|string)} children */
const span = (name, ...children) => h("span", { class: `nba-${name}` }, ...children);

const ICONS = {
  agent: "M8 1.5l1.6 4.9 4.9 1.6-4.9 1.6L8 14.5 6.4 9.6 1.5 8l4.9-1.6z",
  check: "M3 8.5l3.2 3.2L13 5",
  clear: "M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.6L12 4M6.7 6.5v4.5M9.3 6.5v4.5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  down: "M8 3v9.5M4 8.8l4 4 4-4",
  edit: "M3 13l.6-2.8 7.6-7.6 2.2 2.2-7.6 7.6zM9.8 4l2.2 2.2",
  image: "M2.5 3h11v10h-11zM2.5 11l3.2-3.2 2.6 2.6 2-2 3.2 3.2M10.2 6h.1",
  insert: "M2.5 2.5h11v4h-11zM8 9v5M5.5 11.5h5",
  retry: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  send: "M8 13V3.5M4 7l4-4 4 4",
  stop: "M4.5 4.5h7v7h-7z",
  tool: "M9.5 2l4.5 4.5-2.2 2.2-4.5-4.5zM8.4 5.3L2 11.7 4.3 14l6.4-6.4",
};

/** @param {keyof typeof ICONS} name */
function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `nba-icon nba-icon-${name}`);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with a sign, and perhaps a word.
 * @param {keyof typeof ICONS} sign @param {string} label @param {() => void} act */
function button(sign, label, act, word = "", kind = word ? "" : "nba-bare") {
  const title = word !== label && label;
  const given = { type: "button", "aria-label": label, title, click: act };
  return h("button", { ...given, class: `nba-button ${kind}` }, icon(sign), word);
}

const unique = () => Math.random().toString(36).slice(2, 8);

/** @param {HTMLElement} element */
function say(element, text = "") {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}

/** @param {HTMLButtonElement} pressed */
function answer(pressed, word = "") {
  pressed.dataset.answer = word;
  setTimeout(() => delete pressed.dataset.answer, 1800);
}

/** Where a page that is not secure has no clipboard. */
function copyByCommand(text = "") {
  let done = false;
  const copy = (/** @type {ClipboardEvent} */ event) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopPropagation();
    done = true;
  };
  window.addEventListener("copy", copy, true);
  document.execCommand("copy");
  window.removeEventListener("copy", copy, true);
  return done;
}

/* In JupyterLab's notebook; elsewhere widgets do not see theirs. */

/** @param {Model} model */
const notebookOf = (model) => model.widget_manager?.context?.model;

/** Put code into a new cell below; false where that cannot be done.
 * @param {Model} model @param {Element} from */
async function insertCell(model, from, code = "") {
  const notebook = notebookOf(model);
  const index = "data-windowed-list-index";
  const cell = from.closest(`[${index}]`);
  if (!notebook || notebook.readOnly || !cell) return false;
  const at = Number(cell.getAttribute(index)) + 1;
  const given = { cell_type: "code", source: code, metadata: { trusted: true } };
  return Boolean(notebook.sharedModel.insertCell(at, given));
}

/** Renew the copy below the panel in a page loaded after its cell ran: it gets no updates.
 * @param {Model} model @param {Copy} content */
function renewCopy(model, { view, data }) {
  for (const { outputs } of notebookOf(model)?.cells ?? []) {
    for (let at = 1; at < (outputs?.length ?? 0); at++) {
      const shown = outputs.get(at - 1).data["application/vnd.jupyter.widget-view+json"];
      const old = outputs.get(at).data["text/html"];
      if (shown?.model_id !== view || !old?.includes("nbagents-saved")) continue;
      const output = { output_type: "display_data", data, metadata: {} };
      if (old !== data["text/html"]) outputs.set(at, output);
    }
  }
}

/** Take the copy out of the page: JupyterLab would set its formulas after each reply.
 * @param {Element} area the cell's outputs */
function putCopies(area, away = true) {
  area.classList.toggle("nba-here", away);
  for (const copy of area.querySelectorAll(".nbagents-saved")) {
    const kept = copy.querySelector("template") ?? document.createElement("template");
    if (away && !kept.parentNode) kept.content.append(...copy.childNodes);
    copy.replaceChildren(away ? kept : kept.content);
  }
}

/* The conversation, shared by the views of a model */

class Conversation {
  /** @type {Map<string, Message>} by their ids, in order */ messages = new Map();
  /** @type {Draft} */ draft = { ...NOTHING };
  /** @type {Draft|null} from before an edit */ kept = null;
  /** @type {Map<string, Item>} */ known = new Map();
  /** @type {Item[]} */ items = [];
  notice = "";
  noticeKind = "";
  /** @type {string|null} a request */ sending = null;
  /** @type {{request: string|null, draft: Draft}|null} what the kernel took last */ handed = null;
  /** @type {Set<Panel>} */ panels = new Set();
  waitingFor = "";
  slow = false;
  gone = false;
  stopping = false;

  /** @type {FromKernel[]} what the kernel said since */ inbox = [];
  taken = -SPACING;
  due = 0;
  /** @type {number|null} the number of the kernel's last message */ seq = null;
  asked = 0;
  asking = "";
  timer = 0;

  /** Take the saved state, listen, and ask for what has happened since.
   * @param {Model} model */
  constructor(model) {
    this.model = model;
    model.on("change:name", () => this.tell("status"));
    this.busy = model.get("busy");
    model.on("change:totals", () => this.soon());
    model.on("msg:custom", (content) => {
      this.inbox.push(content);
      this.soon();
    });
    this.#sort(model.get("messages") ?? []);
    this.#askWhole(true);
  }

  get name() {
    return this.model.get("name") || "the agent";
  }

  /** @param {Change} what @param {string} [id] */
  tell(what, id) {
    for (const panel of this.panels) panel.changed(what, id);
  }

  /** @param {ToKernel} content */
  send(content) {
    try {
      this.model.send(content);
    } catch {
      this.lose();
    }
  }

  /** The kernel is gone; what was typed can be typed on. */
  lose(gone = true) {
    if (this.gone === gone) return;
    this.gone = gone;
    if (gone) {
      this.#setBusy({ busy: false });
      this.#unlock();
    }
    this.tell("all");
  }

  /** Take what came, and paint it in the same frame. */
  soon() {
    const take = () => {
      this.due = 0;
      this.taken = performance.now();
      for (const each of this.inbox.splice(0)) this.#take(each);
      this.tell("frame");
    };
    const frame = () => (document.hidden ? take() : requestAnimationFrame(take));
    this.due ||= setTimeout(frame, this.taken + SPACING - performance.now());
  }

  /** @param {FromKernel} content */
  #take(content) {
    const { kind } = content;
    if (kind !== "whole" && this.seq !== null) {
      if (this.asked || content.seq !== this.seq + 1) this.#askWhole();
      this.seq = content.seq;
    }
    if (kind === "blocks") this.#blocks(content);
    else if (kind === "busy") this.#setBusy(content);
    else if (kind === "copy") renewCopy(this.model, content);
    else if (kind === "completions") {
      for (const item of content.items) this.known.set(item.name, item);
      if (content.request !== this.asking) return;
      this.items = content.items;
      this.tell("items");
    } else if (kind === "acknowledged") {
      if (content.request === this.sending) this.#unlock(true);
    } else if (kind === "error") {
      if (!content.request || content.request === this.sending) this.#unlock();
      else if (content.request === this.handed?.request) this.#giveBack(this.handed.draft);
      this.notify(content.text, "error");
    } else {
      if (kind === "message") this.#upsert(content.message);
      else if (kind === "removed") content.ids.forEach((id) => this.#remove(id));
      else {
        this.seq = null;
        for (const each of content.answers)
          if (each.request === (this.sending ?? this.handed?.request)) this.#take(each);
        this.seq = content.seq;
        this.asked = 0;
        this.model.set("totals", content.totals);
        this.#setBusy(content);
        this.#sort(content.messages);
        this.tell("all");
      }
      // JupyterLab saves what the model holds here; the kernel is not told.
      this.model.set("messages", [...this.messages.values()]);
    }
  }

  #askWhole(fresh = false) {
    if (this.asked && performance.now() - this.asked < 5000) return;
    this.asked = performance.now();
    this.send({ kind: "whole", fresh });
  }

  /** @param {Busy} content */
  #setBusy({ busy, waiting_for }) {
    this.busy = busy;
    this.waitingFor = waiting_for ?? "";
    this.stopping &&= busy;
    if (!busy && this.notice === UNDER_WAY) this.notice = "";
    this.tell("status");
  }

  /** @param {Message[]} messages of two with an id the second counts */
  #sort(messages) {
    const sorted = messages.toSorted((a, b) => a.at - b.at);
    this.messages = new Map(sorted.map((message) => [message.id, message]));
  }

  /** @param {Message} message */
  #upsert(message) {
    const old = this.messages.get(message.id);
    this.#sort([...this.messages.values(), message]);
    this.tell("message", message.id);
    if (isOpen(old) !== false && !isOpen(message) && message.role !== "user") {
      this.tell("finished", message.id);
    }
  }

  /** @param {BlocksChange} content */
  #blocks({ id, part, start, keep, html }) {
    const blocks = this.messages.get(id)?.[part];
    const old = blocks?.[start] ?? "";
    if (!blocks || start > blocks.length || keep > old.length) return this.#askWhole();
    const changed = html.map((text, index) => (index ? text : old.slice(0, keep) + text));
    blocks.splice(start, Infinity, ...changed);
    this.tell("message", id);
  }

  #remove(id = "") {
    this.messages.delete(id);
    if (this.draft.editing === id) this.cancelEdit();
    this.tell("removed", id);
  }

  /** One line below the conversation; its kind may be "error" or "undoable". */
  notify(notice = "", kind = "") {
    this.notice = notice;
    this.noticeKind = kind;
    this.tell("status");
  }

  /** @param {Partial<Draft>} change */
  write(change) {
    Object.assign(this.draft, change);
    this.tell("status");
  }

  get empty() {
    return !this.draft.text.trim() && !this.draft.images.length;
  }

  attached() {
    const found = [...this.draft.text.matchAll(MENTION)];
    const known = found.filter(([, , root]) => this.known.has(root));
    return [...new Set(known.map((match) => match[1]))];
  }

  /** Send the draft; it stays until the kernel has it. */
  submit() {
    const { text, images, editing } = this.draft;
    if (this.busy) this.notify(UNDER_WAY);
    if (this.gone || this.busy || this.sending || this.empty) return false;
    const request = unique();
    this.sending = request;
    this.timer = setTimeout(() => {
      this.slow = true;
      this.tell("status");
    }, PATIENCE);
    this.notify("");
    if (editing) this.send({ kind: "edit", request, id: editing, text });
    else this.send({ kind: "send", request, text, images, attach: this.attached() });
    return true;
  }

  #unlock(done = false) {
    this.stopping = false;
    clearTimeout(this.timer);
    if (done) this.handed = { request: this.sending, draft: this.draft };
    this.sending = null;
    this.slow = false;
    if (done) this.cancelEdit();
    this.tell("status");
  }

  /** Put back what the kernel took and could not send; nothing written since is lost.
   * @param {Draft} draft */
  #giveBack(draft) {
    this.handed = null;
    if (this.draft.editing) return;
    if (this.messages.has(draft.editing ?? "")) {
      this.kept = this.draft;
      this.draft = draft;
    } else if (this.empty) this.draft = { ...draft, editing: null };
  }

  stop() {
    if (!this.busy) return;
    this.stopping = true;
    this.send({ kind: "stop" });
    this.tell("status");
  }

  /** @param {Message|undefined} message a prompt of the person's */
  edit(message) {
    if (!message || this.sending) return;
    this.kept ??= this.draft;
    this.draft = { text: message.markdown, images: [], editing: message.id };
    this.tell("status");
  }

  cancelEdit() {
    this.draft = this.kept ?? { ...NOTHING };
    this.kept = null;
    this.tell("status");
  }

  lastPrompt() {
    return [...this.messages.values()].findLast(({ role }) => role === "user");
  }
}

// @df, @fig.axes[0]
const NAME = String.raw`[\p{L}_][\p{L}\p{N}_]*`;
const BEFORE = String.raw`(?<![\p{L}\p{N}_@.])@`;
const INDEX = String.raw`\[(?:-?\d+|"[^"\]\n]*"|'[^'\]\n]*')\]`;
const MENTION = new RegExp(`${BEFORE}((${NAME})(?:\\.${NAME}|${INDEX})*)`, "gu");
const TYPED = new RegExp(`${BEFORE}((?:${NAME}(?:\\.${NAME}|${INDEX})*\\.?)?)$`, "u");

/** Whether more is to come.
 * @param {Message|undefined} message */
function isOpen(message) {
  return message && (message.status === "streaming" || message.status === "waiting");
}

/* A message */

/** Blocks of HTML; one that has not changed is never touched again. They stand in groups, which
 * are only laid out where they are seen. */
class Blocks {
  /** @type {{html: string, node: HTMLElement}[]} */ blocks = [];

  /** @param {HTMLElement} root @param {Panel} panel */
  constructor(root, panel) {
    this.root = root;
    this.panel = panel;
  }

  /** Paint until the deadline, one block at least; whether all is there.
   * @param {string[]} htmls */
  paint(htmls, finished = true, deadline = 0) {
    this.root.classList.toggle("nba-open", !finished);
    for (const block of this.blocks.splice(htmls.length)) block.node.remove();
    for (const [index, html] of htmls.entries()) {
      if (this.blocks[index]?.html === html) continue;
      this.#put(index, html);
      if (performance.now() > deadline && index < htmls.length - 1) return false;
    }
    return true;
  }

  #put(index = 0, html = "") {
    const node = div("block", build(html));
    for (const wide of node.querySelectorAll(".nb-wide, pre")) wide.setAttribute("tabindex", "0");
    for (const pre of node.querySelectorAll("pre")) giveTools(pre, this.panel);
    const old = this.blocks[index]?.node;
    if (!old && index % GROUP === 0) this.root.append(div("group"));
    if (old) old.replaceWith(node);
    else this.root.lastElementChild?.append(node);
    this.blocks[index] = { html, node };
  }
}

/** @param {HTMLPreElement} pre @param {Panel} panel */
function giveTools(pre, panel) {
  const text = () => pre.textContent.trimEnd();
  const copying = button("copy", "Copy code", () => panel.copy(copying, text()));
  const inserting = button("insert", "Insert as cell", () => panel.insert(inserting, text()));
  const whole = div("code");
  pre.replaceWith(whole);
  whole.append(pre, div("tools", inserting, copying));
}

const STATUS = /** @type {Record<string, string>} */ ({
  cancelled: "Stopped",
  failed: "Failed",
  filtered: "Stopped by a content filter",
  incomplete: "The reply broke off",
  refused: "Refused by the model",
  waiting: "Waiting",
});

const ASKING = /** @type {Record<string, string>} */ ({
  asked: "asks to run",
  approval: "waits for approval",
});

class MessageView {
  /** @param {Panel} panel @param {Message} message */
  constructor(panel, message) {
    this.panel = panel;
    this.message = message;
    this.who = h("p", { class: "nba-who" });
    this.thoughts = div("body");
    this.thinking = h("summary");
    this.reasoning = h("details", { class: "nba-fold" }, this.thinking, this.thoughts);
    this.images = div("images");
    this.body = h("div", { class: "nba-body", dir: "auto" });
    this.dots = h("div", { class: "nba-dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    this.calls = div("calls");
    this.notes = h("div", { class: "nba-notes", dir: "auto" });
    this.status = span("state");
    this.footer = h("span");
    this.copying = button("copy", "Copy message", () => {
      panel.copy(this.copying, this.message.markdown);
    });
    this.retrying = button("retry", "Retry", () => panel.retry(this.message));
    this.editing = button("edit", "Edit and branch", () => panel.edit(this.message));
    const actions = div("actions", this.copying, this.retrying, this.editing);
    this.foot = div("foot", this.status, this.footer, actions);
    const parts = [this.who, this.reasoning, this.images, this.body, this.calls, this.dots];
    this.root = h("article", {}, ...parts, this.notes, this.foot);
    this.blocks = new Blocks(this.body, panel);
    this.thoughtBlocks = new Blocks(this.thoughts, panel);
    /** @type {Map<string, CallView>} */ this.callViews = new Map();
    /** @type {Message|null} */ this.painted = null;
  }

  /** @param {Message} message @returns whether all of it is there */
  paint(message, deadline = 0) {
    this.message = message;
    const open = Boolean(isOpen(message)) && !this.panel.chat.gone;
    if (this.painted !== message) this.#paintRest(message, open);
    this.painted = message;
    const empty = !message.blocks.length && !message.calls.length;
    this.dots.hidden = !open || !empty;
    this.reasoning.hidden = !message.reasoning.length;
    say(this.thinking, open && !message.blocks.length ? "Thinking…" : "Reasoning");
    return (
      this.thoughtBlocks.paint(message.reasoning, !open, deadline) &&
      this.blocks.paint(message.blocks, !open, deadline)
    );
  }

  /** @param {Message} message */
  #paintRest(message, open = false) {
    const { role, source, status } = message;
    this.root.className = `nba-message nba-${role}`;
    this.root.classList.toggle("nba-failed", status === "failed");
    this.root.ariaLabel = role === "user" ? "You" : source || "Note";
    say(this.who, source === "user" ? "" : source);
    say(this.status, open && role !== "user" ? "" : STATUS[status] ?? "");
    say(this.footer, message.footer);
    // The whole turn is asked again, by its last message.
    const goesOn = message.calls.length > 0 && status === "complete";
    this.retrying.hidden = role !== "assistant" || open || goesOn;
    this.editing.hidden = open || role !== "user";
    this.copying.hidden = open || !message.markdown;
    const bare = open || (goesOn && !message.markdown);
    this.foot.hidden = message.calls.length > 0 && bare && !message.footer;
    const pictures = message.images.filter((src) => role === "user" && PICTURE.test(src));
    this.images.replaceChildren(...pictures.map((src) => h("img", { src, alt: "Attached image" })));
    this.notes.replaceChildren(...message.notes.map((note) => h("p", {}, note)));
    this.#paintCalls(message.calls);
  }

  /** @param {Call[]} calls */
  #paintCalls(calls) {
    for (const call of calls) {
      const view = this.callViews.get(call.id) ?? new CallView(this, call);
      if (!this.callViews.has(call.id)) this.calls.append(view.root);
      this.callViews.set(call.id, view);
      view.paint(call);
    }
  }
}

class CallView {
  /** @param {MessageView} host @param {Call} call */
  constructor(host, call) {
    this.host = host;
    this.state = span("state");
    this.brief = h("code", { class: "nba-brief" });
    this.given = h("pre", { tabindex: "0" });
    this.result = h("pre", { tabindex: "0" });
    this.answered = h("div", {}, h("p", {}, "Result"), this.result);
    const parts = [icon("tool"), h("strong", {}, call.name), this.brief, this.state];
    this.folded = h("details", { class: "nba-fold" }, h("summary", {}, ...parts));
    this.folded.append(h("p", {}, "Arguments"), this.given, this.answered);
    const yes = () => this.#decide(true);
    const allow = button("check", `Approve ${call.name}`, yes, "Approve", "nba-main");
    const deny = button("close", `Deny ${call.name}`, () => this.#decide(), "Deny");
    this.question = div("ask", allow, deny);
    this.question.hidden = true;
    this.root = div("call", this.folded, this.question);
    this.id = call.id;
    this.decided = false;
  }

  #decide(allowed = false) {
    this.decided = true;
    this.question.hidden = true;
    this.folded.open = false;
    const { panel, message } = this.host;
    panel.chat.send({ kind: "approve", call: this.id, message: message.id, allowed });
    panel.focus();
  }

  /** @param {Call} call */
  paint(call) {
    const state = call.is_error ? "failed" : call.state;
    const text = call.arguments;
    this.root.dataset.state = state;
    say(this.state, ASKING[state] ?? state);
    say(this.brief, text.length > 2 ? text.replace(/\s+/g, " ").slice(0, 120) : "");
    say(this.given, text);
    say(this.result, call.result);
    this.answered.hidden = !call.result;
    const hidden = call.state !== "asked" || this.decided || this.host.panel.chat.gone;
    if (!hidden && this.question.hidden) {
      this.folded.open = true; // what is approved has been seen
      this.host.panel.announce(`${call.name} asks to run`);
    }
    this.question.hidden = hidden;
  }
}

/* The list of messages */

/** Keeps to its end only while the reader is there. */
class Log {
  /** @param {Panel} panel */
  constructor(panel) {
    this.panel = panel;
    /** @type {Map<string, MessageView>} */ this.views = new Map();
    /** @type {Set<string>} what is to be painted */ this.dirty = new Set();
    this.frame = 0;
    this.stuck = true;
    this.top = 0;
    this.height = 0;
    this.empty = div("empty");
    this.list = div("list", this.empty);
    const kind = { class: "nba-log", role: "log", "aria-live": "off", tabindex: "0" };
    this.root = h("div", { ...kind, scroll: () => this.#scrolled() }, this.list);
    const stick = () => this.stick();
    this.jump = button("down", "Jump to the latest message", stick, "Latest", "nba-jump");
    this.jump.hidden = true;
    this.observer = new ResizeObserver(() => this.#resized());
    this.observer.observe(this.list);
    this.observer.observe(this.root);
  }

  dispose() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }

  /** Paint a message, or all of them, in the next frames. */
  mark(id = "") {
    const { messages } = this.panel.chat;
    if (id) this.dirty.add(id);
    else {
      for (const old of [...this.views.keys()]) if (!messages.has(old)) this.remove(old);
      this.dirty = new Set(messages.keys());
      for (const view of this.views.values()) view.painted = null;
    }
    this.frame ||= requestAnimationFrame(() => this.paint());
  }

  remove(id = "") {
    this.views.get(id)?.root.remove();
    this.views.delete(id);
    this.dirty.delete(id);
  }

  paint() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { messages, busy } = this.panel.chat;
    const deadline = performance.now() + BUDGET;
    // The newest first: it is what the reader sees.
    for (const message of [...messages.values()].reverse()) {
      if (!this.dirty.has(message.id)) continue;
      if (this.#view(message).paint(message, deadline)) this.dirty.delete(message.id);
      if (performance.now() > deadline) break;
    }
    if (!this.dirty.size) return;
    if (busy) this.panel.chat.soon();
    else this.frame = requestAnimationFrame(() => this.paint());
  }

  /** @param {Message} message */
  #view(message) {
    const known = this.views.get(message.id);
    if (known) return known;
    const view = new MessageView(this.panel, message);
    const later = [...this.views.values()].filter((other) => other.message.at > message.at);
    const next = later.sort((a, b) => a.message.at - b.message.at)[0];
    this.list.insertBefore(view.root, next?.root ?? null);
    this.views.set(message.id, view);
    return view;
  }

  /** Go to the end, and stay there. */
  stick() {
    this.stuck = true;
    this.root.scrollTop = this.root.scrollHeight;
    this.jump.hidden = true;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.root;
    if (!clientHeight) return;
    const atEnd = scrollHeight - scrollTop - clientHeight < 8;
    if (atEnd) this.stuck = true;
    else if (scrollTop < this.top) this.stuck = false; // only a reader scrolls up
    this.top = scrollTop;
    this.jump.hidden = this.stuck;
  }

  /** After layout, when reading sizes costs nothing. */
  #resized() {
    const { clientHeight } = this.root;
    const returned = !this.height && clientHeight > 0;
    this.height = clientHeight;
    if (clientHeight) this.panel.placed();
    if (this.stuck) this.stick();
    else if (returned) this.root.scrollTop = this.top; // put back into the page
    this.#scrolled();
  }
}

/* The composer */

const MAX_PICTURES = 8;
const MAX_SIDE = 2048; // pixels; models scale down what is larger
const MAX_BYTES = 1_500_000; // of one sent as it is
const MAX_TOTAL = 7_000_000; // Jupyter Server closes a socket that brings 10 MB

class Composer {
  /** @param {Panel} panel */
  constructor(panel) {
    this.panel = panel;
    this.chat = panel.chat;
    this.options = new Options(this);
    this.area = h("textarea", {
      rows: "1",
      dir: "auto",
      autocomplete: "off",
      "aria-autocomplete": "list",
      "aria-controls": this.options.root.id,
      input: () => this.#typed(),
      keydown: (event) => this.#key(event),
      click: () => this.options.look(),
      blur: () => this.options.close(),
      paste: (event) => this.#pasted(event),
    });
    const what = h("span", {}, "Editing: what came after it will be replaced.");
    const cancel = button("close", "Cancel the edit", () => this.#then("cancelEdit"));
    this.banner = div("banner", icon("edit"), what, cancel);
    this.pictures = div("thumbs");
    this.chips = div("chips");
    this.hint = span("hint", "Enter sends · Shift+Enter breaks the line");
    this.sending = button("send", "Send", () => this.submit(), "Send", "nba-main");
    const stop = () => this.#then("stop");
    const stopping = button("stop", "Stop", stop, "Stop", "nba-main nba-stop");
    // A growing panel moves it: the click is its own wherever it is.
    stopping.onpointerdown = ({ pointerId }) => stopping.setPointerCapture(pointerId);
    this.stopping = stopping;
    const change = () => this.attach([...(file.files ?? [])]).then(() => (file.value = ""));
    const file = h("input", { type: "file", accept: "image/*", multiple: true, hidden: true, change });
    this.picking = button("image", "Attach an image (or paste or drop it)", () => file.click());
    const row = div("row", file, this.picking, this.chips, this.hint, this.sending, this.stopping);
    const box = div("box", this.banner, this.pictures, this.area, row);
    this.root = div("composer", this.options.root, box);
    /** @type {string[]} */ this.drawn = [];
  }

  paint() {
    const { draft, busy, gone, sending, name, stopping } = this.chat;
    if (this.area.value !== draft.text) this.area.value = draft.text;
    this.area.readOnly = Boolean(sending);
    this.area.placeholder = this.area.ariaLabel = `Message ${name}`;
    this.banner.hidden = !draft.editing;
    this.picking.hidden = Boolean(draft.editing);
    this.sending.hidden = busy;
    this.stopping.hidden = !busy;
    this.stopping.disabled = stopping;
    this.sending.disabled = gone || this.chat.empty || Boolean(sending);
    this.#paintPictures(draft.images);
    this.#paintChips();
    this.#grow();
  }

  /** @param {string[]} images */
  #paintPictures(images) {
    if (images === this.drawn) return;
    this.drawn = images;
    const thumbs = images.map((src, index) => {
      const remove = () => {
        this.chat.write({ images: images.filter((image) => image !== src) });
        this.focus();
      };
      const picture = h("img", { src, alt: `Image ${index + 1} to be sent` });
      return div("thumb", picture, button("close", `Remove image ${index + 1}`, remove));
    });
    this.pictures.replaceChildren(...thumbs);
    this.pictures.hidden = !images.length;
  }

  #paintChips() {
    const { known } = this.chat;
    const names = this.chat.attached();
    this.hint.hidden = names.length > 0;
    const chips = names.map((name) => {
      const detail = known.get(name)?.type ?? "";
      return span("chip", h("b", {}, `@${name}`), ` ${detail}`);
    });
    this.chips.replaceChildren(...chips);
  }

  #grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.area.style.height = "auto";
    if (this.area.scrollHeight) this.area.style.height = `${this.area.scrollHeight + 2}px`;
  }

  focus() {
    this.area.focus({ preventScroll: true });
  }

  submit() {
    if (this.chat.submit()) {
      this.panel.log.stick();
      this.focus();
    }
  }

  /** @param {"stop"|"cancelEdit"} what */
  #then(what) {
    this.chat[what]();
    this.focus();
  }

  #typed() {
    this.chat.write({ text: this.area.value });
    this.options.look();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || event.keyCode === 229) return; // the input method's own keys
    if (this.options.key(event)) return event.preventDefault();
    const plain = !event.shiftKey && !event.altKey;
    if (event.key === "Enter" && plain) this.submit();
    else if (event.key === "ArrowUp" && plain && !this.area.value && !this.chat.busy) {
      this.panel.edit(this.chat.lastPrompt());
    } else if (event.key === "Escape" && this.chat.draft.editing) this.chat.cancelEdit();
    else return;
    event.preventDefault();
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    const data = event.clipboardData;
    // Spreadsheets offer a picture beside text.
    if (!data?.files.length || data.getData("text/plain")) return;
    event.preventDefault();
    this.attach([...data.files]);
  }

  /** @param {File[]} files pictures */
  async attach(files) {
    if (this.chat.draft.editing) return this.chat.notify("An edited message keeps its images.");
    for (const file of files) {
      const image = await readPicture(file).catch(() => null);
      const images = this.chat.draft.images.concat(image ?? []);
      if (!image) this.chat.notify(`${file.name} is no image that models read.`);
      else if (images.length > MAX_PICTURES || images.join("").length > MAX_TOTAL) {
        return this.chat.notify("More images do not fit into one message.");
      } else this.chat.write({ images: [...new Set(images)] });
    }
  }
}

/** A picture's data address, scaled down where it is large.
 * @param {File} file @returns {Promise<string|null>} */
async function readPicture(file) {
  if (!PICTURES.includes(file.type.replace("image/", ""))) return null;
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.size <= MAX_BYTES) {
    const reader = new FileReader();
    reader.readAsDataURL(file);
    await new Promise((done) => (reader.onload = done));
    return String(reader.result);
  }
  const canvas = h("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const png = file.type === "image/png" ? canvas.toDataURL("image/png") : "";
  return png && png.length <= MAX_BYTES ? png : canvas.toDataURL("image/jpeg", 0.9);
}

/** The variables that an @ can attach. */
class Options {
  /** @param {Composer} composer */
  constructor(composer) {
    this.composer = composer;
    this.chat = composer.chat;
    const kind = { class: "nba-options", role: "listbox", "aria-label": "Variables to attach" };
    this.root = h("ul", { ...kind, id: `nba-options-${unique()}`, hidden: true });
    this.index = 0;
    this.open = false;
  }

  #typed() {
    const { value, selectionStart, selectionEnd } = this.composer.area;
    if (selectionStart !== selectionEnd) return null;
    return TYPED.exec(value.slice(0, selectionStart));
  }

  /** Ask the kernel what to offer; until it answers, what still fits is. */
  look() {
    const typed = this.#typed();
    if (!typed) return this.close();
    const begun = typed[1].toLowerCase();
    this.chat.items = this.chat.items.filter(({ name }) => name.toLowerCase().startsWith(begun));
    if (!this.root.hidden) this.paint();
    this.open = true;
    this.chat.asking = unique();
    this.chat.send({ kind: "complete", request: this.chat.asking, prefix: typed[1] });
  }

  close() {
    this.open = false;
    this.root.hidden = true;
    this.composer.area.removeAttribute("aria-activedescendant");
  }

  paint() {
    const { items } = this.chat;
    if (!this.open || !items.length) return this.close();
    const rows = items.map((item, index) => {
      const pointerdown = (/** @type {Event} */ event) => {
        event.preventDefault(); // the caret stays where it is
        this.#choose(item);
      };
      const given = { role: "option", id: `${this.root.id}-${index}`, pointerdown };
      return h("li", given, h("b", {}, item.name), h("span", {}, item.type ?? ""));
    });
    this.root.replaceChildren(...rows);
    this.root.hidden = false;
    this.#select();
    this.composer.panel.announce(`${items.length} variables. ${items[0].name}`);
  }

  #select(index = 0) {
    const rows = [...this.root.children];
    this.index = (index + rows.length) % rows.length;
    const row = rows[this.index];
    for (const each of rows) each.ariaSelected = String(each === row);
    this.composer.area.setAttribute("aria-activedescendant", row.id);
    row.scrollIntoView({ block: "nearest" });
  }

  /** @param {Item} item */
  #choose(item) {
    const { area } = this.composer;
    const typed = this.#typed();
    if (!typed) return this.close();
    const before = area.value.slice(0, typed.index);
    const after = area.value.slice(area.selectionStart).replace(/^ ?/, " ");
    this.chat.write({ text: `${before}@${item.name}${after}` });
    const caret = before.length + item.name.length + 2;
    area.setSelectionRange(caret, caret);
    this.close();
  }

  /** @param {KeyboardEvent} event @returns whether the list has used it */
  key(event) {
    if (this.root.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#select(this.index + step);
    else if (event.key === "Escape") this.close();
    else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) {
      this.#choose(this.chat.items[this.index]);
    } else return false;
    return true;
  }
}

/* The panel */

class Panel {
  ended = new AbortController();
  through = false;
  /** @type {Element|undefined} the outputs of its cell */ area;
  changes = new MutationObserver((records) => {
    const added = records.flatMap(({ addedNodes }) => [...addedNodes]);
    const isCopy = (/** @type {any} */ node) => node.classList?.contains("nbagents-saved");
    if (this.area && added.some(isCopy)) putCopies(this.area);
  });

  /** @param {Conversation} chat @param {HTMLElement} el */
  constructor(chat, el) {
    this.chat = chat;
    this.log = new Log(this);
    this.composer = new Composer(this);
    this.title = span("name");
    this.clearing = button("clear", "Clear the conversation", () => {
      chat.send({ kind: "clear" });
      chat.notify("The conversation was cleared.", "undoable");
      this.focus();
    });
    this.status = h("div", { class: "nba-status", role: "status" });
    this.words = h("span", { dir: "auto" });
    const restore = () => this.#dismiss({ kind: "restore" });
    this.undoing = h("button", { type: "button", class: "nba-button", click: restore }, "Undo");
    this.dismissing = button("close", "Dismiss", () => this.#dismiss());
    this.notice = div("notice", this.words, this.undoing, this.dismissing);
    this.totals = div("totals");
    this.live = h("div", { class: "nba-live", role: "status", "aria-live": "polite" });
    const head = div("head", icon("agent"), this.title, this.clearing);
    const middle = div("middle", this.log.root, this.log.jump);
    // The attribute: keys pressed in here are no shortcuts of JupyterLab's.
    const kind = { class: "nbagents-panel", role: "group", "data-lm-suppress-shortcuts": true };
    const below = [this.status, this.notice, this.composer.root, this.totals, this.live];
    const drag = (/** @type {DragEvent} */ event) => this.#drag(event);
    const drags = { dragover: drag, dragleave: drag, drop: drag };
    this.root = h("div", { ...kind, ...drags }, head, middle, ...below);
    this.#listen();
    chat.panels.add(this);
    el.append(this.root);
    this.changed("all");
  }

  close() {
    this.ended.abort();
    this.chat.panels.delete(this);
    this.log.dispose();
    this.root.remove();
    if (this.area && !this.area.querySelector(".nbagents-panel")) putCopies(this.area, false);
    this.changes.disconnect();
  }

  placed() {
    const area = this.root.closest(".jp-OutputArea, .cell_container, #output-body");
    if (!area || area === this.area) return;
    this.area = area;
    putCopies(area);
    this.changes.disconnect();
    this.changes.observe(area, { childList: true, subtree: true });
  }

  #listen() {
    const { root } = this;
    for (const name of ["keydown", "keypress", "keyup", "paste", "copy", "cut", "dblclick"]) {
      root.addEventListener(name, (event) => this.through || event.stopPropagation());
    }
    // before JupyterLab, which looks at the document
    const before = { capture: true, signal: this.ended.signal };
    window.addEventListener("keydown", (event) => this.#letThrough(event), before);
  }

  /** Saving and the command palette stay JupyterLab's.
   * @param {KeyboardEvent} event */
  #letThrough(event) {
    if (!this.root.contains(/** @type {Node|null} */ (event.target))) return;
    const key = event.key.toLowerCase();
    const global = key === "s" || (key === "c" && event.shiftKey);
    this.through = global && (event.ctrlKey || event.metaKey);
    this.root.toggleAttribute("data-lm-suppress-shortcuts", !this.through);
  }

  /** @param {DragEvent} event */
  #drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    this.root.classList.toggle("nba-drop", event.type === "dragover");
    event.preventDefault();
    event.stopPropagation();
    if (event.type !== "drop") return;
    this.composer.attach([...event.dataTransfer.files]);
    this.focus();
  }

  /** @param {Change} what */
  changed(what, id = "") {
    if (what === "message") this.log.mark(id);
    else if (what === "removed") this.log.remove(id);
    else if (what === "finished") this.#finished(id);
    else {
      if (what === "frame") this.log.paint();
      else this.composer.paint();
      if (what === "all") this.log.mark();
      else if (what === "items") this.composer.options.paint();
      this.#paintStatus();
    }
  }

  #paintStatus() {
    const { model, name, gone, busy, stopping, slow, waitingFor, messages } = this.chat;
    say(this.title, name);
    this.root.ariaLabel = `Chat with ${name}`;
    this.log.root.ariaLabel = `Conversation with ${name}`;
    say(this.log.empty, messages.size ? "" : `Ask ${name} something. An @ attaches a variable.`);
    say(this.totals, model.get("totals"));
    this.clearing.disabled = gone || busy;
    const waiting = slow ? "The kernel is busy: your message waits for it." : waitingFor;
    say(this.status, stopping ? "Stopping…" : waiting);
    this.#paintNotice();
  }

  #paintNotice() {
    const { gone, notice, noticeKind } = this.chat;
    const text = gone ? GONE : notice;
    const alarm = gone || noticeKind === "error";
    this.notice.className = `nba-notice ${alarm ? "nba-error" : ""}`;
    this.notice.role = alarm ? "alert" : "status";
    this.notice.hidden = !text;
    say(this.words, text);
    this.undoing.hidden = noticeKind !== "undoable";
    this.dismissing.hidden = gone;
  }

  /** @param {ToKernel} [content] what the kernel is told */
  #dismiss(content) {
    if (content) this.chat.send(content);
    this.chat.notify("");
    this.focus();
  }

  #finished(id = "") {
    const message = this.chat.messages.get(id);
    if (!message) return;
    const words = [STATUS[message.status], message.markdown, ...message.notes].filter(Boolean);
    if (words.length) this.announce(`${message.source}: ${words.join(" ").slice(0, 2000)}`);
  }

  /** To a screen reader, once. */
  announce(text = "") {
    this.live.textContent = text;
  }

  focus() {
    this.composer.focus();
  }

  /** @param {Message} message */
  retry(message) {
    if (this.chat.busy) return this.chat.notify(UNDER_WAY);
    this.chat.send({ kind: "retry", id: message.id });
    this.focus();
  }

  /** @param {Message|undefined} message */
  edit(message) {
    this.chat.edit(message);
    this.focus();
    const { area } = this.composer;
    area.selectionStart = area.value.length;
  }

  /** @param {HTMLButtonElement} pressed */
  async copy(pressed, text = "", note = "") {
    const written = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    const done = written || copyByCommand(text);
    if (!done) note = "Copying is not allowed here: select the text and press Ctrl+C.";
    answer(pressed, done ? "Copied" : "Not allowed");
    this.announce(note || "Copied");
    if (note) this.chat.notify(note);
  }

  /** @param {HTMLButtonElement} pressed */
  async insert(pressed, text = "") {
    const done = await insertCell(this.chat.model, this.root, text).catch(() => false);
    if (!done) return this.copy(pressed, text, "Copied, not inserted: paste it into a cell.");
    answer(pressed, "Inserted");
    this.announce("Inserted as a new cell below");
  }
}

/** One for each model; anywidget calls it. */
export default () => {
  /** @type {Conversation} */
  let chat;
  return {
    /** @param {{model: Model}} given */
    initialize({ model }) {
      chat = new Conversation(model);
    },
    /** @param {{model: Model, el: HTMLElement}} given */
    render({ model, el }) {
      const panel = new Panel(chat, el);
      chat.lose(el.closest(".jupyter-widgets-disconnected") !== null);
      model.on("comm_live_update", /** @this {any} anywidget's view */ function () {
        chat.lose(this?.model?.comm_live === false);
      });
      model.on("destroy", () => chat.lose());
      return () => panel.close();
    },
  };
};
