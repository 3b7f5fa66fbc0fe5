// Reads [[schema, value], …] and says which values are not as Discord's schemas describe them.
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const at = (file) => pathToFileURL(join(process.argv[2], "node_modules", file));
const schemas = await import(at("discord-api-spec/build/discord-api-spec.zod.js"));
let wrong = 0;
for (const [name, value] of JSON.parse(readFileSync(0, "utf8"))) {
    const list = name.endsWith("[]");
    const schema = schemas[`${name.replace("[]", "")}Schema`];
    // Discord writes times with +00:00, as RFC 3339 allows; these schemas know Z alone.
    const written = JSON.parse(JSON.stringify(value).replaceAll('+00:00"', 'Z"'));
    for (const one of list ? written : [written]) {
        const { success, error } = schema.safeParse(one);
        if (!success) {
            wrong += 1;
            console.log(name, JSON.stringify(error.issues), JSON.stringify(one).slice(0, 2000));
        }
    }
}
process.exit(wrong === 0 ? 0 : 1);
