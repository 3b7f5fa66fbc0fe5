// What happens on Discord or in the Hub shows on the pages that are open, without loading them again.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person } from "./support/browser.mjs";
import { drags, ladder, opens } from "./support/discord.mjs";
import { signsIn } from "./support/people.mjs";
import { World } from "./support/world.mjs";

let world;

before(async () => {
  world = await World.start();
});

after(async () => {
  await Person.everybodyLeaves();
  await world?.end();
});

/** Marks a page; answers a question whether it is still the same one. */
async function marked(page) {
  await page.evaluate(() => (window.sameAsBefore = true));
  return () => page.evaluate(() => window.sameAsBefore === true);
}

/** Lets Discord take its time over the next join, so that what comes before it can be seen. */
const slowly = () => world.control("POST", "/faults", { method: "PUT", path: "/guilds/*/members/*", action: { do: "delay", ms: 700 } });

test("the role list of the set-up follows a drag in Discord", async () => {
  const kim = await world.account("kim");
  const club = await world.server("Kim's Club", kim, [{ name: "Silver" }, { name: "Gold", color: 0xd4a017 }]);
  const id = await world.connected("kim", "The club", club, kim);

  const creator = await signsIn(world, "creator", "kim");
  const { page } = creator;
  await page.goto(`${world.hub}/creator/integrations/${id}/roles`);
  await page.getByText("The bot stands too low").waitFor();
  const isSame = await marked(page);
  const discord = await opens(creator, world, club);
  const bot = (await ladder(discord)).find((name) => !["Silver", "Gold", "@everyone"].includes(name));

  await drags(discord, bot, "Gold");
  await page.getByText("The bot stands high enough").waitFor();
  assert.deepEqual(await page.locator(".ladder .role bdi").allTextContents(), [bot, "Gold", "Silver", "@everyone"]);

  await drags(discord, "Gold", bot);
  await page.getByText("1 role can be given").waitFor();
  const gold = page.locator(".ladder li").filter({ hasText: "Gold" });
  await gold.getByText("Above the bot").waitFor();
  assert.ok(await isSame());
  await creator.leave();
});

test("a creator's table and a fan's page follow a fan on the way in and out", async () => {
  const [owner, ada] = [await world.account("lee"), await world.account("ada")];
  const house = await world.server("Lee's House", owner, [{ name: "Gold" }]);
  await world.tier("lee", "gold", "Gold");
  const id = await world.integration("lee", "The house", house, owner, { gold: ["Gold"] });
  const creator = await signsIn(world, "creator", "lee");
  const fan = await signsIn(world, "fan", "ada");
  const isSame = await Promise.all([marked(creator.page), marked(fan.page)]);
  const row = creator.page.locator(`#row-${id}`);
  const access = fan.page.locator(`#access-ada-gold-${id}`);
  await row.getByText("No fans yet").waitFor();
  await fan.page.getByText("No memberships yet").waitFor();

  await world.membership("ada", "lee", "gold", 1);
  await access.getByText("Connect your Discord account to get in.").waitFor();
  await slowly();
  await world.links("ada", ada);
  await Promise.all([row.getByText("1 pending").waitFor(), access.getByText("In progress").waitFor()]);
  await Promise.all([row.getByText("1 connected").waitFor(), access.getByText("Connected", { exact: true }).waitFor()]);

  await world.membership("ada", "lee", "gold", 2, "expired");
  await Promise.all([row.getByText("No fans yet").waitFor(), access.getByText("Ended").waitFor()]);
  for (const same of isSame) assert.ok(await same());
  await creator.leave();
  await fan.leave();
});

test("how many removals wait for a creator stands in the navigation, and goes with the decision", async () => {
  const owner = await world.account("pia");
  const place = await world.server("Pia's Place", owner, [{ name: "Gold" }]);
  await world.tier("pia", "gold", "Gold");
  const id = await world.integration("pia", "The place", place, owner, { gold: ["Gold"] });
  await world.membership("finn", "pia", "gold", 1);
  await world.links("finn", await world.account("finn"));
  await world.stands("finn", id, "connected");
  await world.api("PATCH", `/v1/integrations/${id}`, { removal_limit: { fans: 0, percent: 100 } });
  const creator = await signsIn(world, "creator", "pia");
  const { page } = creator;
  const isSame = await marked(page);
  const approvals = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Approvals/ });
  await page.getByText("1 connected").waitFor();
  assert.equal((await approvals.innerText()).trim(), "Approvals");

  await world.api("DELETE", `/v1/integrations/${id}/memberships/gold`);
  await page.getByText("1 waits for your approval").waitFor();
  await approvals.getByText("1 new").waitFor();
  assert.ok(await isSame());
  await page.locator(`#open-${id}`).click();
  await page.getByRole("link", { name: "Review the removal" }).click();
  await page.getByRole("button", { name: "Approve the removal" }).click();
  await approvals.getByText("new").waitFor({ state: "hidden" });
  await creator.leave();
});

test("the screen after a purchase goes from the confirmation to being in by itself", async () => {
  const [owner, ben] = [await world.account("max"), await world.account("ben")];
  const place = await world.server("Max's Place", owner, [{ name: "Gold" }]);
  await world.tier("max", "gold", "Gold");
  await world.integration("max", "The place", place, owner, { gold: ["Gold"] });
  const fan = await signsIn(world, "fan", "ben", {}, { page: "welcome", membership: "ben-gold" });
  const { page } = fan;
  const isSame = await marked(page);
  await page.getByRole("heading", { name: "Your purchase is being confirmed" }).waitFor();
  await world.membership("ben", "max", "gold", 1);
  await page.getByRole("heading", { name: "One step to get in" }).waitFor();
  await slowly();
  await world.links("ben", ben);
  await page.getByRole("heading", { name: "You are being brought in" }).waitFor();
  await page.getByRole("heading", { name: "You are in" }).waitFor();
  assert.ok(await isSame());
  await fan.leave();
});

test("a fan sees what a creator gives by hand, and can leave it", async () => {
  const [owner, cleo] = [await world.account("nia"), await world.account("cleo")];
  const studio = await world.server("Nia's Studio", owner, [{ name: "Guest" }]);
  await world.tier("nia", "pass", "Day pass");
  const id = await world.integration("nia", "The studio", studio, owner, { pass: ["Guest"] });
  await world.links("cleo", cleo);
  const fan = await signsIn(world, "fan", "cleo");
  const { page } = fan;
  const isSame = await marked(page);
  await page.getByText("No memberships yet").waitFor();
  const { roles } = await world.guild(studio);
  const guest = Object.values(roles).find((role) => role.name === "Guest").id;
  await world.api("PUT", `/v1/integrations/${id}/grants/cleo`, { roles: [guest], until: "2100-01-01T00:00:00Z" });

  const given = page.getByRole("region", { name: "Given to you" });
  await given.getByText("by nia").waitFor();
  await given.getByText("Access until").waitFor();
  await given.getByText("Guest").waitFor();
  assert.ok(await isSame());
  // Who never held a membership of the creator is brought in by themselves alone.
  await given.getByRole("button", { name: "Activate for The studio" }).click();
  await given.getByText("Connected", { exact: true }).waitFor();

  // A membership that is over does not pass for what gives access.
  await world.membership("cleo", "nia", "pass", 1, "expired");
  await page.locator(`#access-cleo-pass-${id}`).getByText("Ended").waitFor();
  assert.ok(await given.getByText("Connected", { exact: true }).isVisible());

  await given.getByRole("link", { name: "Leave The studio" }).click();
  await page.getByRole("button", { name: "Leave" }).click();
  await page.getByRole("button", { name: "Activate for The studio" }).waitFor();
  await fan.leave();
});

test("how much is new stands in the navigation, and goes with what was read", async () => {
  const owner = await world.account("oli");
  const first = await world.server("Oli's First", owner, [{ name: "Gold" }]);
  const second = await world.server("Oli's Second", owner, [{ name: "Gold" }]);
  await world.tier("oli", "gold", "Gold");
  await world.integration("oli", "The first", first, owner, { gold: ["Gold"] });
  await world.membership("dora", "oli", "gold", 1);
  await world.links("dora", await world.account("dora"));
  const fan = await signsIn(world, "fan", "dora");
  const { page } = fan;
  const isSame = await marked(page);
  const notifications = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Notifications/ });
  assert.equal((await notifications.innerText()).trim(), "Notifications");

  await world.integration("oli", "The second", second, owner, { gold: ["Gold"] });
  await notifications.getByText("1 new").waitFor();
  assert.ok(await isSame());
  await notifications.click();
  await page.getByText("The second is waiting for you.").waitFor();
  await notifications.getByText("1 new").waitFor();
  await page.getByRole("button", { name: "Mark as read" }).click();
  await notifications.getByText("new").waitFor({ state: "hidden" });
  await fan.leave();
});
