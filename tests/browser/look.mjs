// Takes a picture of every screen into a folder: `node tests/browser/look.mjs FOLDER`.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { Person, SIZES, THEMES } from "./support/browser.mjs";
import { screens, settled } from "./support/screens.mjs";
import { signsIn } from "./support/people.mjs";

const folder = process.argv[2] ?? "target/screens";
await mkdir(folder, { recursive: true });
const world = await settled();
try {
  const people = new Map();
  for (const [role, id, name, path] of screens(world)) {
    const who = `${role}/${id}`;
    if (!people.has(who)) people.set(who, await signsIn(world, role, id));
    const { page } = people.get(who);
    for (const theme of THEMES) {
      for (const [size, viewport] of Object.entries(SIZES)) {
        await page.emulateMedia({ colorScheme: theme });
        await page.setViewportSize(viewport);
        const answer = await page.goto(world.hub + path);
        if (!answer.ok()) console.log(`${path} answered ${answer.status()}`);
        await page.screenshot({ path: join(folder, `${role}-${name}-${size}-${theme}.png`), fullPage: true });
      }
    }
  }
} finally {
  await Person.everybodyLeaves();
  await world.end();
}
