// Names as people make them: shown as they were typed, whatever they are made of.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person, PROBLEMS, SIZES, fits } from "./support/browser.mjs";
import { signsIn } from "./support/people.mjs";
import { World } from "./support/world.mjs";

const GOOD = {
  "HTML that would run": `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`,
  "quotes and entities": `"'><b>&amp;</b>\${name} {{ name }}`,
  "letters from right to left, and a mark that turns the rest around": "نادي الذهب \u202Elive\u202C",
  "emoji of many parts": "👩‍👩‍👧‍👦 🏳️‍🌈 🇨🇭 club",
  "128 letters without a space": "W".repeat(128),
  "128 emoji": "🦀".repeat(128),
};

const BAD = {
  "129 letters": "W".repeat(129),
  "spaces alone": "   ",
  "marks that nobody sees": "\u200B\u200E",
};

let world, creator;

before(async () => {
  world = await World.start();
  creator = await signsIn(world, "creator", "kim");
  creator.tolerates = PROBLEMS;
});

after(async () => {
  await creator?.leave();
  await Person.everybodyLeaves();
  await world?.end();
});

async function names(name) {
  await creator.page.goto(`${world.hub}/creator/integrations/new/discord`);
  await creator.page.getByLabel("Name").fill(name);
  await creator.page.getByRole("button", { name: "Continue" }).click();
}

/** The page shows the name as it is, as text, and is as wide as its window on every size. */
async function shows(place, name, where) {
  assert.equal(await place.first().textContent(), name, `${where} shows the name as it was typed`);
  for (const [size, viewport] of Object.entries(SIZES)) {
    await creator.page.setViewportSize(viewport);
    await fits(creator.page, `${where} (${size})`);
  }
  assert.doesNotMatch(await creator.page.title(), /^taken/, `${where} ran what was typed`);
}

for (const [what, name] of Object.entries(GOOD)) {
  test(`a name may be ${what}`, async () => {
    const { page } = creator;
    await names(name);
    await page.getByRole("heading", { name: "Connect your Discord" }).waitFor();
    await shows(page.locator(".lead bdi"), name, "the way to Discord");
    const id = /integrations\/([^/]+)\/connect/.exec(page.url())[1];
    await page.goto(`${world.hub}/creator/integrations`);
    await shows(page.locator(`#open-${id} bdi`), name, "the table");
    await page.locator(`#open-${id}`).click();
    await shows(page.locator("h1 bdi"), name, "the overview");
    await page.getByRole("link", { name: "Settings" }).click();
    await page.waitForURL(/settings$/);
    assert.equal(await page.getByLabel("Name").inputValue(), name);
    await page.goto(`${world.hub}/creator/integrations/${id}/delete`);
    await shows(page.locator("h1 bdi"), name, "the question before it is deleted");
  });
}

/** Whether nothing of a page stands outside of what it is in, and what is ticked has its size. */
async function holds(page, where) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    await fits(page, `${where} (${size})`);
    const out = await page.evaluate(() => {
      const card = (part) => part.closest(".card, .notice, main").getBoundingClientRect();
      const inside = (part, box) => box.width === 0 || (box.left >= card(part).left && box.right <= card(part).right);
      const parts = [...document.querySelectorAll("main .role, main .button")];
      const outside = parts.filter((part) => !inside(part, part.getBoundingClientRect()) || part.scrollHeight > part.clientHeight + 1);
      const ticks = [...document.querySelectorAll("main input[type=checkbox]")].map((tick) => tick.getBoundingClientRect());
      return [outside.map((part) => part.textContent.slice(0, 20)), ticks.filter(({ width }) => width > 0 && width < 16).length];
    });
    assert.deepEqual(out, [[], 0], `${where} (${size}): what stands outside of its card or its button, and how many ticks are small`);
  }
}

test("tiers and roles may have names of 100 letters wherever they are shown", async () => {
  const owner = await world.account("lee");
  const [tier, role] = ["T", "R"].map((letter) => `${letter}${"W".repeat(99)}`);
  const server = await world.server("Lee's House", owner, [{ name: role }, { name: "Silver" }]);
  await world.tier("lee", "long", tier);
  await world.tier("lee", "short", `A name of many words ${"and more ".repeat(8)}`.trim());
  const id = await world.integration("lee", "The house", server, owner, {});
  const lee = await signsIn(world, "creator", "lee");
  const { page } = lee;
  const at = `${world.hub}/creator/integrations/${id}`;
  await page.goto(`${at}/memberships`);
  await page.getByRole("checkbox", { name: tier }).setChecked(true);
  await page.getByRole("group", { name: `Roles of ${tier}` }).getByRole("checkbox", { name: role }).setChecked(true);
  await holds(page, "the choice of memberships");
  await page.getByRole("button", { name: "Review changes" }).click();
  await page.getByRole("heading", { name: "Review the change" }).waitFor();
  await holds(page, "the plan");
  await page.getByRole("button", { name: "Finish the set-up" }).click();
  await page.getByText("You are all set").waitFor();
  await holds(page, "the overview");

  // So that many at once is one.
  await world.api("PATCH", `/v1/integrations/${id}`, { removal_limit: { fans: 0, percent: 100 } });
  await world.membership("ada", "lee", "long", 1);
  await world.links("ada", await world.account("ada"));
  await world.stands("ada", id, "connected");
  await world.api("DELETE", `/v1/integrations/${id}/memberships/long`);
  await page.goto(`${world.hub}/creator/approvals`);
  await page.locator("main a.pick").click();
  await page.getByRole("button", { name: /^Reject/ }).waitFor();
  await holds(page, "the approval");
  for (const tab of ["roles", "fans", "fans/ada"]) {
    await page.goto(`${at}/${tab}`);
    await holds(page, `the page of ${tab}`);
  }
  await lee.leave();
});

for (const [what, name] of Object.entries(BAD)) {
  test(`a name may not be ${what}, and stays to be mended`, async () => {
    const { page } = creator;
    const before = (await world.integrations("kim")).length;
    await names(name);
    await page.getByText("Give it a name of 1 to 128 characters that can be seen.").waitFor();
    const field = page.getByLabel("Name");
    assert.equal(await field.inputValue(), name, "what was typed is still there");
    assert.ok(await field.evaluate((element) => element === document.activeElement));
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.equal((await world.integrations("kim")).length, before);
  });
}
