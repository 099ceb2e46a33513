#!/usr/bin/env node
import { main } from "../src/cli/main.ts";
import { processHost } from "../src/cli/process-host.ts";

process.exit(await main(["parity", ...process.argv.slice(2)], processHost()));
