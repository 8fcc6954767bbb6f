// The chat: messages go out as commands by POST, and what the event stream brings is shown.
//
//   composer -> Outbox -- POST /commands/post-message --> server
//   Conversation <- EventStream <-- GET /events --------- server
//
// The stream alone decides what the conversation holds. A message of one's own stays in the
// outbox until its event has come, which the receipt names.

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;
/** The server shows a sign of life every 15 s; after three that did not come, the connection is dead. */
const SILENCE_MS = 45_000;
const ANSWER_WITHIN_MS = 20_000;
/** Messages of one author that came closer than this stand under one name. */
const ONE_BREATH_MS = 5 * 60_000;
/** Answers that say "not now": the same request can succeed later. */
const WORTH_REPEATING = new Set([408, 409, 425, 429, 502, 503, 504]);

const find = (selector) => document.querySelector(selector);

/** An element of a class with children; strings become text, never markup. */
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** Twice as long with each attempt, and never the same for two pages that lost the same server. */
function backoff(attempt) {
  const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  return longest * (0.5 + Math.random() / 2);
}

/** `crypto.randomUUID` is missing where a page is served by plain http from elsewhere than localhost. */
function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A browser's storage, which its user may have forbidden. */
class Memory {
  #area;

  constructor(area) {
    this.#area = area;
  }

  get(key) {
    try {
      return JSON.parse(window[this.#area].getItem(`eventwire.chat.${key}`));
    } catch {
      return null;
    }
  }

  set(key, value) {
    try {
      window[this.#area].setItem(`eventwire.chat.${key}`, JSON.stringify(value));
    } catch {
      // The page works without; it only forgets when it is closed.
    }
  }
}

const ofBrowser = new Memory("localStorage");
const ofTab = new Memory("sessionStorage");

/**
 * Named events from a URL, each once and in order, for as long as the page is open.
 *
 * An EventSource comes back by itself after a broken connection, but gives up for good on any
 * HTTP error, and never notices a peer that fell silent. Then a new one takes over after the
 * last id seen.
 */
class EventStream {
  #url;
  #handlers;
  #onState;
  #source;
  #lastId = "";
  #attempt = 0;
  #retry;
  #heardAt = 0;

  constructor(path, handlers, onState) {
    this.#url = new URL(path, location.href);
    this.#handlers = handlers;
    this.#onState = onState;
    this.#open();
    setInterval(() => this.#checkSilence(), SILENCE_MS / 9);
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => this.#hurry());
  }

  #open() {
    clearTimeout(this.#retry);
    this.#source?.close();
    // An EventSource cannot be given a header; one that has seen an id sends its own, which wins.
    if (this.#lastId) this.#url.searchParams.set("last_event_id", this.#lastId);
    const source = new EventSource(this.#url);
    this.#source = source;
    source.onopen = () => {
      this.#attempt = 0;
      this.#heardAt = performance.now();
      this.#onState("live");
    };
    source.onerror = () => this.#onError();
    for (const [name, handle] of Object.entries(this.#handlers)) {
      source.addEventListener(name, (event) => {
        this.#lastId = event.lastEventId || this.#lastId;
        this.#heardAt = performance.now();
        handle(event);
      });
    }
  }

  #onError() {
    this.#onState("reconnecting");
    if (this.#source.readyState !== EventSource.CLOSED) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), backoff(this.#attempt++));
  }

  #hurry() {
    if (this.#source.readyState === EventSource.CLOSED && !document.hidden) this.#open();
  }

  #checkSilence() {
    const isOpen = this.#source.readyState === EventSource.OPEN;
    if (!isOpen || performance.now() - this.#heardAt < SILENCE_MS) return;
    this.#onState("reconnecting");
    this.#open();
  }
}

/** What was said, in the order of the log, and the scrolling over it. */
class Conversation {
  #scroller = find("#scroller");
  #messages = find("#messages");
  #empty = find("#empty");
  #latest = find("#latest");
  #isAtEnd = true;
  #unseen = 0;
  #previous = null;
  #time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  #day = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });

  constructor() {
    this.#scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.#latest.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.#follow()).observe(this.#scroller);
  }

  /** A message that is in the log, under the id of its event. */
  show(id, { author, text, sent_at: sentAt }, isMine) {
    const sent = new Date(sentAt);
    const isDated = !Number.isNaN(sent.getTime());
    const day = isDated ? this.#day.format(sent) : this.#previous?.day;
    if (day && day !== this.#previous?.day) {
      this.#messages.append(element("li", "day", day));
      this.#previous = null;
    }
    const name = element("span", "author", author);
    name.style.setProperty("--hue", hueOf(author));
    const head = element("p", "head", name);
    if (isDated) {
      const time = element("time", "", this.#time.format(sent));
      time.dateTime = sentAt;
      time.title = sent.toLocaleString();
      head.append(time);
    }
    const item = element("li", "message", head, element("p", "text", text));
    item.dir = "auto";
    item.dataset.id = id;
    item.classList.toggle("mine", isMine);
    const follows = this.#previous?.author === author && sent - this.#previous.sent < ONE_BREATH_MS;
    item.classList.toggle("follows", follows);
    this.#messages.append(item);
    this.#previous = { author, sent, day };
    this.#grown();
  }

  /** Something that happened to the room. */
  note(text) {
    this.#messages.append(element("li", "note", text));
    this.#previous = this.#previous && { day: this.#previous.day };
    this.#grown();
  }

  clear() {
    this.#messages.replaceChildren();
    this.#previous = null;
  }

  /** History has been shown: from here on a screen reader says what is new. */
  caughtUp() {
    find("#log").ariaBusy = "false";
    this.#empty.hidden = this.#messages.childElementCount > 0;
  }

  toEnd() {
    this.#isAtEnd = true;
    this.#unseen = 0;
    this.#latest.hidden = true;
    this.#follow();
  }

  #grown() {
    this.#empty.hidden = true;
    if (this.#isAtEnd) return this.#follow();
    this.#unseen += 1;
    this.#offerLatest();
  }

  #follow() {
    requestAnimationFrame(() => {
      if (this.#isAtEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    });
  }

  #onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 60;
    if (this.#isAtEnd) this.#unseen = 0;
    this.#offerLatest();
  }

  #offerLatest() {
    this.#latest.hidden = this.#isAtEnd;
    this.#latest.textContent = this.#unseen ? `${this.#unseen} new \u2193` : "Latest \u2193";
  }
}

function hueOf(author) {
  let hash = 0;
  for (const letter of String(author)) hash = (hash * 31 + letter.codePointAt(0)) % 360_007;
  return hash % 360;
}

/**
 * Messages on their way, sent one after the other. Each has one idempotency key for all its
 * attempts, so that it arrives once however often it had to be sent; a reload of the page goes
 * on with what was not yet answered.
 */
class Outbox {
  #list = find("#outbox");
  /** Not answered yet, in the order they were written. */
  #waiting = [];
  /** Answered, by the id of the event that is still to come. */
  #answered = new Map();
  /** Ids of events that came while something was waiting: one of them may be its own. */
  #arrived = new Set();
  #isSending = false;
  #wake = () => {};

  constructor() {
    for (const kept of ofTab.get(`outbox.${room}`) ?? []) this.#enter(kept);
    this.#run();
  }

  add(author, text) {
    this.#enter({ key: newKey(), author, text });
    this.#keep();
    this.#run();
  }

  /** An event has come; when it is one of ours, it is no longer on its way. */
  settle(id) {
    const entry = this.#answered.get(id);
    if (entry) {
      this.#answered.delete(id);
      entry.item.remove();
    } else if (this.#waiting.length > 0) {
      this.#arrived.add(id);
    }
  }

  /** The log was replaced by another: events of the old one will not come any more. */
  forgetAnswered() {
    for (const entry of this.#answered.values()) entry.item.remove();
    this.#answered.clear();
  }

  /** The server is back: no need to wait for the next attempt. */
  hurry() {
    this.#wake();
  }

  #enter({ key, author, text }) {
    const fate = element("p", "fate");
    const item = element("li", "message mine pending", element("p", "text", text), fate);
    item.dir = "auto";
    this.#list.append(item);
    this.#waiting.push({ key, author, text, item, fate, hasFailed: false });
    this.#say(this.#waiting.at(-1), "Sending");
  }

  async #run() {
    if (this.#isSending) return;
    this.#isSending = true;
    let entry;
    while ((entry = this.#waiting.find(({ hasFailed }) => !hasFailed))) {
      const { receipt, problem } = await this.#send(entry);
      if (receipt) this.#onReceipt(entry, receipt);
      else this.#onRefused(entry, problem);
    }
    this.#isSending = false;
  }

  /** Sends until there is an answer that time will not change. */
  async #send(entry) {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await post(entry);
      if (!answer.isTransient) return answer;
      this.#say(entry, "Waiting for the server");
      await this.#pause(Math.max(backoff(attempt), answer.retryAfterMs));
    }
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #onReceipt(entry, { position }) {
    this.#leave(entry);
    if (position === null || this.#arrived.has(position)) {
      entry.item.remove();
    } else {
      this.#answered.set(position, entry);
      this.#say(entry, "Sent");
    }
    if (this.#waiting.length === 0) this.#arrived.clear();
  }

  #onRefused(entry, reason) {
    entry.hasFailed = true;
    entry.item.classList.add("failed");
    const said = element("span", "reason", `Not sent: ${reason}`);
    said.role = "alert";
    const again = element("button", "", "Try again");
    again.onclick = () => {
      entry.hasFailed = false;
      entry.item.classList.remove("failed");
      this.#say(entry, "Sending");
      this.#run();
    };
    const discard = element("button", "", "Discard");
    discard.onclick = () => {
      this.#leave(entry);
      entry.item.remove();
    };
    entry.fate.replaceChildren(said, again, discard);
  }

  #say(entry, text) {
    entry.fate.replaceChildren(text);
  }

  #leave(entry) {
    this.#waiting.splice(this.#waiting.indexOf(entry), 1);
    this.#keep();
  }

  #keep() {
    const kept = this.#waiting.map(({ key, author, text }) => ({ key, author, text }));
    ofTab.set(`outbox.${room}`, kept);
  }
}

/** One attempt: `{receipt}`, `{problem}`, or `{isTransient, retryAfterMs}` where it is worth repeating. */
async function post({ key, author, text }) {
  try {
    const response = await fetch("/commands/post-message", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify({ room, author, text }),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (response.ok) return { receipt: await response.json() };
    if (WORTH_REPEATING.has(response.status)) {
      const seconds = Number(response.headers.get("Retry-After"));
      return { isTransient: true, retryAfterMs: (seconds || 0) * 1000 };
    }
    const problem = await response.json().catch(() => ({}));
    return { problem: problem.detail ?? problem.title ?? `the server said ${response.status}` };
  } catch {
    // Whether it arrived is not known, which is what the key is for.
    return { isTransient: true, retryAfterMs: 0 };
  }
}

/** Whoever has not said a name is a guest, another one in each tab. */
function nameOrGuest() {
  const guest = ofTab.get("guest") ?? `Guest ${100 + Math.floor(Math.random() * 900)}`;
  ofTab.set("guest", guest);
  return ofBrowser.get("author") ?? guest;
}

const room = new URLSearchParams(location.search).get("room")?.trim() || "lobby";
const author = find("#author");
const text = find("#text");
const connection = find("#connection");

document.title = `#${room} \u00b7 Chat`;
find("#room").value = room;
author.value = nameOrGuest();

const conversation = new Conversation();
const outbox = new Outbox();

const stream = `room-${room}`;
new EventStream(
  `/events?${new URLSearchParams({ stream, from: "start", signals: "1" })}`,
  {
    "message-posted": (event) => {
      const message = JSON.parse(event.data);
      conversation.show(event.lastEventId, message, message.author === author.value.trim());
      outbox.settle(event.lastEventId);
    },
    "room-closed": () => conversation.note("The room was closed"),
    "room-reopened": () => conversation.note("The room was opened again"),
    "eventwire.gap": () => {
      conversation.clear();
      outbox.forgetAnswered();
      conversation.note("The server begins at another place: this is all it holds");
    },
    "eventwire.caught-up": () => conversation.caughtUp(),
    "eventwire.progress": () => {},
    "eventwire.heartbeat": () => {},
  },
  (state) => {
    connection.dataset.state = state;
    connection.textContent = state === "live" ? "Live" : "Reconnecting";
    if (state === "live") outbox.hurry();
  },
);

author.addEventListener("change", () => {
  if (author.validity.valid) ofBrowser.set("author", author.value.trim());
});

text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  find("#composer").requestSubmit();
});

find("#composer").addEventListener("submit", (event) => {
  event.preventDefault();
  text.focus();
  if (!text.value.trim()) return;
  outbox.add(author.value.trim(), text.value);
  text.value = "";
  conversation.toEnd();
});

// On a phone this would open the keyboard.
if (matchMedia("(pointer: fine)").matches) text.focus();
