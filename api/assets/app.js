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

// Going through time: the slider moves the line over the picture, and asks for the moment where it rests.
for (const form of document.querySelectorAll("form[data-travel]")) {
  const slider = form.querySelector("input[type=range]");
  const stops = slider.dataset.stops.split(" ").map((stop) => stop.split(":").map(Number));
  const micros = (x) => {
    const near = stops.find(([at]) => Math.abs(at - x) < 0.35);
    if (near) return near[1];
    const next = stops.findIndex(([at]) => at > x);
    const [[x1, t1], [x2, t2]] = [stops[next - 1], stops[next]];
    return Math.round(t1 + ((x - x1) / (x2 - x1)) * (t2 - t1));
  };
  const iso = (time) => new Date(Math.floor(time / 1000)).toISOString().slice(0, -1);
  let asked, waiting;
  const ask = async (time) => {
    asked?.abort();
    asked = new AbortController();
    const query = new URLSearchParams(new FormData(form));
    query.set("at", `${iso(time)}${String(time % 1000).padStart(3, "0")}Z`);
    try {
      const answer = await fetch(`${form.dataset.travel}?${query}`, { signal: asked.signal });
      if (!answer.ok) return location.assign(`${form.action}?${query}`);
      document.getElementById("moment").innerHTML = await answer.text();
      history.replaceState(history.state, "", `${form.getAttribute("action")}?${query}`);
    } catch (error) {
      show("offline", error.name !== "AbortError");
    }
  };
  slider.addEventListener("input", () => {
    const time = micros(Number(slider.value));
    for (const line of document.querySelectorAll(".picture .at")) {
      line.setAttribute("x1", `${slider.value}%`);
      line.setAttribute("x2", `${slider.value}%`);
    }
    const shown = iso(time + 999999).slice(0, 19);
    slider.setAttribute("aria-valuetext", `${shown.replace("T", " ")} UTC`);
    form.elements.at.value = shown;
    clearTimeout(waiting);
    waiting = setTimeout(ask, 60, time);
  });
  // From change to change by the keys that would otherwise go a thousandth further.
  slider.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!way || stops.length < 3) return;
    const at = Number(slider.value);
    const next = way > 0 ? stops.find(([x]) => x > at + 0.2) : stops.findLast(([x]) => x < at - 0.2);
    event.preventDefault();
    slider.value = next ? next[0] : at;
    slider.dispatchEvent(new Event("input"));
  });
  slider.hidden = false;
}

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
