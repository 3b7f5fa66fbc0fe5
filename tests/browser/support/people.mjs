// Who signs in, and how.

import { Person } from "./browser.mjs";

/** Where pages may send requests: the hub, and Discord, to which they lead. */
export function places(world) {
  return [world.hub, world.discord].map((url) => new URL(url).origin);
}

/** Somebody in a browser of their own, signed in by a one-time link. */
export async function signsIn(world, role, id, options = {}, more = {}) {
  const person = await Person.arrive(places(world), options);
  await person.page.goto(await world.signInLink(role, id, more));
  if (options.javaScriptEnabled === false) {
    await person.page.getByRole("main").getByRole("button").first().click();
  }
  await person.page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
  return person;
}

/** Somebody who sees the screens of a role; nobody in particular has no need to sign in. */
export function sees(world, role, id) {
  return role === "anybody" ? Person.arrive(places(world)) : signsIn(world, role, id);
}

/** Chooses one of a list by its name: names are kept apart from what stands around them by marks that nobody sees. */
export async function chooses(select, name) {
  const option = select.locator("option").filter({ hasText: name });
  await select.selectOption(await option.getAttribute("value"));
}

/** Allows what Discord asks, as one of its accounts. */
export async function allows(page, account, server) {
  await page.waitForURL(/\/oauth2\/authorize/);
  await page.getByLabel("Signed in as").selectOption(account);
  if (server) await page.getByLabel("Add to server").selectOption(server);
  await page.getByRole("button", { name: "Authorize" }).click();
}
