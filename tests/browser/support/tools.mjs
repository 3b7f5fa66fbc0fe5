// The tools that the test command fetches into target/browser: they are not of this repository.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../../target/browser/", import.meta.url));

export const { chromium } = require("playwright-core");

/** The source of axe-core, to be run inside a page. */
export const AXE = require("axe-core").source;
