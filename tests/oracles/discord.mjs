// Writes Discord's own description of its requests, as the package `discord-api-spec` carries it, as one JSON file:
// for every call its query and the schema of its body.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const packaged = (file) => join(folder, "node_modules", file);
const imported = (file) => import(pathToFileURL(packaged(file)));
const schemas = await imported("discord-api-spec/build/discord-api-spec.zod.js");
const { toJSONSchema } = await imported("zod/index.js");
const types = readFileSync(packaged("discord-api-spec/build/discord-api-spec.ts"), "utf8");

const schema = (name) => {
    const known = schemas[`${name}Schema`];
    return known ? toJSONSchema(known, { io: "input", unrepresentable: "any" }) : true;
};
const described = {};
const paths = types.slice(types.indexOf("export interface Paths {"));
for (const [, path, methods] of paths.slice(0, paths.indexOf("\n}\n")).matchAll(/^ {2}"([^"]+)": \{\n(.*?)^ {2}\};/gms)) {
    for (const [, method, call] of methods.matchAll(/^ {4}(\w+): \{\n(.*?)^ {4}\};/gms)) {
        const query = {};
        const named = call.match(/^ {8}query\?: \{\n(.*?)^ {8}\};/ms);
        for (const [, name, optional] of named?.[1].matchAll(/^ {10}"?([\w-]+)"?(\??):/gm) ?? []) {
            query[name] = optional === "";
        }
        const body = call.match(/^ {6}requestBody(\??): (.*?);$/m);
        const none = !body || body[2] === "undefined";
        described[`${method.toUpperCase()} ${path}`] = { query, body: none ? null : schema(body[2]) };
    }
}
if (!described["PUT /guilds/{guild_id}/members/{user_id}"]?.body.properties) {
    throw new Error("the package describes Discord in another way than this reads it");
}
writeFileSync(join(folder, "discord.json"), JSON.stringify(described));
console.log(`${Object.keys(described).length} calls described`);
