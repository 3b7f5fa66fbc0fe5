// The main job by the keyboard alone: Tab, Enter, Space, Escape and the arrow keys.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person, PROBLEMS } from "./support/browser.mjs";
import { Keyboard } from "./support/keyboard.mjs";
import { signsIn } from "./support/people.mjs";
import { World } from "./support/world.mjs";

let world, kim, club;

before(async () => {
  world = await World.start();
  kim = await world.account("kim");
  club = await world.server("Kim's Club", kim, [{ name: "Silver" }, { name: "Gold", color: 0xd4a017 }]);
  await world.tier("kim", "gold", "Gold");
});

after(async () => {
  await Person.everybodyLeaves();
  await world?.end();
});

/** Allows what Discord asks, as the account whose name begins so. */
async function allows(keyboard, name) {
  const { page } = keyboard;
  await page.waitForURL(/\/oauth2\/authorize/);
  await keyboard.reach(page.getByLabel("Signed in as"));
  await page.keyboard.type(name);
  await keyboard.follow(page.getByRole("button", { name: "Authorize" }));
}

test("a creator sets up and changes an integration by the keyboard alone", async () => {
  const creator = await signsIn(world, "creator", "kim");
  creator.tolerates = PROBLEMS;
  const c = creator.page;
  const k = new Keyboard(c);

  await k.arrive("Integrations");
  await k.follow(c.getByRole("link", { name: "Add your first integration" }));
  await k.arrive("Add integration");
  await k.follow(c.getByRole("main").getByRole("link", { name: /Discord/ }));
  await k.arrive("Name the integration");
  assert.ok(await k.has(c.getByLabel("Name")), "the one field has the focus");
  await c.keyboard.type("   ");
  await k.press("Enter");
  await c.getByText("Give it a name").waitFor();
  assert.ok(await k.has(c.getByLabel("Name")), "the field with the fault has the focus");
  await k.press("Control+A");
  await c.keyboard.type("The club");
  await k.press("Enter");
  await k.arrive("Connect your Discord");
  await k.follow(c.getByRole("link", { name: "Connect your Discord" }));
  await allows(k, "kim");

  await k.arrive("Let the bot give your roles");
  const refresh = c.getByRole("button", { name: "Refresh Roles" });
  await k.reach(refresh);
  await world.liftBot(club);
  await c.getByText("The bot stands high enough").waitFor();
  assert.ok(await k.has(refresh), "what is shown anew while it has the focus keeps it");
  await k.press("Enter");
  await c.getByText(/Roles are up to date|Nothing has changed/).waitFor();
  assert.ok(await k.has(c.locator("#told")), "the page begins at what came of it");
  await k.arrive("Let the bot give your roles");
  await k.follow(c.getByRole("link", { name: "Continue to memberships" }));

  await k.arrive("Memberships");
  const tier = c.getByRole("group", { name: "Gold", exact: true }).getByRole("checkbox").first();
  await k.reach(tier);
  await k.press("Space");
  assert.ok(!(await tier.isChecked()));
  await k.press("Space");
  assert.ok(await tier.isChecked());
  await k.follow(c.getByRole("group", { name: "Roles of Gold" }).getByRole("checkbox", { name: "Silver" }), "Space");
  await k.follow(c.getByRole("button", { name: "Review changes" }));
  await k.arrive("Review the change");
  await k.follow(c.getByRole("button", { name: "Finish the set-up" }));
  await k.arrive("The club");
  await c.getByText("You are all set").waitFor();
  assert.match(await c.evaluate(() => document.activeElement.textContent), /You are all set/);
  for (const inline of await c.locator(".card-head > a").all()) {
    assert.ok((await inline.boundingBox()).height >= 24, "what is pressed is tall enough");
  }

  await k.follow(c.getByRole("link", { name: "Settings" }));
  await c.waitForURL(/\/settings$/);
  await k.arrive("The club");
  await k.reach(c.getByRole("radio", { name: /remove from the server/ }));
  await k.press("ArrowDown");
  const rolesOnly = c.getByRole("radio", { name: /roles only/ });
  assert.ok(await k.has(rolesOnly));
  await k.seesTheFocus();
  await k.follow(c.getByRole("button", { name: "Save" }));
  await c.getByText("Saved", { exact: true }).waitFor();
  await k.arrive("The club");
  assert.ok(await rolesOnly.isChecked());

  const [{ memberships }] = await world.integrations("kim");
  assert.deepEqual(memberships.map(({ tier, roles }) => [tier, roles.length]), [["gold", 2]]);
  await creator.leave();
});

test("a fan connects Discord by the keyboard alone, and keeps a place when the page changes under it", async () => {
  const owner = await world.account("lee");
  await world.account("ada");
  const house = await world.server("Lee's House", owner, [{ name: "Gold" }]);
  await world.tier("lee", "gold", "Gold");
  await world.integration("lee", "The house", house, owner, { gold: ["Gold"] });
  await world.membership("ada", "lee", "gold", 1);

  const fan = await signsIn(world, "fan", "ada", {}, { page: "welcome", membership: "ada-gold" });
  const f = fan.page;
  const k = new Keyboard(f);
  await k.arrive("Welcome to Gold");
  await k.follow(f.getByRole("link", { name: "Connect Discord" }));
  await allows(k, "ada");
  await k.arrive("Welcome to Gold");
  await f.getByRole("heading", { name: "You are in" }).waitFor();
  await k.reach(f.getByRole("link", { name: /Open in Discord/ }));
  await k.follow(f.getByRole("link", { name: "See all your memberships" }));
  await k.arrive("Your memberships");

  // What was just done is said where the page begins, and the keyboard goes on from there.
  await k.follow(f.getByRole("link", { name: /Leave/ }));
  await k.follow(f.getByRole("button", { name: "Leave" }));
  await k.follow(f.getByRole("button", { name: "Activate for The house" }));
  await f.getByText("Activated. You are being brought in.").waitFor();
  assert.match(await f.evaluate(() => document.activeElement.textContent), /^Activated/);
  await k.press("Tab");
  assert.ok(await f.evaluate(() => document.querySelector("main").contains(document.activeElement)));

  // What has the focus goes away by itself.
  await k.reach(f.getByRole("link", { name: /Leave/ }));
  await world.membership("ada", "lee", "gold", 2, "expired");
  await f.getByRole("link", { name: /Leave/ }).waitFor({ state: "detached" });
  const place = await f.evaluate(() => document.activeElement.id);
  assert.equal(place, "memberships", "the focus stays in the part of the page that changed");
  await fan.leave();
});

test("a menu closes by Escape and gives the focus back", async () => {
  const creator = await signsIn(world, "creator", "kim");
  const c = creator.page;
  const k = new Keyboard(c);
  const account = c.locator("summary").filter({ hasText: "kim" });
  await k.follow(account);
  const signOut = c.getByRole("button", { name: "Sign out" });
  await k.reach(signOut);
  await k.press("Escape");
  await signOut.waitFor({ state: "hidden" });
  assert.ok(await k.has(account));
  await k.seesTheFocus();
  await k.press("Space");
  await k.follow(signOut);
  await k.arrive("You are signed out");
  await creator.leave();
});

test("a dialog closes by Escape and gives the focus back", async () => {
  const anybody = await Person.arrive([new URL(world.hub).origin]);
  const page = anybody.page;
  await page.goto(`${world.hub}/design`);
  const k = new Keyboard(page);
  const opens = page.getByRole("button", { name: "Disconnect…" });
  await opens.focus();
  await k.press("Enter");
  const keep = page.getByRole("button", { name: "Keep it" });
  await keep.waitFor();
  assert.ok(await k.has(keep), "a dialog begins where nothing is lost");
  await k.seesTheFocus();
  await k.press("Escape");
  await keep.waitFor({ state: "hidden" });
  assert.ok(await k.has(opens));
  await anybody.leave();
});
