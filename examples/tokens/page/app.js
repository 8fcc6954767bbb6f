// An answer is a stream of the log, and its name is in the address of this page: whoever loads it
// is shown the answer from its first token, and then what is to come.

const COME_BACK_MS = 1000;

const find = (selector) => document.querySelector(selector);
const [form, stop, state, answer] = ["form", "#stop", "#state", "#answer"].map(find);

let source;

function follow(run) {
  source?.close();
  answer.textContent = "";
  state.textContent = "...";
  stop.disabled = false;
  let lastId = "";
  const open = () => {
    const url = new URL("/events", location.href);
    url.searchParams.set("stream", run);
    // One that comes back by itself sends the id in a header.
    if (lastId) url.searchParams.set("last_event_id", lastId);
    else url.searchParams.set("from", "start");
    source = new EventSource(url);
    const on = (name, handle) =>
      source.addEventListener(name, (event) => {
        lastId = event.lastEventId || lastId;
        handle(event);
      });
    on("tokens", (event) => answer.append(...JSON.parse(event.data).tokens));
    on("run-finished", () => over("That is all."));
    on("run-stopped", () => over("Stopped."));
    on("eventwire.progress", () => {});
    source.onopen = () => (state.textContent = "...");
    const own = source;
    source.onerror = () => {
      state.textContent = "The server is away.";
      // After an answer that is an error it does not come back by itself.
      if (own.readyState === EventSource.CLOSED && own === source) setTimeout(open, COME_BACK_MS);
    };
  };
  open();
}

function over(how) {
  source.close();
  stop.disabled = true;
  state.textContent = how;
}

const runOfAddress = () => decodeURIComponent(location.hash.slice(1));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answered = await fetch("/runs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: form.prompt.value }),
  }).catch(() => null);
  if (!answered?.ok) {
    state.textContent = answered ? await answered.text() : "The server is away.";
    return;
  }
  location.hash = (await answered.json()).run;
});

stop.addEventListener("click", () => fetch(`/runs/${runOfAddress()}/stop`, { method: "POST" }));
addEventListener("hashchange", () => runOfAddress() && follow(runOfAddress()));
if (runOfAddress()) follow(runOfAddress());
