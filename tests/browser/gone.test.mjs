// The hub is gone while its pages are open, and comes back.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { GONE, Person, PROBLEMS } from "./support/browser.mjs";
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

const lost = (page) => page.getByText("The connection to the Hub is lost.");

test("a page says that the hub is gone, keeps what is typed, and goes on by itself once it is back", async () => {
  const creator = await signsIn(world, "creator", "kim");
  creator.tolerates = GONE;
  const { page: table } = creator;
  await table.evaluate(() => (window.sameAsBefore = true));
  const form = await creator.tab(`${world.hub}/creator/integrations/new/discord`);
  await form.getByLabel("Name").fill("The club");

  await world.killHub();
  await lost(table).waitFor();
  await form.getByRole("button", { name: "Continue" }).click();
  await form.getByRole("alert").filter({ hasText: "nothing was sent" }).waitFor();
  assert.equal(await form.getByLabel("Name").inputValue(), "The club");

  await world.startHub();
  await form.getByRole("button", { name: "Continue" }).click();
  await form.getByRole("heading", { name: "Connect your Discord" }).waitFor();
  await table.getByRole("link", { name: "The club", exact: true }).waitFor();
  await lost(table).waitFor({ state: "hidden" });
  assert.ok(await table.evaluate(() => window.sameAsBefore), "the table was not loaded again");
  assert.equal((await world.integrations("kim")).length, 1);
  await creator.leave();
});

test("who was being brought in when the hub went is in once it is back, on the same page", async () => {
  const [owner, ada] = [await world.account("lee"), await world.account("ada")];
  const house = await world.server("Lee's House", owner, [{ name: "Gold" }]);
  await world.tier("lee", "gold", "Gold");
  await world.integration("lee", "The house", house, owner, { gold: ["Gold"] });
  await world.links("ada", ada);
  const fan = await signsIn(world, "fan", "ada");
  fan.tolerates = new RegExp(`${GONE.source}|${PROBLEMS.source}`);
  const { page } = fan;
  await page.evaluate(() => (window.sameAsBefore = true));
  await world.control("POST", "/faults", { method: "PUT", path: "/guilds/*/members/*", times: 1000, action: { do: "error", status: 503 } });
  await world.membership("ada", "lee", "gold", 1);
  await page.getByText("In progress").waitFor();

  await world.killHub();
  await lost(page).waitFor();
  await world.control("DELETE", "/faults");
  await world.startHub();
  await page.getByText("Connected", { exact: true }).waitFor();
  await lost(page).waitFor({ state: "hidden" });
  assert.ok(await page.evaluate(() => window.sameAsBefore), "the page was not loaded again");
  await fan.leave();
});
