/** A kernel, as far as a widget manager uses one: the page around this frame holds it. */

const signal = { connect() {}, disconnect() {} };

class Comm {
  constructor(kernel, commId, targetName) {
    Object.assign(this, { kernel, commId, targetName });
    kernel.comms.set(commId, this);
  }
  open(data) {
    return this.kernel.say("comm_open", { comm_id: this.commId, target_name: this.targetName, data });
  }
  send(data) {
    return this.kernel.say("comm_msg", { comm_id: this.commId, data });
  }
  close(data = {}) {
    return this.kernel.say("comm_close", { comm_id: this.commId, data });
  }
}

export class Kernel {
  comms = new Map();
  targets = new Map();
  statusChanged = signal;
  connectionStatusChanged = signal;
  handled = Promise.resolve();

  /** @param {(message) => unknown} display shows an output */
  constructor(display) {
    this.display = display;
    addEventListener("message", ({ data }) => {
      // One after the other: a widget's first message may come before its class has loaded.
      if (data?.header) this.handled = this.handled.then(() => this.take(data)).catch(console.error);
    });
  }

  say(msg_type, content) {
    const msg_id = crypto.randomUUID();
    parent.postMessage({ msg_type, content, msg_id }, "*");
    return { msg: { header: { msg_id } }, done: Promise.resolve() };
  }

  async take(message) {
    const { header, content } = message;
    if (header.msg_type === "comm_open") {
      const comm = new Comm(this, content.comm_id, content.target_name);
      await this.targets.get(content.target_name)?.(comm, message);
    } else if (header.msg_type === "comm_msg") {
      await this.comms.get(content.comm_id)?.onMsg?.(message);
    } else if (header.msg_type === "comm_close") {
      await this.comms.get(content.comm_id)?.onClose?.(message);
    } else if (["display_data", "execute_result", "update_display_data"].includes(header.msg_type)) {
      await this.display(message);
    }
  }

  registerCommTarget(name, callback) {
    this.targets.set(name, callback);
  }
  createComm(targetName, commId = crypto.randomUUID()) {
    return new Comm(this, commId, targetName);
  }
  async requestCommInfo() {
    return { content: { status: "ok", comms: {} } };
  }
}

const VIEW = "application/vnd.jupyter.widget-view+json";

/** Show an output, or bring one up to date, as a notebook does: a widget, or else HTML or text.
 * @param {HTMLElement} place @param {(model: string, into: HTMLElement) => unknown} showWidget */
export function shower(place, outputClass, showWidget) {
  return async ({ header, content: { data, transient } }) => {
    const id = transient?.display_id ?? "";
    if (header.msg_type === "update_display_data") {
      for (const old of place.querySelectorAll(`[data-display="${id}"]`)) old.innerHTML = data["text/html"];
      return;
    }
    const output = document.createElement("div");
    output.className = outputClass;
    output.dataset.display = id;
    place.append(output);
    if (data[VIEW]) await showWidget(data[VIEW].model_id, output);
    else if (data["text/html"]) output.innerHTML = data["text/html"];
    else output.textContent = data["text/plain"];
  };
}
