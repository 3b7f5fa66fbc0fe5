// Takes pictures of the screens.
//
//   node tests/browser/look.mjs                the main ones, for the documentation
//   node tests/browser/look.mjs --all FOLDER   every one, in both themes, on a desktop and on a phone

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Person, SIZES, THEMES } from "./support/browser.mjs";
import { sees } from "./support/people.mjs";
import { screens, settled } from "./support/screens.mjs";

const MAIN = ["integrations", "overview", "roles", "add-membership", "fans", "memberships", "welcome", "access", "explain", "status"];

const all = process.argv[2] === "--all";
const folder = all ? process.argv[3] : fileURLToPath(new URL("../../docs/screens", import.meta.url));
await mkdir(folder, { recursive: true });
const world = await settled({ hostile: all });
try {
  const people = new Map();
  for (const [role, id, name, path] of screens(world).filter(([, , name]) => all || MAIN.includes(name))) {
    const who = `${role}/${id}`;
    if (!people.has(who)) people.set(who, await sees(world, role, id));
    const { page } = people.get(who);
    for (const colorScheme of all ? THEMES : ["light"]) {
      for (const [size, viewport] of Object.entries(all ? SIZES : { desktop: SIZES.desktop })) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        await page.goto(new URL(path, world.hub).href);
        const file = all ? `${role}-${name}-${size}-${colorScheme}.png` : `${role}-${name}.png`;
        await page.screenshot({ path: join(folder, file), fullPage: all });
      }
    }
  }
} finally {
  await Person.everybodyLeaves();
  await world.end();
}
