// What is done twice, undone by going back, or done in two tabs at once.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person, PROBLEMS } from "./support/browser.mjs";
import { allows, signsIn } from "./support/people.mjs";
import { World } from "./support/world.mjs";

let world;

before(async () => {
  world = await World.start();
});

after(async () => {
  await Person.everybodyLeaves();
  await world?.end();
});

/** A creator whose server is connected, and whose memberships are still to be added; answers the path of the set-up. */
async function connected(creator, tiers = ["Gold"]) {
  const owner = await world.account(creator);
  const roles = ["Silver", "Gold", "Backstage"].map((name) => ({ name }));
  const guild = await world.server(`${creator}'s club`, owner, roles);
  for (const tier of tiers) await world.tier(creator, tier.toLowerCase(), tier);
  const id = await world.integration(creator, "The club", guild, owner, {});
  return { id, owner, guild, memberships: `${world.hub}/creator/integrations/${id}/memberships` };
}

const role = (page, tier, name) => page.getByRole("group", { name: `Roles of ${tier}` }).getByRole("checkbox", { name });
const tier = (page, name) => page.getByRole("group", { name, exact: true }).getByRole("checkbox").first();
const review = (page) => page.getByRole("button", { name: "Review changes" }).click();

for (const javaScriptEnabled of [true, false]) {
  test(`a form that is sent twice is carried out once, ${javaScriptEnabled ? "with" : "without"} scripts`, async () => {
    const who = javaScriptEnabled ? "twice" : "twice-plain";
    const { id, memberships } = await connected(who);
    const creator = await signsIn(world, "creator", who, { javaScriptEnabled });
    const { page } = creator;
    const name = async (name) => {
      await page.goto(`${world.hub}/creator/integrations/new/discord`);
      await page.getByLabel("Name").fill(name);
    };

    await name("By two clicks");
    await page.getByRole("button", { name: "Continue" }).dblclick();
    await page.getByRole("heading", { name: "Connect your Discord" }).waitFor();
    await name("By two keys");
    await page.getByLabel("Name").focus();
    await Promise.all([page.keyboard.press("Enter"), page.keyboard.press("Enter")]);
    await page.getByRole("heading", { name: "Connect your Discord" }).waitFor();
    const known = (await world.integrations(who)).map(({ name }) => name);
    assert.deepEqual(known.sort(), ["By two clicks", "By two keys", "The club"]);

    await page.goto(memberships);
    await review(page);
    await page.getByRole("button", { name: "Finish the set-up" }).dblclick();
    await page.getByText(/You are all set|The change is applied/).waitFor();
    assert.equal(await world.recorded("MembershipAttached", id), 1);
    await creator.leave();
  });
}

test("going back in the set-up shows what was typed, and going on from there makes nothing twice", async () => {
  const owner = await world.account("back");
  const club = await world.server("The club", owner, [{ name: "Silver" }, { name: "Gold" }]);
  await world.tier("back", "gold", "Gold");
  const creator = await signsIn(world, "creator", "back");
  creator.tolerates = PROBLEMS;
  const { page } = creator;
  const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
  const known = async () => (await world.integrations("back")).map(({ name, status }) => [name, status]);

  await page.goto(`${world.hub}/creator/integrations/new/discord`);
  await page.getByLabel("Name").fill("The clubb");
  await page.getByRole("button", { name: "Continue" }).click();
  await heading("Connect your Discord");

  await page.goBack();
  await heading("Name the integration");
  assert.equal(await page.getByLabel("Name").inputValue(), "The clubb");
  await page.getByRole("button", { name: "Continue" }).click();
  await heading("Connect your Discord");
  assert.deepEqual(await known(), [["The clubb", "not_connected"]]);

  // Mending a name is not adding another integration.
  await page.goBack();
  await heading("Name the integration");
  await page.getByLabel("Name").fill("The club");
  await page.getByRole("button", { name: "Continue" }).click();
  await heading("Connect your Discord");
  assert.deepEqual(await known(), [["The club", "not_connected"]]);

  await page.getByRole("link", { name: "Connect your Discord" }).click();
  await allows(page, owner, club);
  await heading("Let the bot give your roles");

  // Discord was allowed already: its way back is used up, and says so.
  await page.goBack();
  await allows(page, owner, club);
  await heading("This way back from Discord cannot be used");
  assert.deepEqual(await known(), [["The club", "connected"]]);

  await page.goto(`${world.hub}/creator/integrations`);
  await page.getByRole("link", { name: /Add memberships/ }).click();
  await heading("Let the bot give your roles");
  await world.liftBot(club);
  await page.getByText("The bot stands high enough").waitFor();
  await page.getByRole("link", { name: "Continue to memberships" }).click();
  await heading("Memberships");
  await page.goBack();
  await heading("Let the bot give your roles");
  await page.goForward();
  await heading("Memberships");

  await tier(page, "Gold").setChecked(true);
  await role(page, "Gold", "Silver").setChecked(true);
  await review(page);
  await heading("Review the change");
  await page.goBack();
  await heading("Memberships");
  assert.ok(await role(page, "Gold", "Silver").isChecked(), "what was ticked is still ticked");
  await review(page);
  await heading("Review the change");
  await page.reload();
  await heading("Review the change");
  await page.getByRole("button", { name: "Finish the set-up" }).click();
  await page.getByText("You are all set").waitFor();

  // Going back over what is done: no page asks to send it again, and sending it again does nothing.
  await page.goBack();
  await heading("Review the change");
  await page.getByRole("button", { name: /Finish the set-up|Apply the change/ }).click();
  await page.getByText(/You are all set|The change is applied/).waitFor();
  const [{ id }] = await world.integrations("back");
  assert.equal(await world.recorded("MembershipAttached", id), 1);
  await creator.leave();
});

test("a page of the set-up that is long done leads on to where it stands", async () => {
  const { id } = await connected("late");
  const creator = await signsIn(world, "creator", "late");
  const { page } = creator;
  for (const step of ["connect", "connect/discord"]) {
    await page.goto(`${world.hub}/creator/integrations/${id}/${step}`);
    await page.getByRole("heading", { name: "Let the bot give your roles" }).waitFor();
  }
  await creator.leave();
});

test("of two tabs with the same review, the second hears what changed meanwhile and loses nothing", async () => {
  const { id, memberships } = await connected("tabs", ["Gold", "Silver"]);
  const creator = await signsIn(world, "creator", "tabs");
  creator.tolerates = PROBLEMS;
  const { page: first } = creator;
  const second = await creator.tab(memberships);
  await first.goto(memberships);

  await tier(first, "Silver").setChecked(false);
  await role(first, "Silver", "Silver").setChecked(false);
  await review(first);
  await first.getByRole("heading", { name: "Review the change" }).waitFor();
  await tier(second, "Gold").setChecked(false);
  await role(second, "Gold", "Gold").setChecked(false);
  await role(second, "Silver", "Backstage").setChecked(true);
  await review(second);
  await second.getByRole("heading", { name: "Review the change" }).waitFor();

  await first.getByRole("button", { name: "Finish the set-up" }).click();
  await first.getByText("You are all set").waitFor();
  await second.getByRole("button", { name: "Finish the set-up" }).click();
  await second.getByText("The integration has changed meanwhile").waitFor();
  const given = second.getByRole("main").getByText("Backstage");
  await given.waitFor();
  await second.getByRole("button", { name: "Apply the change" }).click();
  await second.getByText("The change is applied").waitFor();

  const [{ memberships: now }] = (await world.integrations("tabs")).filter((known) => known.id === id);
  assert.deepEqual(now.map(({ tier, roles }) => [tier, roles.length]).sort(), [["gold", 1], ["silver", 2]]);
  await creator.leave();
});

test("a choice that was begun before another tab changed things takes nothing of that change away", async () => {
  const { id, memberships } = await connected("begun", ["Gold", "Silver"]);
  const creator = await signsIn(world, "creator", "begun");
  creator.tolerates = PROBLEMS;
  const { page: first } = creator;
  const second = await creator.tab(memberships);
  await first.goto(memberships);

  await tier(first, "Silver").setChecked(false);
  await role(first, "Silver", "Silver").setChecked(false);
  await role(first, "Gold", "Backstage").setChecked(true);
  await review(first);
  await first.getByRole("button", { name: "Finish the set-up" }).click();
  await first.getByText("You are all set").waitFor();

  // The second tab knows nothing of Gold yet, and does not choose it.
  await tier(second, "Gold").setChecked(false);
  await role(second, "Gold", "Gold").setChecked(false);
  await review(second);
  await second.getByText("The integration has changed meanwhile").waitFor();
  await second.getByRole("button", { name: "Apply the change" }).click();
  await second.getByText("The change is applied").waitFor();
  const [{ memberships: now }] = (await world.integrations("begun")).filter((known) => known.id === id);
  assert.deepEqual(now.map(({ tier, roles }) => [tier, roles.length]).sort(), [["gold", 2], ["silver", 1]]);
  await creator.leave();
});

test("settings that another tab has saved meanwhile are not saved over, and what was typed stays", async () => {
  const { id } = await connected("settings");
  const creator = await signsIn(world, "creator", "settings");
  creator.tolerates = PROBLEMS;
  const settings = `${world.hub}/creator/integrations/${id}/settings`;
  const { page: first } = creator;
  await first.goto(settings);
  const second = await creator.tab(settings);
  await first.getByLabel("Name").fill("The first name");
  await first.getByRole("button", { name: "Save" }).click();
  await first.getByText("Saved", { exact: true }).waitFor();
  await second.getByLabel("Name").fill("The second name");
  await second.getByRole("button", { name: "Save" }).click();
  await second.getByRole("alert").waitFor();
  assert.equal(await second.getByLabel("Name").inputValue(), "The second name");
  assert.equal((await world.integrations("settings"))[0].name, "The first name");
  await second.getByRole("button", { name: "Save" }).click();
  await second.getByText("Saved", { exact: true }).waitFor();
  assert.equal((await world.integrations("settings"))[0].name, "The second name");
  await creator.leave();
});
