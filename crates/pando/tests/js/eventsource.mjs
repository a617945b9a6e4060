// As much of EventSource as the SDK uses. Node 20 has none of its own.

export class EventSource {
  #abort = new AbortController();
  #listeners = new Map();
  onerror = null;

  constructor(url) {
    this.#read(url).catch((error) => this.onerror?.(error));
  }

  addEventListener(name, listener) {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  removeEventListener(name, listener) {
    this.#listeners.set(name, (this.#listeners.get(name) ?? []).filter((known) => known !== listener));
  }

  close() {
    this.onerror = null;
    this.#abort.abort();
  }

  async #read(url) {
    const answer = await fetch(url, { signal: this.#abort.signal, headers: { Accept: "text/event-stream" } });
    let text = "";
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        this.#dispatch(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
    this.onerror?.(new Error("the stream ended"));
  }

  #dispatch(block) {
    const event = { type: "message", data: "", lastEventId: "" };
    for (const line of block.split("\n")) {
      const at = line.indexOf(":");
      const [name, value] = [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
      if (name === "event") event.type = value;
      if (name === "id") event.lastEventId = value;
      if (name === "data") event.data += value;
    }
    for (const listener of this.#listeners.get(event.type) ?? []) listener(event);
  }
}

globalThis.EventSource ??= EventSource;
