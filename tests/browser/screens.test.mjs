// Every screen, as every person sees it: in both themes, on a desktop and on a phone.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person, SIZES, THEMES, isLight, isWellMade } from "./support/browser.mjs";
import { signsIn } from "./support/people.mjs";
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
  if (!people.has(who)) people.set(who, await signsIn(world, role, id));
  return people.get(who);
}

test("every screen is accessible, fits its window, weighs little and stays at home", async (t) => {
  for (const [role, id, name, path] of screens(world)) {
    await t.test(`${role}: ${name}`, async () => {
      const { page } = await person(role, id);
      for (const colorScheme of THEMES) {
        for (const [size, viewport] of Object.entries(SIZES)) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          await page.setViewportSize(viewport);
          const answer = await page.goto(world.hub + path);
          assert.equal(answer.status(), 200, path);
          assert.equal(new URL(page.url()).pathname, new URL(world.hub + path).pathname);
          await isWellMade(page, `${name} (${size}, ${colorScheme})`);
        }
      }
      await isLight(page, world.hub + path, name);
    });
  }
});
