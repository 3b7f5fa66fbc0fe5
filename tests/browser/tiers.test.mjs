// Tiers and the roles that they give: the tier's own tick decides.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";

import { Person } from "./support/browser.mjs";
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

for (const javaScriptEnabled of [true, false]) {
  test(`a tier that is unticked is not attached, ${javaScriptEnabled ? "with" : "without"} scripts`, async () => {
    const who = javaScriptEnabled ? "kim" : "lee";
    const owner = await world.account(who);
    const server = await world.server("The club", owner, [{ name: "Silver" }, { name: "Gold" }, { name: "Backstage" }]);
    for (const name of ["Silver", "Gold", "Newsletter"]) await world.tier(who, name.toLowerCase(), name);
    const id = await world.integration(who, "The club", server, owner, {});
    const creator = await signsIn(world, "creator", who, { javaScriptEnabled });
    const { page } = creator;
    await page.goto(`${world.hub}/creator/integrations/${id}/memberships`);
    const tier = (name) => page.getByRole("checkbox", { name, exact: true }).and(page.locator("[name=tier]"));
    const roles = (name) => page.getByRole("group", { name: `Roles of ${name}` });
    const role = (of, name) => roles(of).getByRole("checkbox", { name });

    // Gold and Silver have roles of the same names; the roles of the third are folded away.
    assert.deepEqual(await Promise.all(["Gold", "Silver", "Newsletter"].map((name) => tier(name).isChecked())), [true, true, false]);
    assert.ok(await roles("Gold").isVisible());
    assert.ok(await roles("Newsletter").isHidden());

    await tier("Gold").setChecked(false);
    if (javaScriptEnabled) {
      assert.ok(!(await role("Gold", "Gold").isChecked()), "its roles go with its tick");
      await tier("Gold").setChecked(true);
      assert.ok(await role("Gold", "Gold").isChecked(), "and come back with it");
      await tier("Gold").setChecked(false);
      await tier("Silver").setChecked(false);
      await role("Silver", "Backstage").setChecked(true);
      assert.ok(await tier("Silver").isChecked(), "a role ticks its tier");
      await tier("Newsletter").setChecked(true);
      assert.ok(await roles("Newsletter").isVisible(), "a tier shows its roles");
    } else {
      await page.getByText("Roles of Newsletter").click();
      await tier("Newsletter").setChecked(true);
    }
    await role("Newsletter", "Silver").setChecked(true);
    await page.getByRole("button", { name: "Review changes" }).click();
    await page.getByRole("button", { name: "Finish the set-up" }).click();
    await page.getByText("You are all set").waitFor();
    const [{ memberships }] = await world.integrations(who);
    assert.deepEqual(memberships.map(({ tier, roles }) => [tier, roles.length]), [["newsletter", 1], ["silver", 1]]);
    await page.getByRole("link", { name: "Memberships", exact: true }).click();
    const remove = page.getByRole("link", { name: /^Remove/ }).first();
    await remove.waitFor();
    assert.ok((await remove.boundingBox()).height >= 24, "what is pressed is tall enough");
    await creator.leave();
  });
}
