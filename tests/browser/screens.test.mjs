// Every screen, as every person sees it: in both themes, on a desktop and on a phone.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person, SIZES, THEMES, isLight, isWellMade } from "./support/browser.mjs";
import { sees } from "./support/people.mjs";
import { screens, settled } from "./support/screens.mjs";

let world;
const people = new Map();

before(async () => {
  world = await settled();
});

after(async () => {
  for (const person of people.values()) await person.leave();
  await Person.everybodyLeaves();
  await world?.end();
});

async function person(role, id) {
  const who = `${role}/${id}`;
  if (!people.has(who)) people.set(who, await sees(world, role, id));
  return people.get(who);
}

/** When a page that was just opened could be used, in milliseconds. */
const interactiveAfter = (page) => page.evaluate(() => performance.getEntriesByType("navigation")[0].domInteractive);

test("every screen is accessible, fits its window, weighs little and stays at home", async (t) => {
  const waits = [];
  for (const [role, id, name, path] of screens(world)) {
    await t.test(`${role}: ${name}`, async () => {
      const { page } = await person(role, id);
      const url = new URL(path, world.hub);
      await isLight(page, url.href, name);
      waits.push(await interactiveAfter(page));
      assert.equal(new URL(page.url()).pathname, url.pathname, `${name} is shown, and nothing instead of it`);
      for (const colorScheme of THEMES) {
        for (const [size, viewport] of Object.entries(SIZES)) {
          await page.emulateMedia({ colorScheme });
          await page.setViewportSize(viewport);
          await isWellMade(page, `${name} (${size}, ${colorScheme})`);
        }
      }
    });
  }
  // The median, because another program may have the machine for a moment.
  const median = waits.sort((a, b) => a - b)[Math.floor(waits.length / 2)];
  assert.ok(median < 200, `interactive after ${median} ms`);
});
