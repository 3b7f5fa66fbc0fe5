// What the pages do beyond HTML. Every page works without this file, but for live updates.

// A form is sent once, however often its button is pressed. Coming back to the page makes it usable again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  const button = event.submitter ?? form.querySelector("button:not([type=button])");
  button?.setAttribute("aria-busy", "true");
});

addEventListener("pageshow", (event) => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  if (event.persisted) reconnect();
});

// The page behind a sign-in link goes on by itself, but not for a browser that only looks ahead.
function goOn() {
  document.querySelector("form[data-auto]")?.requestSubmit();
}
if (document.prerendering) document.addEventListener("prerenderingchange", goOn, { once: true });
else goOn();

// Times as they are where the reader is.
const zone = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    time.textContent = zone.format(new Date(time.dateTime));
  }
}
localTimes(document);
document.addEventListener("htmx:afterSettle", (event) => localTimes(event.target));

// What was just done is said once: reloading the page does not say it again.
const here = new URL(location.href);
const said = ["done", "status", "error", "since"].filter((name) => here.searchParams.has(name));
if (said.length) {
  for (const name of said) here.searchParams.delete(name);
  history.replaceState(history.state, "", here);
}
setTimeout(() => document.querySelector(".toast")?.remove(), 8000);

// Live regions. A browser opens few connections to one place, so a tab that nobody looks at gives its own back.
const sources = new Set();
htmx.createEventSource = (url) => {
  const source = new EventSource(url);
  sources.add(source);
  return source;
};
function reconnect() {
  for (const source of sources) source.close();
  sources.clear();
  for (const region of document.querySelectorAll("[sse-connect]")) {
    const again = region.cloneNode(true);
    region.replaceWith(again);
    htmx.process(again);
  }
}
let leaving;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    leaving = setTimeout(() => {
      for (const source of sources) source.close();
      leaving = undefined;
    }, 20000);
  } else if (leaving) {
    clearTimeout(leaving);
    leaving = undefined;
  } else if (sources.size) {
    reconnect();
  }
});

// Whether the page still hears from the Hub.
const banner = (name) => document.querySelector(`[data-banner="${name}"]`);
const show = (name, shown) => banner(name)?.toggleAttribute("hidden", !shown);
document.addEventListener("htmx:sseError", () => show("offline", true));
document.addEventListener("htmx:sseOpen", () => show("offline", false));
document.addEventListener("htmx:sseClose", (event) => {
  if (event.detail.type === "message") show("ended", true);
});
