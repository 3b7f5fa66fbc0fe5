// Somebody with a keyboard alone: the focus is never lost, and what has it can always be seen.

import assert from "node:assert/strict";

/** More presses of Tab than any page has stops. */
const STOPS = 60;

/** What has the focus, in words, and whether it can be seen. Runs inside the page. */
function focused() {
  const at = document.activeElement;
  if (!at || at === document.body) return { nothing: true };
  const box = at.getBoundingClientRect();
  const inView = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  const around = [at, at.parentElement, at.parentElement.parentElement];
  const look = () => around.map((element) => ["boxShadow", "outline", "borderColor"].map((name) => getComputedStyle(element)[name])).join();
  const with_ = look();
  at.blur();
  const without = look();
  at.focus({ preventScroll: true });
  const words = (at.getAttribute("aria-label") ?? at.innerText ?? at.name ?? "").trim().slice(0, 60);
  return { what: `${at.localName} “${words}”`, inView, marked: with_ !== without };
}

export class Keyboard {
  constructor(page) {
    this.page = page;
  }

  press(...keys) {
    return keys.reduce((before, key) => before.then(() => this.page.keyboard.press(key)), Promise.resolve());
  }

  /** Whether something has the focus. */
  has(what) {
    return what.evaluate((element) => element === document.activeElement);
  }

  async seesTheFocus() {
    const found = await this.page.evaluate(focused);
    assert.ok(!found.nothing, `the focus is lost on ${this.page.url()}`);
    assert.ok(found.inView, `${found.what} has the focus out of view on ${this.page.url()}`);
    assert.ok(found.marked, `nothing shows that ${found.what} has the focus on ${this.page.url()}`);
  }

  /** Goes on by Tab until something has the focus. */
  async reach(what) {
    await what.waitFor();
    for (let stop = 0; stop < STOPS; stop += 1) {
      await this.press("Tab");
      await this.seesTheFocus();
      if (await this.has(what)) return;
    }
    throw new Error(`${what} cannot be reached by Tab on ${this.page.url()}`);
  }

  /** Reaches something and presses it. */
  async follow(what, key = "Enter") {
    await this.reach(what);
    await this.press(key);
  }

  /** A page has come: its focus begins at the one field that it asks for, at what was just done, or at the way past its head. */
  async arrive(heading) {
    const title = this.page.getByRole("heading", { level: 1, name: heading });
    await title.waitFor();
    await this.page.waitForLoadState();
    if (await this.page.evaluate(() => document.activeElement.matches("[autofocus]"))) return this.seesTheFocus();
    if (await this.page.evaluate(() => document.activeElement.matches("[data-told]"))) return undefined;
    const skip = this.page.getByRole("link", { name: "Skip to content" });
    await this.press("Tab");
    assert.ok(await this.has(skip), `the first stop of “${heading}” leads past its head`);
    await this.seesTheFocus();
    await this.press("Enter");
    assert.ok(await this.has(this.page.getByRole("main")), `skipping leads to the content of “${heading}”`);
  }
}
