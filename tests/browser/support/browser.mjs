// A real Chromium, and people in it whose every page is watched.

import assert from "node:assert/strict";

import { AXE, chromium } from "./tools.mjs";
import { PATIENCE } from "./world.mjs";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What a page may weigh with everything that it loads, in bytes, as sent. */
const WEIGHT = 150_000;

export const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
export const THEMES = ["light", "dark"];

/** The one browser of a process. */
let browser;

/** The browser, begun anew where it died: at its own start that says nothing of the pages. */
async function launched() {
  for (let tries = 3; !browser?.isConnected(); tries -= 1) {
    try {
      browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    } catch (error) {
      if (tries === 1) throw error;
    }
  }
  return browser;
}

/** What a browser says of an answer that is a problem, which is what the page is for. */
export const PROBLEMS = /Failed to load resource: the server responded with a status of 4/;

/** What a browser says of a server that is gone. */
export const GONE = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_SOCKET_NOT_CONNECTED|^\[object Event\]$/;

/** Somebody with a browser window of their own. */
export class Person {
  /** `allowed`: the origins that pages may speak to. `options`: Playwright's, as `javaScriptEnabled`. */
  static async arrive(allowed, options = {}) {
    const person = new Person();
    // What moves is measured only once it has come to rest.
    const usual = { viewport: SIZES.desktop, reducedMotion: "reduce" };
    person.context = await (await launched()).newContext({ ...usual, ...options });
    person.context.setDefaultTimeout(PATIENCE);
    person.page = await person.context.newPage();
    person.complaints = [];
    person.allowed = allowed;
    person.watch(person.page);
    return person;
  }

  /** Opens one more tab. */
  async tab(url) {
    const page = await this.context.newPage();
    this.watch(page);
    await page.goto(url);
    return page;
  }

  /** Notes what no page may do: errors on the console, and requests to elsewhere. */
  watch(page) {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !this.tolerates?.test(message.text())) {
        this.complaints.push(`console ${message.type()}: ${message.text()}`);
      }
    });
    page.on("pageerror", (error) => this.complaints.push(`uncaught: ${error.message}`));
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (!["data:", "blob:"].includes(protocol) && !this.allowed.includes(origin)) {
        this.complaints.push(`request to elsewhere: ${request.url()}`);
      }
    });
  }

  static async everybodyLeaves() {
    await browser?.close();
    browser = undefined;
  }

  async leave() {
    await this.context.close();
    assert.deepEqual(this.complaints, []);
  }
}

/** Whether a page is as every page must be: accessible, and as wide as its window. */
export async function isWellMade(page, where) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
  assert.deepEqual(found, [], `${where} has accessibility violations`);
  await fits(page, where);
  assert.equal(await page.locator("h1").count(), 1, `${where} has one main heading`);
}

/** Whether a page is as wide as its window. */
export async function fits(page, where) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 0, `${where} is ${overflow}px wider than its window`);
}

/** What a page weighs with everything that it loads anew, in bytes, and after how many milliseconds it can be used. */
export async function cost(page, url) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  let bytes = 0;
  session.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
  const answer = await page.goto(url, { waitUntil: "load" });
  const interactive = await page.evaluate(() => performance.getEntriesByType("navigation")[0].domInteractive);
  await session.detach();
  return { bytes, interactive, status: answer.status() };
}

export async function isLight(page, url, where) {
  const { bytes, status } = await cost(page, url);
  assert.equal(status, 200, `${where} answers`);
  assert.ok(bytes < WEIGHT, `${where} weighs ${bytes} bytes`);
}
