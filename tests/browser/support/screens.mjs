// A world in which every screen has something to show, and where the screens are.

import { World } from "./world.mjs";

export const HOSTILE = '<b onclick="x()">Ünï</b> \u202Eevil\u202C 🦀 ' + "long".repeat(20);

/** A creator with a working integration and others, fans who stand in every way, a bought membership. */
export async function settled({ hostile } = { hostile: true }) {
  const name = (kind, most) => (hostile ? HOSTILE.slice(0, most) : kind);
  const world = await World.start({ HUB_PLATFORM_NAME: "Fanbase", HUB_SUPPORT_EMAIL: "help@fanbase.example" });
  const [kim, ada, ben, cleo] = await Promise.all(["kim", "ada", "ben", "cleo"].map((person) => world.account(person)));
  const club = await world.server("Kim's Club", kim, [
    { name: "Silver", color: 0xa0a0b0 },
    { name: "Gold", color: 0xd4a017 },
    { name: name("Early birds", 100) },
  ]);
  const studio = await world.server("Kim's Studio", kim, [{ name: "Backstage", color: 0x3ba55d }]);
  await world.tier("kim", "gold", "Gold");
  await world.tier("kim", "silver", "Silver");
  await world.tier("kim", "none", name("Newsletter", 100));
  world.club = await world.integration("kim", "Kim's Club", club, kim, { gold: ["Gold"], silver: ["Silver"] });
  world.studio = await world.integration("kim", name("Kim's Studio", 120), studio, kim, { gold: ["Backstage"] });
  const unfinished = await world.api("POST", "/v1/creators/kim/integrations", { provider: "discord", name: "Not finished yet" });
  world.unfinished = unfinished.id;
  const workshop = await world.server("Kim's Workshop", kim, [{ name: "Gold", color: 0xd4a017 }, { name: name("Moderator", 100) }]);
  world.low = await world.connected("kim", "Kim's Workshop", workshop, kim);
  await world.membership("ada", "kim", "gold", 1);
  await world.membership("ada", "kim", "none", 1, "canceled", { ends_at: "2100-01-01T00:00:00Z" });
  await world.membership("ben", "kim", "silver", 1);
  await world.membership("cleo", "kim", "gold", 1);
  await world.membership("dora", "kim", "gold", 1);
  await world.links("ada", ada);
  await world.links("ben", ben);
  await world.control("PUT", `/guilds/${club}/bans/${cleo}`);
  await world.links("cleo", cleo);
  await world.stands("ada", world.club, "connected");
  await world.stands("ada", world.studio, "connected");
  await world.stands("ben", world.club, "connected");
  await world.stands("cleo", world.club, "blocked");
  await world.membership("ben", "kim", "silver", 2, "expired");
  await world.stands("ben", world.club, "revoked");
  const { roles } = await world.guild(club);
  const silver = Object.values(roles).find((role) => role.name === "Silver").id;
  await world.api("PUT", `/v1/integrations/${world.club}/grants/ben`, { roles: [silver], until: "2100-01-01T00:00:00Z" });
  await world.stands("ben", world.club, "connected");
  world.ada = ada;
  world.role = silver;
  world.clubServer = club;
  return world;
}

/** Every screen: whose it is, what it is called, and where. */
export function screens(world) {
  const at = `/creator/integrations/${world.club}`;
  const setup = `/creator/integrations/${world.low}`;
  const server = `${world.discord}/servers/${world.clubServer}`;
  return [
    ["creator", "kim", "integrations", "/creator/integrations"],
    ["creator", "kim", "add-integration", "/creator/integrations/new"],
    ["creator", "kim", "name", "/creator/integrations/new/discord"],
    ["creator", "kim", "connect", `/creator/integrations/${world.unfinished}/connect`],
    ["creator", "kim", "set-up-roles", `${setup}/roles`],
    ["creator", "kim", "set-up-memberships", `${setup}/memberships`],
    ["creator", "kim", "overview", at],
    ["creator", "kim", "roles", `${at}/roles`],
    ["creator", "kim", "add-membership", `${at}/memberships`],
    ["creator", "kim", "remove-membership", `${at}/memberships/gold/remove`],
    ["creator", "kim", "fans", `${at}/fans`],
    ["creator", "kim", "fan", `${at}/fans/cleo`],
    ["creator", "kim", "activity", `${at}/activity`],
    ["creator", "kim", "health", `${at}/health`],
    ["creator", "kim", "settings", `${at}/settings`],
    ["creator", "kim", "disconnect", `${at}/disconnect`],
    ["creator", "kim", "approvals", "/creator/approvals"],
    ["creator", "lee", "no-integrations", "/creator/integrations"],
    ["fan", "ada", "memberships", "/fan/memberships"],
    ["fan", "ada", "welcome-in", "/fan/welcome/ada-gold"],
    ["fan", "ada", "notifications", "/fan/notifications"],
    ["fan", "ada", "switch", "/fan/discord/switch"],
    ["fan", "ada", "disconnect-discord", "/fan/discord/disconnect"],
    ["fan", "ada", "leave", `/fan/integrations/${world.club}/leave`],
    ["fan", "ben", "memberships-by-hand", "/fan/memberships"],
    ["fan", "eve", "no-memberships", "/fan/memberships"],
    ["fan", "eve", "no-notifications", "/fan/notifications"],
    ["fan", "cleo", "memberships-in-trouble", "/fan/memberships"],
    ["fan", "dora", "welcome", "/fan/welcome/dora-gold"],
    ["fan", "dora", "welcome-early", "/fan/welcome/not-yet"],
    ["auditor", undefined, "log", "/audit"],
    ["auditor", undefined, "event", "/audit/events/1"],
    ["auditor", undefined, "access", `/audit/access?fan=ada`],
    ["auditor", undefined, "access-of-integration", `/audit/access?integration=${world.club}`],
    ["auditor", undefined, "explain", `/audit/explain?fan=ada&integration=${world.club}`],
    ["operator", undefined, "status", "/operator"],
    ["operator", undefined, "design", "/design"],
    ["anybody", undefined, "start", "/"],
    ["anybody", undefined, "discord-server", server],
    ["anybody", undefined, "discord-member", `${server}?member=${world.ada}`],
    ["anybody", undefined, "discord-role", `${server}?role=${world.role}`],
    ["anybody", undefined, "discord-settings", `${server}?settings=1`],
    ["anybody", undefined, "discord-people", `${world.discord}/people`],
    ["anybody", undefined, "discord-calls", `${world.discord}/calls`],
    ["anybody", undefined, "discord-faults", `${world.discord}/faults`],
  ];
}
