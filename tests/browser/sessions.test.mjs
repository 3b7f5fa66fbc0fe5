// Signing in by a link, and being signed out in the middle of things.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person, PROBLEMS, isWellMade } from "./support/browser.mjs";
import { places, signsIn } from "./support/people.mjs";
import { World } from "./support/world.mjs";

let world;

before(async () => {
  world = await World.start({ HUB_PLATFORM_NAME: "Fanbase", HUB_SUPPORT_EMAIL: "help@fanbase.example" });
});

after(async () => {
  await Person.everybodyLeaves();
  await world?.end();
});

const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();

test("who is signed out while typing signs in again and goes on with what was typed", async () => {
  const creator = await signsIn(world, "creator", "kim");
  creator.tolerates = PROBLEMS;
  const { page } = creator;
  await page.goto(`${world.hub}/creator/integrations/new/discord`);
  await page.getByLabel("Name").fill("<i>The club</i>");
  await world.signsOut("creator", "kim");
  await page.getByRole("button", { name: "Continue" }).click();

  await heading(page, "You are not signed in");
  await page.getByText("What you entered is kept").waitFor();
  await page.getByText("<i>The club</i>", { exact: true }).waitFor();
  await page.getByText("help@fanbase.example").waitFor();
  await isWellMade(page, "the page of somebody who is signed out");

  const again = await creator.tab(await world.signInLink("creator", "kim"));
  await heading(again, "Integrations");
  await page.getByRole("button", { name: "Send again" }).click();
  await heading(page, "This form is from an earlier sign-in");
  await page.getByText("<i>The club</i>", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Send again" }).click();
  await heading(page, "Connect your Discord");
  assert.deepEqual((await world.integrations("kim")).map(({ name }) => name), ["<i>The club</i>"]);
  await creator.leave();
});

test("who is signed out while choosing roles goes on with what was chosen", async () => {
  const owner = await world.account("lee");
  const club = await world.server("Lee's House", owner, [{ name: "Silver" }, { name: "Gold" }]);
  await world.tier("lee", "gold", "Gold");
  const id = await world.integration("lee", "The house", club, owner, {});
  const creator = await signsIn(world, "creator", "lee");
  creator.tolerates = PROBLEMS;
  const { page } = creator;
  await page.goto(`${world.hub}/creator/integrations/${id}/memberships`);
  await page.getByRole("group", { name: "Roles of Gold" }).getByRole("checkbox", { name: "Silver" }).setChecked(true);
  await world.signsOut("creator", "lee");
  await page.getByRole("button", { name: "Review changes" }).click();
  await heading(page, "You are not signed in");
  await heading(await creator.tab(await world.signInLink("creator", "lee")), "Integrations");
  await page.getByRole("button", { name: "Send again" }).click();
  await heading(page, "This form is from an earlier sign-in");
  await page.getByRole("button", { name: "Send again" }).click();
  await heading(page, "Review the change");
  await page.getByRole("button", { name: "Finish the set-up" }).click();
  await page.getByText("You are all set").waitFor();
  assert.equal((await world.integrations("lee"))[0].memberships[0].roles.length, 2);
  await creator.leave();
});

test("a page that is open says that it no longer changes once its reader is signed out", async () => {
  const fan = await signsIn(world, "fan", "ada");
  const { page } = fan;
  await heading(page, "Your memberships");
  await world.signsOut("fan", "ada");
  await world.tier("kim", "gold", "Gold");
  await world.membership("ada", "kim", "gold", 1);
  await page.getByText("You are signed out, so this page no longer updates.").waitFor();
  await fan.leave();
});

test("a sign-in link that was used says what to do, and leads on whom it has let in", async () => {
  const link = await world.signInLink("fan", "ben");
  const ben = await Person.arrive(places(world));
  ben.tolerates = PROBLEMS;
  await ben.page.goto(link);
  await heading(ben.page, "Your memberships");

  const somebody = await Person.arrive(places(world));
  somebody.tolerates = PROBLEMS;
  for (const useless of [link, `${world.hub}/sign-in/${"never-made".repeat(4)}`]) {
    await somebody.page.goto(useless);
    await heading(somebody.page, "This sign-in link has been used or is too old");
    await somebody.page.getByText("Open the Hub from Fanbase again to get a fresh one.").waitFor();
    await somebody.page.getByText("help@fanbase.example").waitFor();
  }
  await isWellMade(somebody.page, "the page about a sign-in link that was used");

  await ben.page.goto(link);
  await heading(ben.page, "This sign-in link has been used or is too old");
  await ben.page.getByRole("link", { name: "Go on" }).click();
  await heading(ben.page, "Your memberships");
  await ben.leave();
  await somebody.leave();
});
