// Who signs in, and how.

import { Person } from "./browser.mjs";

/** Somebody in a browser of their own, signed in by a one-time link. */
export async function signsIn(world, role, id, options = {}, more = {}) {
  const person = await Person.arrive([world.hub, world.discord].map((url) => new URL(url).origin), options);
  await person.page.goto(await world.signInLink(role, id, more));
  if (options.javaScriptEnabled === false) {
    await person.page.getByRole("main").getByRole("button").first().click();
  }
  await person.page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
  return person;
}
