// The small Discord in a browser: what is done there by hand, and what the Hub makes of it.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person } from "./support/browser.mjs";
import { drags, ladder, looksAt, opens, row } from "./support/discord.mjs";
import { chooses, signsIn } from "./support/people.mjs";
import { World, until } from "./support/world.mjs";

let world, club, id, creator, discord;

before(async () => {
  world = await World.start();
  const kim = await world.account("kim");
  club = await world.server("Kim's Club", kim, [{ name: "Helper" }, { name: "Silver" }, { name: "Gold", color: 0xd4a017 }]);
  await world.tier("kim", "gold", "Gold");
  id = await world.integration("kim", "The club", club, kim, { gold: ["Gold"] });
  for (const fan of ["ada", "ben"]) {
    await world.membership(fan, "kim", "gold", 1);
    await world.links(fan, await world.account(fan));
    await world.stands(fan, id, "connected");
  }
  creator = await signsIn(world, "creator", "kim");
  discord = await opens(creator, world, club);
});

after(async () => {
  await creator?.leave();
  await Person.everybodyLeaves();
  await world?.end();
});

/** How a fan stands, on the creator's page of the fan. */
async function standsOnThePage(fan, words) {
  const path = `/creator/integrations/${id}/fans/${fan}`;
  if (!creator.page.url().endsWith(path)) await creator.page.goto(world.hub + path);
  await creator.page.locator("#standing .chip").first().filter({ hasText: words }).waitFor();
}

test("a role is moved by dragging it, and by keys", async () => {
  const bot = (await ladder(discord))[0];
  assert.deepEqual(await ladder(discord), [bot, "Gold", "Silver", "Helper", "@everyone"]);
  await drags(discord, "Helper", "Gold");
  await until("Helper stands above Gold", async () => (await ladder(discord)).join() === [bot, "Helper", "Gold", "Silver", "@everyone"].join());

  const down = row(discord, "Helper").getByRole("button", { name: /down$/ });
  await down.focus();
  for (const expected of [[bot, "Gold", "Helper", "Silver"], [bot, "Gold", "Silver", "Helper"]]) {
    await discord.keyboard.press("Enter");
    await until("Helper goes down", async () => (await ladder(discord)).join() === [...expected, "@everyone"].join());
    assert.ok(await down.evaluate((button) => button === document.activeElement), "the button that moved keeps the focus");
  }
  assert.equal(await down.getAttribute("aria-disabled"), "true", "it cannot go below everyone");
});

test("a member is looked at by keys, and the card closes by Escape and gives the focus back", async () => {
  const ada = discord.locator("#members").getByRole("link", { name: "ada" });
  await ada.focus();
  await discord.keyboard.press("Enter");
  const title = discord.locator("#card-title");
  await title.waitFor();
  await until("the card has the focus", () => title.evaluate((element) => element === document.activeElement));
  await discord.keyboard.press("Escape");
  await title.waitFor({ state: "detached" });
  await until("the member has the focus", () => ada.evaluate((element) => element === document.activeElement));
});

test("a card that is opened while the page is read anew stays open", async () => {
  const address = discord.url();
  let goOn;
  const opened = new Promise((resolve) => (goOn = resolve));
  const asked = discord.waitForRequest(address);
  await discord.route(address, async (route) => (await opened, route.continue()), { times: 1 });
  await world.account("zoe");
  await asked;
  const card = await looksAt(discord, "ada");
  const again = discord.waitForResponse(discord.url());
  goOn();
  await again;
  await card.getByRole("heading", { name: "ada" }).waitFor();
  await discord.keyboard.press("Escape");
  await card.waitFor({ state: "detached" });
});

test("a role given by hand is the server's own, and one of the Hub's taken by hand is given again", async () => {
  const card = await looksAt(discord, "ada");
  await chooses(card.getByLabel("A role to give"), "Helper");
  await card.getByRole("button", { name: "Give" }).click();
  await card.locator(".pill").filter({ hasText: "Helper" }).waitFor();
  await standsOnThePage("ada", "Connected");

  const calls = discord.locator("#feed .call").filter({ hasText: "Gold" });
  const before = await calls.count();
  await card.getByRole("button", { name: /Take .*Gold/ }).click();
  await calls.nth(before).waitFor();
  await card.locator(".pill").filter({ hasText: "Gold" }).waitFor();
  await standsOnThePage("ada", "Connected");
});

test("who is kicked has to come back by themselves, and who is banned cannot", async () => {
  await (await looksAt(discord, "ada")).getByRole("button", { name: "Kick" }).click();
  await standsOnThePage("ada", "Waiting for the fan");
  const fan = await signsIn(world, "fan", "ada");
  await fan.page.getByRole("button", { name: "Restore access for The club" }).click();
  await fan.page.getByText("Connected", { exact: true }).waitFor();
  await discord.locator("#members").getByRole("link", { name: "ada" }).waitFor();
  await standsOnThePage("ada", "Connected");

  // A bot without the right to ban is not told of bans: it sees that somebody is gone, and hears the rest when it tries.
  await (await looksAt(discord, "ada")).getByRole("button", { name: "Ban" }).click();
  await standsOnThePage("ada", "Waiting for the fan");
  await fan.page.getByRole("button", { name: "Restore access for The club" }).click();
  await standsOnThePage("ada", "Banned");
  await fan.page.getByText("Your Discord account is banned from this server.").waitFor();
  await discord.getByRole("button", { name: /Unban/ }).waitFor();
  await fan.leave();
});

test("a fault that is switched on is seen on the Hub's page, and what it hit is mended once it is off", async () => {
  await discord.getByLabel("Let something go wrong").selectOption("Fail every call with 503 until disarmed");
  await discord.getByRole("button", { name: "Arm", exact: true }).click();
  const disarm = discord.getByRole("button", { name: /^Disarm/ });
  await disarm.waitFor();
  await world.membership("cleo", "kim", "gold", 1);
  await world.account("cleo");
  await world.api("PUT", `/v1/memberships/ben-gold`, { fan: "ben", creator: "kim", tier: "gold", status: "expired", version: 2 });
  await standsOnThePage("ben", "Removing");
  await discord.locator("#feed .status").filter({ hasText: "503" }).first().waitFor();
  await disarm.click();
  await standsOnThePage("ben", "Ended");
  await discord.locator("#members").getByRole("link", { name: "ben" }).waitFor({ state: "detached" });
});

test("a role that Discord refuses to give needs the creator, whose page says why", async () => {
  const dora = await world.account("dora");
  await discord.getByLabel("Let something go wrong").selectOption("Refuse the next role twice: Missing Permissions");
  await discord.getByRole("button", { name: "Arm", exact: true }).click();
  await discord.getByRole("button", { name: /^Disarm/ }).waitFor();
  await creator.page.goto(`${world.hub}/creator/integrations`);
  await world.membership("dora", "kim", "gold", 1);
  await world.links("dora", dora);
  await creator.page.locator(`#row-${id}`).getByText("Needs attention", { exact: true }).waitFor();
  await creator.page.getByRole("link", { name: "See what to fix for The club" }).click();
  await creator.page.locator("#overview .notice.warn").first().waitFor();
});
