// What people do by hand on the pages of the small Discord.

/** The page of a server, in a tab of somebody's browser. */
export function opens(person, world, guild) {
  return person.tab(`${world.discord}/servers/${guild}`);
}

/** The row of a role in the list. */
export function row(page, name) {
  return page.locator("#roles > .role").filter({ has: page.locator("bdi", { hasText: new RegExp(`^${name}$`) }) });
}

/** The names of the roles as the page shows them, highest first. */
export function ladder(page) {
  return page.locator("#roles > .role bdi").allTextContents();
}

/** Drags a role until it stands right above another. */
export async function drags(page, name, above) {
  const from = await row(page, name).locator("[data-grip]").boundingBox();
  const to = await row(page, above).boundingBox();
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(from.x + from.width / 2, to.y + to.height / 2, { steps: 4 });
  await page.mouse.move(from.x + from.width / 2, to.y + to.height / 4, { steps: 2 });
  await page.mouse.up();
}

/** Looks at a member closely; answers the card. */
export async function looksAt(page, name) {
  await page.locator("#members").getByRole("link", { name }).click();
  const card = page.locator("#card");
  await card.getByRole("heading", { level: 2, name }).waitFor();
  return card;
}
