// `hub demo` by clicks: its start page stands for the platform, and the small Discord is beside it.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person, SIZES, THEMES, isWellMade } from "./support/browser.mjs";
import { allows, places } from "./support/people.mjs";
import { World } from "./support/world.mjs";

let world, reader, discord;

before(async () => {
  world = await World.demo();
  reader = await Person.arrive(places(world));
  await reader.page.goto(world.hub);
  const [opened] = await Promise.all([
    reader.context.waitForEvent("page"),
    reader.page.getByRole("link", { name: "Open the Discord sandbox" }).click(),
  ]);
  discord = opened;
  reader.watch(discord);
  await discord.getByRole("link", { name: "Kim's Club" }).first().click();
  await discord.locator("#members").waitFor();
});

after(async () => {
  await reader?.leave();
  await Person.everybodyLeaves();
  await world?.end();
});

const heading = (name) => reader.page.getByRole("heading", { level: 1, name }).waitFor();
const start = () => reader.page.goto(world.hub);
const member = (name) => discord.locator("#members").getByRole("link", { name });

test("the start page is well made", async () => {
  for (const colorScheme of THEMES) {
    for (const viewport of Object.values(SIZES)) {
      await reader.page.emulateMedia({ colorScheme });
      await reader.page.setViewportSize(viewport);
      await isWellMade(reader.page, "the start page of the demo");
    }
  }
  await reader.page.setViewportSize(SIZES.desktop);
});

test("a click signs in as each of its people", async () => {
  for (const [who, first] of [
    ["Kim", "Integrations"],
    ["Ada", "Your memberships"],
    ["Audrey", "Log"],
    ["Oscar", "Status"],
  ]) {
    await start();
    await reader.page.getByRole("button", { name: new RegExp(`^${who}\\b`) }).click();
    await heading(first);
  }
});

test("who buys a membership and connects Discord is in the server, and out once it ends", async () => {
  await start();
  await reader.page.getByRole("button", { name: "Buy Gold for Ben" }).click();
  await heading("Welcome to Gold");
  await reader.page.getByRole("link", { name: "Connect Discord" }).first().click();
  await allows(reader.page, await world.accountOf("ben"));
  await reader.page.getByRole("heading", { name: "You are in" }).waitFor();
  await discord.locator(".members").filter({ hasText: "ben" }).waitFor();
  assert.ok(await member("ben").isVisible());

  await start();
  await reader.page.getByRole("button", { name: "End it Gold for Ben" }).click();
  await reader.page.getByRole("button", { name: "Buy Gold for Ben" }).waitFor();
  await member("ben").waitFor({ state: "detached" });
});

test("who is connected already is let in by the purchase alone", async () => {
  await start();
  await reader.page.getByRole("button", { name: "Buy Gold for Ada" }).click();
  await heading("Welcome to Gold");
  await reader.page.getByRole("heading", { name: "You are in" }).waitFor();
  await member("ada").waitFor();
});
