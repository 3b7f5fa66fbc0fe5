// The main job by clicks: a creator in one browser, a fan in another, with and without scripts.

import { after, test } from "node:test";
import assert from "node:assert/strict";

import { Person, isWellMade } from "./support/browser.mjs";
import { allows, signsIn } from "./support/people.mjs";
import { World, until } from "./support/world.mjs";

after(() => Person.everybodyLeaves());

for (const javaScriptEnabled of [true, false]) {
  test(`a creator sets up, a fan gets in and loses the access with the membership, ${javaScriptEnabled ? "live" : "without scripts"}`, async () => {
    const world = await World.start();
    try {
      const [kim, ada] = [await world.account("kim"), await world.account("ada")];
      const club = await world.server("Kim's Club", kim, [{ name: "Silver" }, { name: "Gold", color: 0xd4a017 }]);
      await world.tier("kim", "gold", "Gold");

      const creator = await signsIn(world, "creator", "kim", { javaScriptEnabled });
      const c = creator.page;
      await c.getByRole("link", { name: "Add your first integration" }).click();
      await c.getByRole("main").getByRole("link", { name: /Discord/ }).click();
      await c.getByLabel("Name").fill("The club");
      await c.getByRole("button", { name: "Continue" }).click();
      await c.getByRole("link", { name: "Connect your Discord" }).click();
      await allows(c, kim, club);
      await c.getByRole("heading", { level: 1, name: "Let the bot give your roles" }).waitFor();
      await world.liftBot(club);
      await c.getByRole("button", { name: "Refresh Roles" }).click();
      await c.getByRole("link", { name: "Continue to memberships" }).click();
      await c.getByRole("group", { name: "Gold", exact: true }).getByRole("checkbox").first().setChecked(true);
      await c.getByRole("group", { name: "Roles of Gold" }).getByRole("checkbox", { name: "Gold" }).setChecked(true);
      await c.getByRole("button", { name: "Review changes" }).click();
      await c.getByRole("button", { name: "Finish the set-up" }).click();
      await c.getByText("You are all set").waitFor();

      await world.membership("ada", "kim", "gold", 1);
      const fan = await signsIn(world, "fan", "ada", { javaScriptEnabled }, { page: "welcome", membership: "ada-gold" });
      const f = fan.page;
      await f.getByRole("heading", { name: "Welcome to Gold" }).waitFor();
      await f.getByRole("link", { name: "Connect Discord" }).first().click();
      await allows(f, ada);
      await f.waitForURL((url) => url.href.startsWith(`${world.hub}/fan/welcome/`), { waitUntil: "load" });
      if (javaScriptEnabled) {
        await f.getByRole("heading", { name: "You are in" }).waitFor();
        await isWellMade(f, "the screen after a purchase");
      } else {
        await until("ada is in", async () => {
          await f.reload();
          return f.getByRole("heading", { name: "You are in" }).isVisible();
        });
      }
      const roles = async () => Object.values((await world.guild(club)).members).find((member) => member.user !== kim && member.roles.length > 0);
      assert.ok(await roles(), "ada has a role on Discord");

      await c.goto(`${world.hub}/creator/integrations`);
      await c.getByText("1 connected").waitFor();
      await world.membership("ada", "kim", "gold", 2, "expired");
      if (javaScriptEnabled) {
        // Both pages hear of it without being loaded again.
        await f.getByText("Ended").first().waitFor();
        await c.getByText("1 connected").waitFor({ state: "detached" });
      } else {
        await until("ada is out", async () => {
          await f.reload();
          return f.getByText("Ended").first().isVisible();
        });
      }
      await creator.leave();
      await fan.leave();
    } finally {
      await world.end();
    }
  });
}
