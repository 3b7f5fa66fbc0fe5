// What the pages do beyond HTML. Every page works without this file, but for live updates.

const banner = (name) => document.querySelector(`[data-banner="${name}"]`);
const show = (name, shown) => banner(name)?.toggleAttribute("hidden", !shown);

// A form is sent once, however often its button is pressed, and only while the Hub can be reached: a browser's own page
// about a server that is gone would take what was typed away.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent === "reached") return void (form.dataset.sent = "yes");
  event.preventDefault();
  if (form.dataset.sent) return;
  form.dataset.sent = "asking";
  const button = event.submitter ?? form.querySelector("button:not([type=button])");
  button?.setAttribute("aria-busy", "true");
  const reached = await fetch("/healthz", { cache: "no-store" }).catch(() => undefined);
  show("unsent", !reached);
  if (reached) {
    form.dataset.sent = "reached";
    form.requestSubmit(event.submitter);
  } else {
    usable();
    banner("unsent")?.scrollIntoView({ block: "nearest" });
  }
});

function usable() {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
}

// Coming back to a page makes its forms usable again.
addEventListener("pageshow", (event) => {
  usable();
  if (event.persisted) reconnect();
});

// Of tabs that do not fit, the one that is shown is in view. `scrollIntoView` would begin the order of the focus there.
const tab = document.querySelector(".tabs [aria-current]");
if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 48;

// The menu closes as menus do.
const menu = document.querySelector("details.account");
document.addEventListener("click", (event) => {
  if (!menu?.contains(event.target)) menu?.removeAttribute("open");
});
menu?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  menu.removeAttribute("open");
  menu.querySelector("summary").focus();
});

// A tier's own tick decides: without it none of its roles is ticked, and a role that is ticked ticks its tier.
document.addEventListener("change", ({ target }) => {
  const tier = target.closest(".tier");
  const own = tier?.querySelector("[name=tier]");
  if (!own) return;
  if (target !== own) {
    own.checked ||= target.checked;
    return;
  }
  for (const role of tier.querySelectorAll("[name=role]")) {
    if (!own.checked) role.dataset.was = role.checked ? "yes" : "";
    role.checked = own.checked && role.dataset.was === "yes";
  }
  if (own.checked) tier.querySelector("details")?.setAttribute("open", "");
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

// The page begins there: what was just done is heard, and a keyboard goes on from it.
const told = document.querySelector("[data-told]");
if (!document.querySelector("[autofocus]")) told?.focus();
setTimeout(() => {
  const toast = document.querySelector(".toast");
  if (toast && toast === document.activeElement) document.getElementById("content").focus({ preventScroll: true });
  toast?.remove();
}, 8000);

// How much is new stands in the navigation, which is not shown anew.
function count(much) {
  const counts = document.querySelector("[data-counts]");
  if (!counts || much === undefined) return;
  counts.hidden = much === "0";
  counts.querySelector("[data-number]").textContent = much;
}

// What is swapped in stays as it was left: what was opened is open, and where what had the focus is gone, the part of the
// page that it was in has it.
const left = new WeakMap();
document.addEventListener("htmx:sseBeforeMessage", ({ target: region }) => {
  const opened = [...region.querySelectorAll("details[open][id]")].map(({ id }) => id);
  left.set(region, { opened, focused: region.contains(document.activeElement) });
});
document.addEventListener("htmx:sseMessage", ({ target: region }) => {
  const { opened, focused } = left.get(region);
  count(region.querySelector("[data-count]")?.dataset.count);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (!focused || document.activeElement !== document.body) return;
  region.tabIndex = -1;
  region.focus({ preventScroll: true });
});

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
    // What the page was made with is not what it shows by now.
    again.setAttribute("sse-connect", region.getAttribute("sse-connect").replace(/have=[^&]*$/, ""));
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
document.addEventListener("htmx:sseError", () => show("offline", true));
document.addEventListener("htmx:sseOpen", () => show("offline", false));
document.addEventListener("htmx:sseClose", (event) => {
  if (event.detail.type === "message") show("ended", true);
});
