// A real `hub serve` beside a real `hub sandbox`, and the platform that works with them.

import { spawn, execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const BINARY = process.env.HUB_BINARY ?? fileURLToPath(new URL("../../../target/debug/hub", import.meta.url));

/** How long anything may take before a test has failed, in milliseconds. */
export const PATIENCE = 30_000;

/** Starts a process of the binary; answers it with the lines that it prints until one satisfies `last`. */
async function start(args, env, last) {
  const process = spawn(BINARY, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const lines = [];
  for await (const line of createInterface({ input: process.stdout })) {
    lines.push(line);
    if (last(line)) return { process, lines };
  }
  throw new Error(`hub ${args.join(" ")} ended early:\n${lines.join("\n")}`);
}

async function stop(process, signal = "SIGTERM") {
  if (!process || process.exitCode !== null || process.signalCode !== null) return;
  const ended = new Promise((resolve) => process.once("exit", resolve));
  process.kill(signal);
  await ended;
}

/** Calls `answers` until it answers something; never waits for a time alone. */
export async function until(what, answers) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = await answers();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export class World {
  /** Starts both processes on an empty data folder. `env`: further settings of the hub. */
  static async start(env = {}) {
    const world = new World();
    world.folder = await mkdtemp(join(tmpdir(), "hub-browser-"));
    const clean = { PATH: process.env.PATH, HUB_LOG: "warn" };
    const sandbox = await start(["sandbox", "--listen", "127.0.0.1:0"], clean, (line) => line.includes("HUB_DISCORD_BOT_TOKEN"));
    world.discordProcess = sandbox.process;
    const settings = Object.fromEntries(
      sandbox.lines.map((line) => /export (\w+)=(.*)/.exec(line)).filter(Boolean).map(([, name, value]) => [name, value]),
    );
    world.discord = settings.HUB_DISCORD_API_URL;
    world.env = { ...clean, ...settings, HUB_DATA: join(world.folder, "data"), ...env };
    const made = await promisify(execFile)(BINARY, ["keys", "create", "--role", "platform"], { env: world.env });
    world.key = made.stdout.trim();
    await world.serve("127.0.0.1:0");
    return world;
  }

  /** Starts `hub demo`: a hub, its bot and a Discord in one process, and lets it play to the end. */
  static async demo() {
    const world = new World();
    world.folder = await mkdtemp(join(tmpdir(), "hub-browser-"));
    const args = ["demo", "--listen", "127.0.0.1:0", "--sandbox", "127.0.0.1:0", "--folder", join(world.folder, "data")];
    const env = { PATH: process.env.PATH, HUB_LOG: "warn" };
    const demo = await start(args, env, (line) => line.startsWith("The small Discord"));
    world.hubProcess = demo.process;
    const places = demo.lines.map((line) => /^Hub (\S+) +Discord sandbox (\S+)$/.exec(line)).find(Boolean);
    [, world.hub, world.discord] = places;
    return world;
  }

  async serve(listen) {
    const hub = await start(["serve", "--listen", listen], this.env, (line) => line.startsWith("hub is listening on "));
    this.hubProcess = hub.process;
    this.hub = hub.lines.at(-1).replace("hub is listening on ", "").trim();
  }

  /** Stops the hub alone. */
  async stopHub() {
    await stop(this.hubProcess);
  }

  /** Ends the hub alone as a power cut does. */
  async killHub() {
    await stop(this.hubProcess, "SIGKILL");
  }

  /** Starts the hub again where it was. */
  async startHub() {
    await this.serve(new URL(this.hub).host);
  }

  async end() {
    await stop(this.hubProcess);
    await stop(this.discordProcess);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #send(url, method, body, headers) {
    const answer = await fetch(url, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${url} answered ${answer.status}: ${text}`);
    return text ? JSON.parse(text) : {};
  }

  /** The platform's backend calls the Hub. */
  api(method, path, body) {
    return this.#send(`${this.hub}${path}`, method, body, { authorization: `Bearer ${this.key}` });
  }

  /** Somebody moves the world of the sandbox by hand. */
  control(method, path, body) {
    return this.#send(`${this.discord}/sandbox${path}`, method, body, {});
  }

  /** A link that signs somebody in once. */
  async signInLink(role, id, more = {}) {
    const made = await this.api("POST", "/v1/sessions", { role, id, ...more });
    return made.url;
  }

  /** Signs somebody out in every browser. */
  async signsOut(role, id) {
    await this.api("DELETE", `/v1/sessions?${new URLSearchParams({ role, id })}`);
  }

  /** What a creator's integrations are called, and how they stand. */
  async integrations(creator) {
    const { data } = await this.api("GET", `/v1/creators/${creator}/integrations`);
    return data;
  }

  /** How often something was recorded about an integration. */
  async recorded(type, integration) {
    const { data } = await this.api("GET", `/v1/audit/events?${new URLSearchParams({ type, integration })}`);
    return data.length;
  }

  /** A Discord account. */
  async account(username) {
    return (await this.control("POST", "/users", { username })).id;
  }

  /** Somebody's account that is there already. */
  async accountOf(username) {
    const { users } = await this.control("GET", "/world");
    return users.find((user) => user.username === username).id;
  }

  /** A Discord server with roles of these names, lowest first. */
  async server(name, owner, roles) {
    const made = await this.control("POST", "/guilds", {
      name,
      owner,
      roles: roles.map((role, at) => ({ position: at + 1, ...role })),
    });
    return made.id;
  }

  async guild(id) {
    const world = await this.control("GET", "/world");
    return world.guilds.find((guild) => guild.id === id) ?? world.guilds[id];
  }

  /** Drags the bot's role above all others. */
  async liftBot(guild) {
    const known = await this.guild(guild);
    const roles = Object.values(known.roles);
    const bot = roles.find((role) => role.managed);
    await this.control("PATCH", `/guilds/${guild}/roles/${bot.id}`, { position: roles.length + 5 });
  }

  tier(creator, tier, name) {
    return this.api("PUT", `/v1/creators/${creator}/tiers/${tier}`, { name });
  }

  membership(fan, creator, tier, version, status = "active", more = {}) {
    return this.api("PUT", `/v1/memberships/${fan}-${tier}`, { fan, creator, tier, status, version, ...more });
  }

  /** Goes to Discord and back without a browser. */
  async consents(asked, choice) {
    const { redirect } = await this.control("POST", "/consent", { authorize_url: asked.authorize_url, ...choice });
    const answer = await fetch(redirect, { redirect: "manual" });
    if (answer.status >= 400) throw new Error(`the way back from Discord answered ${answer.status}: ${await answer.text()}`);
  }

  /** An integration of a creator that is connected to a server, where the bot still stands below every role. */
  async connected(creator, name, guild, owner) {
    const { id } = await this.api("POST", `/v1/creators/${creator}/integrations`, { provider: "discord", name });
    await this.consents(await this.api("POST", `/v1/integrations/${id}/connect`, {}), { user: owner, guild });
    return id;
  }

  /** An integration whose bot can give every role, with tiers on its roles. */
  async integration(creator, name, guild, owner, attached) {
    const id = await this.connected(creator, name, guild, owner);
    const path = `/v1/integrations/${id}`;
    await this.liftBot(guild);
    const { data } = await this.api("POST", `${path}/roles/refresh`, {});
    const known = (role) => data.find(({ name }) => name === role).id;
    for (const [tier, roles] of Object.entries(attached)) {
      await this.api("PUT", `${path}/memberships/${tier}`, { roles: roles.map(known) });
    }
    return id;
  }

  /** A fan connects a Discord account. */
  async links(fan, user) {
    await this.consents(await this.api("POST", `/v1/fans/${fan}/link`, {}), { user });
  }

  /** Waits until a fan stands so in an integration. */
  stands(fan, integration, status) {
    return until(`${fan} ${status}`, async () => {
      const { data } = await this.api("GET", `/v1/integrations/${integration}/fans?limit=200`);
      return data.find((row) => row.fan === fan)?.status === status;
    });
  }
}
